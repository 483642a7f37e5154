"""The tables, as queries name them.

Owns names and types of columns. The schema itself is made by the migrations (`migrations`); a test
holds the two to each other. What a person said or reported stands in `sealed` columns only.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY

metadata = MetaData()
_TIME = DateTime(timezone=True)


def _person(*, primary_key: bool = False) -> Column[object]:
    """Whose row it is; it goes when the person goes."""
    key = ForeignKey("people.id", ondelete="CASCADE")
    return Column("person_id", Uuid, key, primary_key=primary_key, nullable=False)


secrets = Table(
    "secrets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("key_id", Text, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
)
"""Keys of the database as a whole, wrapped: of the index, of the audit log, of webhooks."""

people = Table(
    "people",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("key_id", Text, nullable=False),
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("purposes", ARRAY(Text), nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("scored_revision", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_at", _TIME, nullable=False),
)
"""`purposes` follows the ledger by a trigger; `revision` counts changes of what is scored,
`version` all of them."""

consents = Table(
    "consents",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("person_id", Uuid, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("granted", Boolean, nullable=False),
    Column("text_version", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("at", _TIME, nullable=False),
    Column("recorded_at", _TIME, nullable=False),
)
"""The ledger. It outlives an erased person, as lines that nobody can trace to them."""

messages = Table(
    "messages",
    metadata,
    _person(primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("at", _TIME, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("position", Integer, nullable=False),
    Column("received_at", _TIME, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)
"""Messages of one moment keep the order in which they came: `revision` of the batch, `position` in
it."""

questionnaires = Table(
    "questionnaires",
    metadata,
    _person(primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("id", Uuid, nullable=False, unique=True),
    Column("instrument", Text, nullable=False),
    Column("completed_at", _TIME, nullable=False),
    Column("received_at", _TIME, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

estimates = Table(
    "estimates",
    metadata,
    Column("id", Uuid, primary_key=True),
    _person(),
    Column("model_id", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("window_end", _TIME, nullable=True),
    Column("made_at", _TIME, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("subject", Text, nullable=True, unique=True),
    Column("created_at", _TIME, nullable=False),
    Column("disabled_at", _TIME, nullable=True),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("account_id", Uuid, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("expires_at", _TIME, nullable=False),
    Column("revoked_at", _TIME, nullable=True),
)

caseloads = Table(
    "caseloads",
    metadata,
    Column("account_id", Uuid, ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    _person(primary_key=True),
    Column("since", _TIME, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("lane", SmallInteger, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("at", _TIME, nullable=False),
    Column("account_id", Uuid, nullable=True),
    Column("key_id", Uuid, nullable=True),
    Column("role", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("person_id", Uuid, nullable=True),
    Column("outcome", Text, nullable=False),
    Column("mac", LargeBinary, nullable=False),
)
"""Append-only, by a trigger; no foreign key, since what was done outlives who it was done to."""

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("lane", SmallInteger, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("mac", LargeBinary, nullable=False),
)

endpoints = Table(
    "endpoints",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("url", Text, nullable=False),
    Column("events", ARRAY(Text), nullable=False),
    Column("key_id", Text, nullable=False),
    Column("wrapped_secret", LargeBinary, nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("disabled_at", _TIME, nullable=True),
)

events = Table(
    "events",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("type", Text, nullable=False),
    _person(),
    Column("subject_id", Uuid, nullable=True),
    Column("at", _TIME, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Uuid, nullable=False, unique=True),
    Column("event_id", Uuid, ForeignKey("events.id", ondelete="CASCADE"), primary_key=True),
    Column("endpoint_id", Uuid, ForeignKey("endpoints.id", ondelete="CASCADE"), primary_key=True),
    Column("attempts", Integer, nullable=False),
    Column("last_at", _TIME, nullable=True),
    Column("outcome", Text, nullable=False),
)
