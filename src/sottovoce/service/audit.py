"""The audit log: who did what to whom, in chains that cannot be changed unseen.

Owns the entries, the chains and their verification. Does not know who may do what (`gate`).

Every entry's code is an HMAC, under a key that the database holds only wrapped, of its content, its
number and the code before it: whoever can write to the database but does not hold the master key
cannot change, remove or insert an entry. What they could do is cut a chain's newest entries off
together with its head; `heads`, kept elsewhere, show that. There are several chains, by person, so
that requests about different people do not wait for each other.

References
----------
Schneier and Kelsey 1999, Secure audit logs to support computer forensics,
doi:10.1145/317087.317089.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Connection,
    SmallInteger,
    any_,
    bindparam,
    exists,
    select,
    text,
    tuple_,
)

from sottovoce.conversations import format_time
from sottovoce.errors import ServiceError
from sottovoce.service.database import Frequent
from sottovoce.service.principals import Principal
from sottovoce.service.tables import audit, audit_heads

LANES = 16
"""Chains; as many rows as the first migration puts into `audit_heads`. Ours: more than the cores of
a machine that writes them."""

PAGE = 1000
"""Entries read at once while verifying."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What happened.

    Parameters
    ----------
    at
        When, timezone-aware UTC.
    account, key, role
        Who.
    action
        A name of `actions`.
    person
        Whom it is about, by the row's id; None where nobody is.
    outcome
        "ok", or why not: "forbidden", "not-found", "consent-missing", "failed".
    """

    at: datetime
    account: UUID | None
    key: UUID | None
    role: str
    action: str
    person: UUID | None
    outcome: str

    @classmethod
    def of(
        cls, who: Principal, action: str, person: UUID | None, outcome: str, at: datetime
    ) -> "Entry":
        """Say what a caller did."""
        return cls(at, who.account, who.key, who.role, action, person, outcome)

    @property
    def lane(self) -> int:
        """The chain that it goes into."""
        owner = self.person or self.account
        return 0 if owner is None else owner.int % LANES

    def mac(self, key: bytes, number: int, before: bytes) -> bytes:
        """Code of the entry at its place in a chain; 32 bytes."""
        named = (self.account, self.key, self.person)
        ids = [None if each is None else each.hex for each in named]
        said = [self.lane, number, format_time(self.at), *ids]
        said += [self.role, self.action, self.outcome]
        return hmac.new(key, json.dumps(said).encode() + before, hashlib.sha256).digest()


_HEADS = select(audit_heads.c.lane, audit_heads.c.number, audit_heads.c.mac)
_STRAYS = select(exists().where(~audit.c.lane.between(0, LANES - 1) | (audit.c.number < 1)))
_LOCKED = Frequent(
    _HEADS.where(audit_heads.c.lane == any_(bindparam("lanes", type_=ARRAY(SmallInteger))))
    .order_by(audit_heads.c.lane)
    .with_for_update()
)
_APPEND = text(
    """
    WITH added AS (
        INSERT INTO audit (lane, number, at, account_id, key_id, role, action, person_id, outcome,
                           mac)
        VALUES (:lane, :number, :at, :account, :key, :role, :action, :person, :outcome, :mac)
    )
    UPDATE audit_heads SET number = :number, mac = :mac WHERE lane = :lane
    """
)
_APPEND_ONE = Frequent(_APPEND)


def append(connection: Connection, key: bytes, entries: Iterable[Entry]) -> None:
    """Write entries at the end of their chains, in the caller's transaction.

    The last thing a transaction should do: chains are locked until it ends, always in the same
    order.
    """
    waiting = list(entries)
    if not waiting:
        return
    lanes = sorted({each.lane for each in waiting})
    heads = {row.lane: (row.number, row.mac) for row in _LOCKED.all(connection, lanes=lanes)}
    rows = []
    for entry in sorted(waiting, key=lambda each: each.lane):
        number, before = heads[entry.lane]
        mac = entry.mac(key, number + 1, before)
        heads[entry.lane] = (number + 1, mac)
        rows.append(
            {
                "lane": entry.lane,
                "number": number + 1,
                "at": entry.at,
                "account": entry.account,
                "key": entry.key,
                "role": entry.role,
                "action": entry.action,
                "person": entry.person,
                "outcome": entry.outcome,
                "mac": mac,
            }
        )
    if len(rows) == 1:
        _APPEND_ONE.all(connection, **rows[0])
    else:
        connection.execute(_APPEND, rows)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verifying found.

    Parameters
    ----------
    entries
        How many were read.
    problem
        The first thing that is wrong, in a sentence; None where every chain holds.
    heads
        Number and code of each chain's end, to be kept elsewhere.
    """

    entries: int
    problem: str | None
    heads: Mapping[int, tuple[int, str]]


def verify(
    connection: Connection, key: bytes, anchors: Mapping[int, tuple[int, str]] | None = None
) -> Verdict:
    """Read every chain from its beginning.

    Parameters
    ----------
    connection
        Open; what is written meanwhile is not looked at where it reads one snapshot.
    key
        The audit key.
    anchors
        Heads that an earlier verification gave: each must still be there.
    """
    counted, found = 0, dict[int, tuple[int, str]]()
    if connection.execute(_STRAYS).scalar():
        return Verdict(0, "there are entries outside of every chain: they were inserted", found)
    expected = {row.lane: (row.number, bytes(row.mac)) for row in connection.execute(_HEADS)}
    for lane in range(LANES):
        number, before = 0, b""
        wanted = (anchors or {}).get(lane)
        for entry, said, mac in _chain(connection, lane):
            number += 1
            before = entry.mac(key, number, before)
            if said != number or entry.lane != lane or not hmac.compare_digest(before, mac):
                problem = f"chain {lane} is broken at entry {number}: it was changed or removed"
                return Verdict(counted, problem, found)
            if wanted is not None and number == wanted[0] and before.hex() != wanted[1]:
                problem = f"chain {lane} is another one than before at entry {number}"
                return Verdict(counted, problem, found)
            counted += 1
        if expected.get(lane, (0, b"")) != (number, before):
            return Verdict(counted, f"chain {lane} ends before its head: entries are gone", found)
        if wanted is not None and number < wanted[0]:
            lost = wanted[0] - number
            problem = f"chain {lane} has lost the newest {lost} of the entries known before"
            return Verdict(counted, problem, found)
        found[lane] = (number, before.hex())
    return Verdict(counted, None, found)


def read_anchors(record: object) -> dict[int, tuple[int, str]]:
    """Read heads as `verify` gave them and JSON kept them.

    Raises
    ------
    ServiceError
        If they are not of that form.
    """
    try:
        if not isinstance(record, dict):
            raise TypeError
        return {int(lane): (int(number), str(mac)) for lane, (number, mac) in record.items()}
    except (TypeError, ValueError):
        raise ServiceError(
            "these are no heads of an audit log; give the heads that audit verify --json printed"
        ) from None


def _chain(connection: Connection, lane: int) -> Iterator[tuple[Entry, int, bytes]]:
    """Give a chain's entries with their numbers and codes, a page at a time."""
    last = 0
    while True:
        place = tuple_(audit.c.lane, audit.c.number)
        asked = select(audit).where(audit.c.lane == lane, place > (lane, last))
        rows = connection.execute(asked.order_by(audit.c.number).limit(PAGE)).all()
        for row in rows:
            entry = Entry(
                row.at,
                row.account_id,
                row.key_id,
                row.role,
                row.action,
                row.person_id,
                row.outcome,
            )
            yield entry, row.number, bytes(row.mac)
        if len(rows) < PAGE:
            return
        last = rows[-1].number
