"""Messages in the database: each once, sealed, in the order in which they were said.

Owns their rows, and that storing one asks for the person to be scored, in the same transaction.
Does not know who may store or read them (`gate`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, func, select, text, tuple_

from sottovoce.conversations import Message, Role, format_time
from sottovoce.service.database import Frequent
from sottovoce.service.gate import Case
from sottovoce.service.refusals import Conflict
from sottovoce.service.tables import messages

Spot = tuple[datetime, int, int]
"""Where a message stands among a person's: its time, the batch that it came in, its place there."""

_IN_ORDER = (messages.c.at, messages.c.revision, messages.c.position)


@dataclass(frozen=True, slots=True)
class Said:
    """A message as an app sends it.

    Parameters
    ----------
    message_id, conversation_id
        The app's own.
    role, content
        Who said what.
    sent_at
        When, by the app's clock.
    """

    message_id: str
    conversation_id: str
    role: Role
    content: str
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a batch.

    Parameters
    ----------
    new, known
        Messages that were stored now, and those that were there already, the same.
    ahead
        New messages whose time lay ahead of the service's clock; they count as said when they came.
    """

    new: int
    known: int
    ahead: int


@dataclass(frozen=True, slots=True)
class Kept:
    """A message as it is kept.

    Parameters
    ----------
    said
        As it was sent.
    at
        When it counts as said: when it was sent, but never after it came.
    """

    said: Said
    at: datetime

    @property
    def message(self) -> Message:
        """The message as windows are cut from."""
        return Message(self.said.role, self.said.content, self.at)


def add(case: Case, batch: Sequence[Said], delay: timedelta) -> Stored:
    """Store a batch, all or nothing, and ask for the person to be scored.

    Parameters
    ----------
    case
        Of the action `messages.add`.
    batch
        In any order; may hold what was stored before, or the same twice.
    delay
        How long the scoring waits for more.

    Raises
    ------
    Conflict
        If an id was used before for something else.
    """
    digests = [case.index.of(case.person, "message", each.message_id) for each in batch]
    unique = dict(zip(digests, batch, strict=True))
    if any(unique[digest] != said for digest, said in zip(digests, batch, strict=True)):
        raise Conflict("two messages of the batch share an id; give every message one of its own")
    early = _in_order(case, batch)
    columns: dict[str, list[Any]] = {
        "digests": list(unique),
        "ats": [early.get(said.sent_at, said.sent_at) for said in unique.values()],
        "sealed": [case.key.seal(_record(said), _place(key)) for key, said in unique.items()],
    }
    new = _store(case, columns, delay)
    _check_known(case, {digest: said for digest, said in unique.items() if digest not in new})
    ahead = sum(unique[digest].sent_at > case.at for digest in new)
    return Stored(len(new), len(unique) - len(new), ahead)


_STORE = Frequent(
    text(
        """
    WITH added AS (
        INSERT INTO messages (person_id, digest, at, revision, position, received_at, sealed)
        SELECT :person, digest, at, :revision, position, :received, sealed
        FROM unnest(:digests, :ats, :sealed) WITH ORDINALITY AS said (digest, at, sealed, position)
        ON CONFLICT DO NOTHING RETURNING digest
    ), changed AS (
        UPDATE people SET version = version + 1, revision = :revision
        WHERE id = :person AND EXISTS (SELECT FROM added)
    )
    SELECT array_agg(digest), sottovoce_later('score', :person, :due)
    FROM added HAVING count(*) > 0
    """
    )
)
"""Messages, the change that they are, and the job: one statement, since it is asked most often."""


def _store(case: Case, columns: dict[str, list[Any]], delay: timedelta) -> set[bytes]:
    """Store rows of a person whose own row is locked; give the digests of those that are new."""
    if not columns["digests"]:
        return set()
    given = {
        "person": case.person,
        "revision": case.revision + 1,
        "received": case.at,
        "due": case.at + delay,
    }
    found = _STORE.first(case.connection, **given, **columns)
    return set() if found is None else set(found[0])


def since(case: Case, moment: datetime | None = None) -> Iterator[Kept]:
    """Give the messages said from a moment on, all by default, in the order of time."""
    asked = select(messages).where(messages.c.person_id == case.person)
    if moment is not None:
        asked = asked.where(messages.c.at >= moment)
    for row in case.connection.execute(asked.order_by(*_IN_ORDER)):
        yield _kept(case, row)


def page(case: Case, after: Spot | None, limit: int) -> tuple[list[Kept], Spot | None]:
    """Give the next messages in the order of time, and where to go on; None at the end."""
    asked = select(messages).where(messages.c.person_id == case.person)
    if after is not None:
        asked = asked.where(tuple_(*_IN_ORDER) > after)
    rows = case.connection.execute(asked.order_by(*_IN_ORDER).limit(limit + 1)).all()
    shown = rows[:limit]
    last = shown[-1] if len(rows) > limit else None
    more = None if last is None else (last.at, last.revision, last.position)
    return [_kept(case, row) for row in shown], more


def newest(case: Case) -> datetime | None:
    """Give when the newest message was said; None where there is none."""
    asked = select(func.max(messages.c.at)).where(messages.c.person_id == case.person)
    return case.connection.execute(asked).scalar()


def _in_order(case: Case, batch: Sequence[Said]) -> dict[datetime, datetime]:
    """Give the times that count for those that lie ahead: now, one microsecond after another.

    An app's clock that is a little ahead must not mix questions and answers up.
    """
    ahead = sorted({each.sent_at for each in batch if each.sent_at > case.at}, reverse=True)
    return {sent: case.at - timedelta(microseconds=late) for late, sent in enumerate(ahead)}


def _check_known(case: Case, known: dict[bytes, Said]) -> None:
    if not known:
        return
    asked = select(messages).where(
        messages.c.person_id == case.person, messages.c.digest.in_(known)
    )
    for row in case.connection.execute(asked):
        if _kept(case, row).said != known[bytes(row.digest)]:
            raise Conflict(
                "a message of the batch has the id of another one that is stored already; "
                "give it an id of its own"
            )


def _record(said: Said) -> dict[str, str]:
    return {
        "id": said.message_id,
        "conversation": said.conversation_id,
        "role": said.role,
        "content": said.content,
        "sent_at": format_time(said.sent_at),
    }


def _kept(case: Case, row: Row[tuple[object, ...]]) -> Kept:
    found = case.key.unseal(row.sealed, _place(bytes(row.digest)))
    sent = datetime.fromisoformat(found["sent_at"])
    said = Said(found["id"], found["conversation"], found["role"], found["content"], sent)
    return Kept(said, row.at)


def _place(digest: bytes) -> str:
    return f"messages:{digest.hex()}"
