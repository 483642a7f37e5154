"""One PostgreSQL server a process; every test has a database of its own, copied from a template."""

import secrets
from unittest.mock import patch

import pytest
from sqlalchemy import create_engine, text

from sottovoce.service import embedded
from sottovoce.service.database import Database
from sottovoce.service.masterkeys import new_master_keys
from sottovoce.service.opening import open_gate


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """Run an embedded PostgreSQL as long as the tests run.

    It does not wait for the disk, as nobody pulls its plug; tests that kill one start their own.
    """
    running = embedded.Embedded(tmp_path_factory.mktemp("postgres"))
    with patch.dict(embedded.DURABLE, fsync="off"):
        running.start()
    yield running
    running.stop()


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
def template(new_database):
    """Name of a migrated database, which is only ever copied."""
    made = Database(new_database())
    made.migrate()
    made.close()
    return made.url.database


@pytest.fixture(scope="session")
def new_database(administration):
    """Give an address of a new database; of an empty one, or of a copy.

    They go with the server's folder: dropping one takes up to a second and a half.
    """

    def make(template: str = "template0") -> str:
        name = f"test_{secrets.token_hex(8)}"
        with administration.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
        return administration.url.set(database=name).render_as_string(hide_password=False)

    return make


@pytest.fixture
def empty_database(new_database):
    """Give the address of a database with nothing in it."""
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
