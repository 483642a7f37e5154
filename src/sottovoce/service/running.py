"""A service put together from its settings: database, keys, gate.

Owns the order of a start: the embedded server where no other is named, the schema brought forward,
the master key, the gate. Every command of the service begins with it.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from sottovoce.service.database import Database
from sottovoce.service.embedded import Embedded
from sottovoce.service.gate import Gate
from sottovoce.service.masterkeys import open_keeper
from sottovoce.service.opening import open_gate
from sottovoce.service.settings import ServiceSettings

CLUSTER = "postgresql"
"""Folder of the embedded server in the data folder."""


@dataclass(frozen=True, slots=True)
class Running:
    """What a command of the service works with."""

    settings: ServiceSettings
    database: Database
    gate: Gate = field(repr=False)
    embedded: Embedded | None = None


@contextmanager
def running(settings: ServiceSettings) -> Iterator[Running]:
    """Put a service together, and close it in the end.

    The schema of an embedded server is brought forward; of another one it has to be already.

    Raises
    ------
    ServiceError
        If the database or the master key cannot be used.
    """
    with served(settings) as (database, embedded):
        if embedded is not None:
            database.migrate()
        database.require_newest()
        gate = open_gate(database, open_keeper(settings))
        yield Running(settings, database, gate, embedded)


@contextmanager
def served(settings: ServiceSettings) -> Iterator[tuple[Database, Embedded | None]]:
    """Give the database that the settings name, in whatever state, and its embedded server."""
    with ExitStack() as stack:
        embedded = None
        url = settings.database_url
        if url is None:
            embedded = stack.enter_context(Embedded(settings.data_dir / CLUSTER))
            url = embedded.url
        database = Database(url)
        stack.callback(database.close)
        yield database, embedded
