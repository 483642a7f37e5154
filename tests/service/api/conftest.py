"""The API on a real database, whose rows are deleted after each test.

Making a database for each of so many tests would take most of their time.
"""

from contextlib import closing

import pytest
from sqlalchemy import text
from tests import serving

from sottovoce.service.database import Database
from sottovoce.service.masterkeys import new_master_keys
from sottovoce.service.opening import open_gate
from sottovoce.service.tables import metadata

EMPTIED = [*(set(metadata.tables) - {"audit_heads"}), "procrastinate_jobs"]


@pytest.fixture(scope="session")
def new_copy(new_database, template):
    """Give the URL of a new migrated database each time it is called."""
    return lambda: new_database(template)


@pytest.fixture(scope="session")
def only_database(new_copy):
    """Give the URL of the database that tests have one after the other."""
    return new_copy()


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
    """The gate of the database, under a master key of its own."""
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
def world(new_copy):
    """An app that the tests of a module share, on a database of their own."""
    with (
        closing(Database(new_copy())) as database,
        serving.staged(open_gate(database, new_master_keys())) as made,
    ):
        yield made
