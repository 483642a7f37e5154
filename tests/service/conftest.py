"""One PostgreSQL server a process; every test has a database of its own, copied from a template."""

import io
import logging
import secrets
import sys
import threading
import warnings
from contextlib import closing

import pytest
import structlog
from sqlalchemy import create_engine, text
from tests import serving

from sottovoce.service import logs
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


@pytest.fixture(scope="session")
def new_database(administration):
    """Give an address of a new database; of an empty one, or of a copy.

    They go with the server's folder: dropping one takes up to a second and a half.
    """

    def make(template: str = "template0") -> str:
        name = f"test_{secrets.token_hex(8)}"
        _run(administration, f"CREATE DATABASE {name} TEMPLATE {template}")
        return _url(administration, name)

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


@pytest.fixture
def stage(gate):
    """An app with a key of each role, and nobody in its database."""
    with serving.staged(gate) as made:
        yield made


@pytest.fixture
def stage_with(gate):
    """Give an app with other settings: ``with stage_with(production=True) as stage``."""
    return lambda **chosen: serving.staged(gate, **chosen)


@pytest.fixture(scope="module")
def world(new_database, template):
    """An app that the tests of a module share, on a database of their own."""
    with (
        closing(Database(new_database(template))) as database,
        serving.staged(open_gate(database, new_master_keys())) as made,
    ):
        yield made


@pytest.fixture
def written():
    """Configure logs into a string, and put everything back afterwards."""
    before = (
        warnings.showwarning, sys.excepthook, threading.excepthook, sys.unraisablehook,
        logging.raiseExceptions, logging.getLogger().handlers[:], logging.getLogger().level,
    )  # fmt: skip
    stream = io.StringIO()
    logs.configure(logging.DEBUG, stream)
    yield stream
    structlog.reset_defaults()
    warnings.showwarning, sys.excepthook, threading.excepthook, sys.unraisablehook = before[:4]
    logging.raiseExceptions = before[4]
    logging.getLogger().handlers[:] = before[5]
    logging.getLogger().setLevel(before[6])


def _run(administration, statement: str) -> None:
    with administration.connect() as connection:
        connection.execute(text(statement))


def _url(administration, name: str) -> str:
    return administration.url.set(database=name).render_as_string(hide_password=False)
