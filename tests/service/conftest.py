"""One real PostgreSQL for all tests of a process, and an empty database for a test."""

from itertools import count

import psycopg
import pytest

from sottovoce.service.database import Database
from sottovoce.service.embedded import Embedded
from sottovoce.service.masterkeys import new_master_keys
from sottovoce.service.opening import open_gate

NAMES = (f"test_{number}" for number in count())


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """Run an embedded PostgreSQL as long as the tests run."""
    with Embedded(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def empty_database(postgres):
    """Give the URL of a database with nothing in it, dropped after the test."""
    name = next(NAMES)
    address = postgres.url.replace("+psycopg", "", 1)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield postgres.url.replace("/postgres?", f"/{name}?", 1)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def migrated(postgres):
    """Give the name of a migrated database, which is only ever copied."""
    address = postgres.url.replace("+psycopg", "", 1)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE DATABASE migrated")
    made = Database(postgres.url.replace("/postgres?", "/migrated?", 1))
    made.migrate()
    made.close()
    return "migrated"


@pytest.fixture
def database(postgres, migrated):
    """Give a migrated database of its own."""
    name = next(NAMES)
    address = postgres.url.replace("+psycopg", "", 1)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {migrated}")
        opened = Database(postgres.url.replace("/postgres?", f"/{name}?", 1))
        yield opened
        opened.close()
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def gate(database):
    """Give the gate of a migrated database, under a master key of its own."""
    return open_gate(database, new_master_keys())
