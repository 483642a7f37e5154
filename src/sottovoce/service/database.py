"""The database: its engine, transactions, and bringing the schema up to date.

Owns how a connection is made and that no value ever stands in an error of it. Does not know what
is asked (`gate` and the modules behind it).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row
from psycopg.types.array import ListBinaryDumper
from sqlalchemy import ClauseElement, Connection, Engine, create_engine, event, text
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from sottovoce.errors import ServiceError

CONNECTIONS = 10
"""Connections that one process keeps. Ours: PostgreSQL allows 100 by default, so that some
processes fit; with two cores 10 are more than can work at once."""

WAIT_SECONDS = 10.0
"""How long a request waits for a connection before it is told to come back; ours."""

AWAY = (OperationalError, InterfaceError, PoolTimeout, psycopg.OperationalError)
"""What SQLAlchemy and psycopg raise when the database cannot be reached or is going down."""

MIGRATING = 0x50_54_54_4F
"""Number of the advisory lock under which one process migrates; any number, the same for all."""


SESSION = "-c timezone=UTC -c lock_timeout=10s -c idle_in_transaction_session_timeout=60s"
"""Of every session. UTC: west of Greenwich the first hours of the year 1 would lie before it, and
Python could not read a row any more that somebody dated so. The two limits are ours: a request that
waits for a locked row is told to come back as one that waits for a connection is, and a process
that hangs in a transaction does not hold its locks for ever."""
_PSYCOPG = make_url("postgresql+psycopg://").get_dialect()()


class Database:
    """A PostgreSQL database.

    Parameters
    ----------
    url
        Of the server and database; psycopg 3 is used, whatever the scheme says.
    connections
        How many are kept at most.
    """

    def __init__(self, url: str, connections: int = CONNECTIONS) -> None:
        self.url = make_url(url).set(drivername="postgresql+psycopg")
        self.engine: Engine = create_engine(
            self.url,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=WAIT_SECONDS,
            hide_parameters=True,
            connect_args={
                "connect_timeout": int(WAIT_SECONDS),
                "application_name": "sottovoce",
                "options": f"{self.url.query.get('options', '')} {SESSION}".strip(),
            },
        )
        event.listen(self.engine, "handle_error", _without_values)
        event.listen(self.engine, "connect", _send_lists_as_bytes)
        self._alone = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @property
    def conninfo(self) -> str:
        """The address as libpq takes it, with the password."""
        return self.url.set(drivername="postgresql").render_as_string(hide_password=False)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Give a connection whose work is committed in the end, or undone by an error."""
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def asking(self) -> Iterator[Connection]:
        """Give a connection for single questions, each a transaction of its own.

        One trip to the server instead of three; and no rollback at the end, after which psycopg
        forgets every statement that it has prepared on the connection.
        """
        with self._alone.connect() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection that is not in use."""
        self.engine.dispose()

    def check(self) -> None:
        """Ask the server anything.

        Raises
        ------
        ServiceError
            If there is no answer.
        """
        try:
            with self.engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except OperationalError:
            raise ServiceError(
                "the database does not answer; look whether it runs and what its address is "
                "(SOTTOVOCE_DATABASE_URL)"
            ) from None

    def revision(self) -> str | None:
        """Give the step that the schema stands at; None where there is none."""
        from alembic.migration import MigrationContext

        with self.engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()

    def require_newest(self) -> None:
        """Raise ServiceError unless the schema is the one that this program knows."""
        self.check()
        if self.revision() != newest_revision():
            raise ServiceError(
                "the database's schema is not this version's; run: sottovoce serve --migrate"
            )

    def migrate(self, to: str = "head") -> None:
        """Bring the schema forward; of several processes one does it, the others wait.

        Raises
        ------
        ServiceError
            If the database does not answer, is of a newer version than this program, or a step
            fails; nothing of a step that fails is kept.
        """
        from alembic import command
        from alembic.util import CommandError

        self.check()
        known = newest_revision()
        try:
            with self.engine.begin() as connection:
                connection.execute(text("SET LOCAL lock_timeout = 0"))  # however long it takes
                connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": MIGRATING})
                command.upgrade(_configuration(connection), to)
        except CommandError:
            raise ServiceError(
                f"the database's schema is not one that this version knows (it knows {known}); "
                "install the version that made it, or a newer one"
            ) from None
        except SQLAlchemyError as error:
            raise ServiceError(
                f"the schema could not be brought forward ({type(error).__name__}); nothing was "
                "changed: look into the database's log"
            ) from None


class Frequent:
    """A statement that every request runs: written out once, and given to psycopg itself.

    SQLAlchemy's own part of running one takes 60 microseconds of 100 [measured]; a request that
    stores a message runs five.

    Parameters
    ----------
    statement
        With every value that changes as a parameter with a name.
    """

    def __init__(self, statement: ClauseElement) -> None:
        written = statement.compile(dialect=_PSYCOPG)
        self._text, self._fixed = str(written), written.params

    def all(self, connection: Connection, **values: Any) -> list[Any]:
        """Run it in a connection's transaction; give the rows, if it has any.

        Raises
        ------
        psycopg.Error
            Whatever the server refuses it for.
        """
        own: Any = connection.connection.driver_connection
        try:
            with own.cursor(row_factory=namedtuple_row) as cursor:
                cursor.execute(self._text, self._fixed | values)
                # its `description` would say the same and make an object of every column
                found = cursor.pgresult
                return list(cursor.fetchall()) if found is not None and found.nfields else []
        except psycopg.Error as error:
            if own.closed:  # SQLAlchemy finds out, and drops every connection to that server
                connection.exec_driver_sql("SELECT 1")
            _silence(error)
            raise

    def first(self, connection: Connection, **values: Any) -> Any:
        """Give the first row; None where there is none."""
        rows = self.all(connection, **values)
        return rows[0] if rows else None


def _send_lists_as_bytes(connection: "psycopg.Connection[Any]", _: object) -> None:
    """Let psycopg send arrays in PostgreSQL's binary form; as text every element is escaped.

    Half of the time that storing 50 messages took went into that [measured].
    """
    connection.adapters.register_dumper(list, ListBinaryDumper)


def _without_values(context: ExceptionContext) -> None:
    """Keep the server's own words out of an error: its DETAIL repeats whole rows."""
    error = context.original_exception
    told = context.sqlalchemy_exception
    if isinstance(error, psycopg.Error) and _silence(error) and told is not None:
        told.args = (f"{type(error).__name__}, {error.args[0]}",)


def _silence(error: psycopg.Error) -> bool:
    """Leave an error of the server its code alone; give whether it has one."""
    if error.sqlstate is not None:
        error.args = (f"SQLSTATE {error.sqlstate}",)
    return error.sqlstate is not None


@cache
def newest_revision() -> str:
    """Give the newest step that this version knows, read once: every probe asks for it."""
    from alembic.script import ScriptDirectory

    newest = ScriptDirectory.from_config(_configuration(None)).get_current_head()
    assert newest is not None
    return newest


def suits(revision: str) -> bool:
    """Whether a schema is this program's, or a newer one.

    While a new version is rolled out the one before goes on working on the schema that the new
    one made: a step adds, and what it replaces goes in a later version's step.
    """
    return revision == newest_revision() or not _known(revision)


def _known(revision: str) -> bool:
    """Whether a step is one of this version's."""
    from alembic.script import ScriptDirectory

    steps = ScriptDirectory.from_config(_configuration(None)).walk_revisions()
    return revision in {each.revision for each in steps}


def _configuration(connection: Connection | None):  # type: ignore[no-untyped-def]
    from alembic.config import Config

    folder = Path(__file__).parent / "migrations"
    configuration = Config()
    configuration.set_main_option("script_location", str(folder).replace("%", "%%"))
    configuration.attributes["connection"] = connection
    return configuration
