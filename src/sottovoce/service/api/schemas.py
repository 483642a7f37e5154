"""What the API takes and gives: its form, bounds and words.

Owns the models that OpenAPI is made of, and turning them into records and back. Does not know
routes. Bounds are there so that one request cannot hold up the others.
"""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Path, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from sottovoce.consent import Purpose
from sottovoce.conversations import QuestionnaireResponse, Role
from sottovoce.errors import DataError
from sottovoce.estimates import Estimate
from sottovoce.instruments import instrument
from sottovoce.service.accounts import Account, ApiKey
from sottovoce.service.estimates import Made
from sottovoce.service.jobs import Dead
from sottovoce.service.ledger import Line
from sottovoce.service.messages import Kept, Said
from sottovoce.service.people import Person
from sottovoce.service.questionnaires import Filled

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


class Out(BaseModel):
    """What is given."""


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


class PersonOut(Out):
    """A person at a glance."""

    id: str
    created_at: datetime
    consent: list[str]
    pending: bool = Field(description="Whether something was said that no estimate has read yet.")

    @classmethod
    def of(cls, person: Person) -> "PersonOut":
        """Say it of a person."""
        return cls(
            id=person.external_id,
            created_at=person.created_at,
            consent=list(person.purposes),
            pending=person.pending,
        )


class PeopleOut(Out):
    """A page of people."""

    people: list[PersonOut]
    next: str | None


class ConsentOut(Out):
    """One line of the ledger."""

    purpose: str
    granted: bool
    at: datetime
    text_version: str
    source: str
    recorded_at: datetime | None

    @classmethod
    def of(cls, line: Line) -> "ConsentOut":
        """Say it of a line."""
        return cls(**asdict(line))


class ConsentsOut(Out):
    """What stands, and the whole ledger."""

    standing: list[str]
    ledger: list[ConsentOut]


class StoredOut(Out):
    """What became of a batch."""

    new: int
    known: int
    ahead: int = Field(description="New messages whose time lay ahead of the service's clock.")


class MessageOut(Out):
    """One message as it is kept."""

    id: str
    conversation_id: str
    role: str
    content: str
    sent_at: datetime
    at: datetime = Field(description="When it counts as said: never after it came.")

    @classmethod
    def of(cls, kept: Kept) -> "MessageOut":
        """Say it of a message."""
        said = kept.said
        return cls(
            id=said.message_id,
            conversation_id=said.conversation_id,
            role=said.role,
            content=said.content,
            sent_at=said.sent_at,
            at=kept.at,
        )


class MessagesOut(Out):
    """A page of messages in the order of time."""

    messages: list[MessageOut]
    next: str | None


class QuestionnaireOut(Out):
    """A questionnaire as it is kept."""

    id: str
    instrument: str
    completed_at: datetime
    total: float | None
    items: list[int | None] | None

    @classmethod
    def of(cls, filled: Filled) -> "QuestionnaireOut":
        """Say it of a questionnaire."""
        response = filled.response
        return cls(
            id=filled.external_id,
            instrument=response.instrument,
            completed_at=response.completed_at,
            total=response.total,
            items=None if response.items is None else list(response.items),
        )


class QuestionnairesOut(Out):
    """A person's questionnaires in the order of time."""

    questionnaires: list[QuestionnaireOut]


class EstimateOut(Out):
    """What the text of one window says, or why it says nothing; never a diagnosis."""

    id: UUID
    instrument: str
    window_start: datetime | None
    window_end: datetime | None
    score: float | None
    lower: float | None
    upper: float | None
    coverage: float
    p_at_least: dict[str, float]
    band: str | None
    n_messages: int
    abstained: bool
    reason: str | None
    model_id: str
    made_at: datetime

    @classmethod
    def of(cls, made: Made) -> "EstimateOut":
        """Say it of an estimate."""
        said: Estimate = made.estimate
        return cls(
            id=made.id,
            instrument=said.instrument,
            window_start=said.window_start,
            window_end=said.window_end,
            score=said.score,
            lower=said.lower,
            upper=said.upper,
            coverage=said.coverage,
            p_at_least={str(cut): p for cut, p in said.p_at_least.items()},
            band=said.band,
            n_messages=said.n_messages,
            abstained=said.abstained,
            reason=said.reason,
            model_id=said.model_id,
            made_at=made.made_at,
        )


class EvidenceOut(Out):
    """An estimate with the messages that it rests on, where the model gives them."""

    estimate: EstimateOut
    profile: list[float] | None
    evidence: list[dict[str, Any]] | None


class EstimatesOut(Out):
    """Every estimate of a person, in the order in which they were made."""

    estimates: list[EstimateOut]


class TrajectoryOut(Out):
    """A person over time: one estimate for each window's end, and the questionnaires."""

    id: str
    pending: bool
    estimates: list[EstimateOut]
    questionnaires: list[QuestionnaireOut]
    notice: str = "Estimates support clinicians; they are not diagnoses and do not clear risk."


class ExportOut(Out):
    """Everything that is kept of a person."""

    person: PersonOut
    consent: list[ConsentOut]
    messages: list[MessageOut]
    questionnaires: list[QuestionnaireOut]
    estimates: list[EstimateOut]


class AccountOut(Out):
    """An account."""

    id: UUID
    name: str
    role: str
    subject: str | None
    created_at: datetime
    disabled_at: datetime | None

    @classmethod
    def of(cls, account: Account) -> "AccountOut":
        """Say it of an account."""
        return cls(**asdict(account))


class AccountsOut(Out):
    """Every account."""

    accounts: list[AccountOut]


class KeyOut(Out):
    """A key, without its secret."""

    id: UUID
    scopes: list[str]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None

    @classmethod
    def of(cls, key: ApiKey) -> "KeyOut":
        """Say it of a key."""
        return cls(
            id=key.id,
            scopes=list(key.scopes),
            created_at=key.created_at,
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
        )


class NewKeyOut(Out):
    """A new key, with its secret: it is shown this once."""

    key: KeyOut
    secret: str


class KeysOut(Out):
    """The keys of an account."""

    keys: list[KeyOut]


class WebhookOut(Out):
    """Where events go."""

    id: UUID
    url: str
    events: list[str]
    created_at: datetime
    disabled_at: datetime | None


class NewWebhookOut(Out):
    """A new webhook, with the secret that signs: it is shown this once."""

    webhook: WebhookOut
    secret: str


class WebhooksOut(Out):
    """Every webhook."""

    webhooks: list[WebhookOut]


class EventOut(Out):
    """What a webhook told of."""

    id: UUID
    type: str
    at: datetime
    person: str
    subject: UUID | None = Field(description="Of an estimate.created: the estimate.")


class AuditEntryOut(Out):
    """One entry of the audit log; people are numbers that lead nowhere outside."""

    lane: int
    number: int
    at: datetime
    account_id: UUID | None
    key_id: UUID | None
    role: str
    action: str
    person: UUID | None
    outcome: str


class AuditOut(Out):
    """A page of the audit log."""

    entries: list[AuditEntryOut]
    next: str | None


class DeadJobOut(Out):
    """A job that failed too often."""

    id: int
    task: str
    attempts: int
    failed_at: datetime | None
    failure: str | None = Field(description="Name of the exception's type.")

    @classmethod
    def of(cls, job: Dead) -> "DeadJobOut":
        """Say it of a dead letter."""
        return cls(
            id=job.id, task=job.task, attempts=job.attempts, failed_at=job.at, failure=job.failure
        )


class JobsOut(Out):
    """What waits, and what failed."""

    waiting: dict[str, int]
    running: dict[str, int]
    oldest_seconds: float
    dead: list[DeadJobOut]


class HealthOut(Out):
    """Whether it runs."""

    status: Literal["ok"]


class ReadyOut(Out):
    """Whether it can work."""

    status: Literal["ready"]
    schema_revision: str
    version: str
