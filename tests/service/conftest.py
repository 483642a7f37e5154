"""One real PostgreSQL for all tests of a process, and an empty database for a test."""

import io
import logging
import sys
import threading
import warnings
from contextlib import closing
from itertools import count

import psycopg
import pytest
import structlog
from sqlalchemy import text
from tests import serving

from sottovoce.service import logs
from sottovoce.service.database import Database
from sottovoce.service.embedded import Embedded
from sottovoce.service.masterkeys import new_master_keys
from sottovoce.service.opening import open_gate
from sottovoce.service.tables import metadata

EMPTIED = [*(set(metadata.tables) - {"audit_heads"}), "procrastinate_jobs"]
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
    with _server(postgres) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")  # no test pulls the plug
        connection.execute("SELECT pg_reload_conf()")
        connection.execute(f"CREATE DATABASE {name}")
    made = Database(_url(postgres, name))
    made.migrate()
    made.close()
    return name


@pytest.fixture(scope="session")
def new_database(postgres, template):
    """Give the URL of a new migrated database each time it is called.

    They go with the server's folder: dropping one takes up to a second and a half.
    """

    def make() -> str:
        name = next(NAMES)
        with _server(postgres) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return _url(postgres, name)

    return make


@pytest.fixture(scope="session")
def only_database(new_database):
    """Give the URL of the database that tests have one after the other."""
    return new_database()


@pytest.fixture
def database(only_database):
    """A migrated database with nothing in it."""
    opened = Database(only_database)
    yield opened
    with opened.transaction() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))  # no triggers
        connection.execute(text(f"TRUNCATE {', '.join(EMPTIED)} CASCADE"))
        connection.execute(text("UPDATE audit_heads SET number = 0, mac = ''"))
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
def world(new_database):
    """An app that the tests of a module share, on a database of their own."""
    with (
        closing(Database(new_database())) as database,
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


def _server(postgres):
    return psycopg.connect(postgres.url.replace("+psycopg", "", 1), autocommit=True)


def _url(postgres, name: str) -> str:
    return postgres.url.replace("/postgres?", f"/{name}?", 1)
