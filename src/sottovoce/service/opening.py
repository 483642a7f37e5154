"""From settings to a gate: the keys of the database as a whole, made once and kept wrapped.

Owns these keys and what rotating the master key rewraps. Does not know people's data.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, Update, and_, exists, select, update
from sqlalchemy.dialects.postgresql import insert

from sottovoce.errors import ServiceError
from sottovoce.service.database import Database
from sottovoce.service.gate import Clock, Gate, now
from sottovoce.service.masterkeys import KeyKeeper
from sottovoce.service.sealing import Index, new_key, wrapped_by
from sottovoce.service.tables import audit, endpoints, people, secrets

REWRAPPED_AT_ONCE = 500
"""Rows of one transaction of a rotation; ours: short enough to hold nobody up."""


def open_gate(database: Database, keeper: KeyKeeper, clock: Clock = now) -> Gate:
    """Open the gate of a migrated database.

    Raises
    ------
    ServiceError
        If the master key is not the one that the database was made with, or the database has lost
        a key of its own.
    """
    _check_whole(database)
    index = database_key(database, keeper, "index")
    return Gate(database, keeper, Index(index), database_key(database, keeper, "audit"), clock)


def _check_whole(database: Database) -> None:
    """Refuse to make new keys where old ones are missing: nobody would be found again."""
    used = (("index", exists(select(people.c.id))), ("audit", exists(select(audit.c.lane))))
    with database.transaction() as connection:
        for name, there in used:
            gone = and_(there, ~exists(select(secrets.c.name).where(secrets.c.name == name)))
            if connection.execute(select(gone)).scalar():
                raise ServiceError(
                    f"the database's own key {name} is gone from the table secrets; restore that "
                    "table from a backup"
                )


def database_key(database: Database, keeper: KeyKeeper, name: str) -> bytes:
    """Give a key of the database as a whole; who comes first makes it."""
    asked = select(secrets.c.key_id, secrets.c.wrapped).where(secrets.c.name == name)
    with database.transaction() as connection:
        found = connection.execute(asked).one_or_none()
        if found is None:
            _, key_id, wrapped = new_key(keeper, name.encode())
            row = {"name": name, "key_id": key_id, "wrapped": wrapped}
            connection.execute(insert(secrets).values(**row).on_conflict_do_nothing())
            found = connection.execute(asked).one()
    return keeper.unwrap(found.key_id, found.wrapped, name.encode())


@dataclass(frozen=True, slots=True)
class _Wrapped:
    """Where wrapped keys stand: table, what names a row, the column, and the context."""

    table: Table
    name: str
    column: str


_WRAPPED = (
    _Wrapped(secrets, "name", "wrapped"),
    _Wrapped(people, "id", "wrapped_key"),
    _Wrapped(endpoints, "id", "wrapped_secret"),
)


def rewrap(database: Database, keeper: KeyKeeper) -> int:
    """Wrap every key anew that another master key than the current one wrapped; give how many.

    What the keys sealed stays as it is. It may be stopped and begun again; requests go on
    meanwhile, as long as both master keys are there.
    """
    done = 0
    for place in _WRAPPED:
        while count := _some(database, keeper, place):
            done += count
    return done


def _some(database: Database, keeper: KeyKeeper, place: _Wrapped) -> int:
    columns, name = place.table.c, place.table.c[place.name]
    asked = select(name, columns.key_id, columns[place.column])
    old = asked.where(columns.key_id != keeper.current).order_by(name).limit(REWRAPPED_AT_ONCE)
    with database.engine.connect() as connection:
        rows = connection.execute(old).all()
    changes = [_rewrapped(keeper, place, row) for row in rows]  # may ask a key service: no locks
    with database.transaction() as connection:
        for change in changes:
            connection.execute(change)
    return len(rows)


def _rewrapped(keeper: KeyKeeper, place: _Wrapped, row: Any) -> Update:
    """Say how a row changes, unless another rotation was there first."""
    name, key_id, wrapped = row
    context = name.encode() if isinstance(name, str) else name.bytes
    key = keeper.unwrap(key_id, wrapped, context)
    current, again = wrapped_by(keeper, key, context)
    same = (place.table.c[place.name] == name) & (place.table.c.key_id == key_id)
    return update(place.table).where(same).values({"key_id": current, place.column: again})
