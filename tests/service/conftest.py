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
def template(postgres):
    """Name of a migrated database, which is only ever copied."""
    made = Database(_created(postgres, "template_of_tests"))
    made.migrate()
    made.close()
    return "template_of_tests"


@pytest.fixture
def database(postgres, template):
    """Give a migrated database, dropped after the test."""
    name = next(NAMES)
    opened = Database(_created(postgres, name, template))
    yield opened
    opened.close()
    _run(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def gate(database):
    """Give the gate of a migrated database, under a master key of its own."""
    return open_gate(database, new_master_keys())


def _created(postgres, name, template="template0"):
    _run(postgres, f"CREATE DATABASE {name} TEMPLATE {template}")
    return postgres.url.replace("/postgres?", f"/{name}?", 1)


def _run(postgres, statement):
    with psycopg.connect(postgres.url.replace("+psycopg", "", 1), autocommit=True) as connection:
        connection.execute(statement)
