"""What the API takes: its form and bounds.

Owns the models of request bodies and parameters, and turning them into records. Does not know
routes. Bounds are there so that one request cannot hold up the others.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import Path, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from sottovoce.consent import Purpose
from sottovoce.conversations import QuestionnaireResponse, Role
from sottovoce.errors import DataError
from sottovoce.instruments import instrument
from sottovoce.service.ledger import Line
from sottovoce.service.messages import Said

ID = r"^[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,127}$"
"""An app's id: what stands in a URL without escaping (RFC 3986, 2.3), and does not begin with a
full stop: clients take "." and ".." out of a path (5.2.4). It should be a pseudonym."""

MESSAGES_AT_ONCE = 1000
"""Messages of one batch; ours, some seconds of work at the most."""

CONTENT_LENGTH = 200_000
"""Characters of one message; ours, two hundred times the longest of the bundled cohort."""

PAGE = 100
"""Rows of a page unless asked otherwise."""

PAGE_LIMIT = 500
"""Rows of the largest page; ours."""


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("outside the calendar") from None


Time = Annotated[AwareDatetime, AfterValidator(_utc)]
PersonId = Annotated[str, Path(pattern=ID, description="The app's own pseudonym of the person.")]
Cursor = Annotated[
    str | None, Query(max_length=200, description="Where to go on: `next` of the page before.")
]
Limit = Annotated[int, Query(ge=1, le=PAGE_LIMIT, description="Rows of the page.")]


class In(BaseModel):
    """What is taken: unknown fields are refused, since a misspelt one would be lost."""

    model_config = ConfigDict(extra="forbid", strict=False)


class ConsentIn(In):
    """Something a person agreed to, or withdrew."""

    purpose: Purpose
    granted: bool
    at: Time
    text_version: str = Field(pattern=r"^[A-Za-z0-9._/ -]{1,64}$")
    source: str = Field(pattern=r"^[A-Za-z0-9._/ -]{1,64}$")

    def line(self) -> Line:
        """Give it as a line of the ledger."""
        return Line(self.purpose, self.granted, self.at, self.text_version, self.source)


class ConsentsIn(In):
    """Lines for the ledger, all or none."""

    consent: list[ConsentIn] = Field(min_length=1, max_length=20)


class MessageIn(In):
    """One message as it was written."""

    id: str = Field(pattern=ID)
    conversation_id: str = Field(pattern=ID)
    role: Role
    content: str = Field(max_length=CONTENT_LENGTH)
    sent_at: Time

    def said(self) -> Said:
        """Give it as it is stored."""
        return Said(self.id, self.conversation_id, self.role, self.content, self.sent_at)


class MessagesIn(In):
    """A batch, stored all or not at all; sending it again changes nothing."""

    messages: list[MessageIn] = Field(min_length=1, max_length=MESSAGES_AT_ONCE)


class QuestionnaireIn(In):
    """A questionnaire somebody filled in: items, or the total alone."""

    instrument: Literal["phq-9", "phq-8", "gad-7"]
    completed_at: Time
    items: list[int | None] | None = Field(default=None, max_length=20)
    total: float | None = None

    def response(self, person: str) -> QuestionnaireResponse:
        """Give the response; DataError where the answers cannot be."""
        used = instrument(self.instrument)
        items = None if self.items is None else tuple(self.items)
        scored = None if items is None else used.total(items)
        if items is not None and self.total is not None and self.total != scored:
            raise DataError("it is not what the items add up to", field="total")
        if items is None and self.total is None:
            raise DataError("there is neither a total nor items", field="total")
        total = self.total if items is None else scored
        return QuestionnaireResponse(person, used.key, self.completed_at, total, items)


class AccountIn(In):
    """An account to add."""

    name: str = Field(pattern=r"^[A-Za-z0-9._@/ -]{1,64}$")
    role: Literal["app", "clinician", "researcher", "admin"]
    subject: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._@:|/-]{1,255}$")


class KeyIn(In):
    """A key to make."""

    days: float = Field(default=90, gt=0, le=365)
    scopes: list[str] = Field(default=[], max_length=50)


class WebhookIn(In):
    """Where events go."""

    url: str = Field(min_length=1, max_length=2000)
    events: list[Literal["estimate.created", "consent.withdrawn"]] = Field(min_length=1)
