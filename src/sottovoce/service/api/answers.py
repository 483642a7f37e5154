"""What the API gives: its form and words.

Owns the models of answers, and making them from records. Does not know routes.
"""

from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from sottovoce.estimates import Estimate
from sottovoce.service.accounts import Account, ApiKey
from sottovoce.service.estimates import Made
from sottovoce.service.jobs import Dead
from sottovoce.service.ledger import Line
from sottovoce.service.messages import Kept
from sottovoce.service.people import Person
from sottovoce.service.questionnaires import Filled


class Out(BaseModel):
    """What is given."""


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
