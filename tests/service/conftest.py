"""One real PostgreSQL for all tests of a process, and an empty database for a test."""

from itertools import count

import psycopg
import pytest

from sottovoce.service.database import Database
from sottovoce.service.embedded import Embedded

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
    name = "template_of_tests"
    address = postgres.url.replace("+psycopg", "", 1)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    made = Database(postgres.url.replace("/postgres?", f"/{name}?", 1))
    made.migrate()
    made.close()
    return name
