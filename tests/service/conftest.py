"""One PostgreSQL server a process; every test has a database of its own, copied from a template."""

import secrets

import pytest
from sqlalchemy import create_engine, text

from sottovoce.service.database import Database
from sottovoce.service.embedded import Embedded
from sottovoce.service.masterkeys import new_master_keys
from sottovoce.service.opening import open_gate


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """Run an embedded PostgreSQL as long as the tests run."""
    with Embedded(tmp_path_factory.mktemp("postgres")) as running:
        yield running


@pytest.fixture(scope="session")
def administration(postgres):
    """The server's own database, in which every statement stands alone."""
    engine = create_engine(postgres.url, isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def programs(postgres):
    """Where the programs of the server are."""
    return postgres.programs


@pytest.fixture(scope="session")
def template(administration):
    """Name of a migrated database, which is only ever copied."""
    _run(administration, "CREATE DATABASE template_of_tests")
    made = Database(_url(administration, "template_of_tests"))
    made.migrate()
    made.close()
    return "template_of_tests"


@pytest.fixture
def new_database(administration):
    """Give an address of a new database; of an empty one, or of a copy."""
    names = []

    def make(template: str = "template0") -> str:
        names.append(f"test_{secrets.token_hex(8)}")
        _run(administration, f"CREATE DATABASE {names[-1]} TEMPLATE {template}")
        return _url(administration, names[-1])

    yield make
    for name in names:
        _run(administration, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
def empty_database(new_database):
    """Give the address of a database with nothing in it, dropped after the test."""
    return new_database()


@pytest.fixture
def database(new_database, template):
    """A migrated database."""
    opened = Database(new_database(template))
    yield opened
    opened.close()


@pytest.fixture
def gate(database):
    """The gate of a migrated database, under a master key of its own."""
    return open_gate(database, new_master_keys())


def _run(administration, statement: str) -> None:
    with administration.connect() as connection:
        connection.execute(text(statement))


def _url(administration, name: str) -> str:
    return administration.url.set(database=name).render_as_string(hide_password=False)
