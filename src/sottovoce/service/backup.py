"""Backups: the whole database in one checked file, and back into an empty database.

Owns the file, its checksum and the order of a restore. Does not know tables: what brings an older
schema forward and what forgets people again is given by the caller.

Messages in a backup are ciphertext, and the master key is not in it: whoever has both can read
them. A person who was erased after a backup was made is still in it, so that a restore forgets them
again before anybody is let in.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy.engine import make_url

from sottovoce.errors import MissingExtraError, ServiceError
from sottovoce.service.programs import reason, wheel_programs

FILLED = """
SELECT count(*) FROM (
    SELECT relnamespace FROM pg_class UNION ALL SELECT pronamespace FROM pg_proc
) AS thing (namespace) JOIN pg_namespace ON pg_namespace.oid = namespace
WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
"""

OTHERS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
AND coalesce(backend_type, 'client backend') = 'client backend'
"""

SCHEMAS = """
SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
"""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was read back whole after it was written.

    Parameters
    ----------
    path
        The file, in PostgreSQL's custom format.
    size
        In bytes.
    sha256
        In hexadecimal digits, as in the file beside it.
    """

    path: Path
    size: int
    sha256: str


def checksum_file(path: Path) -> Path:
    """Give where the checksum of a backup stands, in the form that `sha256sum --check` reads."""
    return path.with_name(f"{path.name}.sha256")


def backup(
    url: str, path: str | Path, programs: Path | None = None, *, force: bool = False
) -> Backup:
    """Write the database as it is at this moment, while it is used, into a file for its owner only.

    Parameters
    ----------
    url
        Of the database.
    path
        Of the file. It has its name only when it is whole and was read back.
    programs
        Folder of pg_dump and pg_restore; by default PATH and then the wheel are searched for a
        version that is not older than the server.
    force
        Whether a file of that name is replaced.

    Raises
    ------
    ServiceError
        If the database cannot be read, the file cannot be written or it would be overwritten.
    """
    path = Path(path).absolute()
    if path.exists() and not force:
        raise ServiceError(f"{path}: is there already; choose another name, or replace it by force")
    server = _Server(url)
    found = _fitting(server.version(), programs)
    try:
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=path.parent) as made:
            partial = Path(made) / path.name
            what = ("--format=custom", "--no-owner", "--no-privileges", f"--file={partial}")
            server.run(found / "pg_dump", *what, where=path)
            partial.chmod(0o600)
            _read_back(partial, found, path)
            with partial.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
                os.fsync(stream.fileno())
            told = checksum_file(partial)
            told.write_text(f"{digest}  {path.name}\n", "utf-8")
            told.chmod(0o600)
            size = partial.stat().st_size
            told.replace(checksum_file(path))
            partial.replace(path)
    except OSError as error:
        raise ServiceError(
            f"{path}: the backup cannot be written there ({error.strerror}); choose another place"
        ) from None
    return Backup(path, size, digest)


def verify(path: str | Path, programs: Path | None = None) -> Backup:
    """Check a backup against its checksum, if that is beside it, and read it whole.

    Raises
    ------
    ServiceError
        If it is missing, changed or cannot be read.
    """
    path = Path(path).absolute()
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        beside = checksum_file(path)
        expected = beside.read_text("utf-8").split()[:1] if beside.exists() else [digest]
    except OSError as error:
        raise ServiceError(
            f"{path}: the backup cannot be read ({error.strerror}); name the file of a backup"
        ) from None
    if expected != [digest]:
        raise ServiceError(
            f"{path}: is not the file that {checksum_file(path).name} was made for; take another "
            "copy of both"
        )
    _read_back(path, _newest(programs), path)
    return Backup(path, path.stat().st_size, digest)


@dataclass(frozen=True, slots=True)
class Afterwards:
    """What makes a restored database one that may be used again.

    Parameters
    ----------
    migrate
        Brings the schema of the backup forward to the one of this version.
    reapply
        Erases again whoever was erased since the backup was made.
    """

    migrate: Callable[[], object]
    reapply: Callable[[], object]


def restore(
    path: str | Path,
    url: str,
    after: Afterwards,
    programs: Path | None = None,
    *,
    force: bool = False,
) -> Backup:
    """Put a backup into a database that nobody uses: all of it or nothing, then what comes after.

    Parameters
    ----------
    path
        Of the backup; it is verified first.
    url
        Of an empty database.
    after
        Run in this order when the data are in. If one fails, the database must not be used before
        a restore was repeated.
    programs
        As for `backup`.
    force
        Whether everything that is in the database is deleted first.

    Raises
    ------
    ServiceError
        If the backup or the database cannot be used.
    """
    server = _Server(url)
    found = _fitting(server.version(), programs)
    checked = verify(path, found)
    _make_room(server, force=force)
    what = ("--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges")
    server.run(found / "pg_restore", *what, str(checked.path), where=checked.path)
    after.migrate()
    after.reapply()
    return checked


class _Server:
    """A database by its URL, for PostgreSQL's programs: its password stays off command lines."""

    def __init__(self, url: str) -> None:
        plain = make_url(url).set(drivername="postgresql")
        self.address = plain.render_as_string(hide_password=False)
        parts = conninfo_to_dict(self.address)
        password = parts.pop("password", None)
        if "sslpassword" in parts:
            raise ServiceError(
                "the database's URL has sslpassword, which others would see in the list of "
                "processes; use a client key without a passphrase"
            )
        self._public = make_conninfo(**{name: str(value) for name, value in parts.items()})
        self._secret = {} if password is None else {"PGPASSWORD": str(password)}

    def connect(self) -> psycopg.Connection:
        try:
            return psycopg.connect(self.address, autocommit=True)
        except psycopg.OperationalError:
            raise ServiceError(
                "the database does not answer; look whether it runs and what its address is"
            ) from None

    def version(self) -> int:
        """Give the major version."""
        with self.connect() as connection:
            return connection.info.server_version // 10_000

    def run(self, program: Path, *arguments: str, where: Path) -> None:
        chosen = os.environ | self._secret | {"LC_ALL": "C"}
        command = [str(program), "--no-password", f"--dbname={self._public}", *arguments]
        done = subprocess.run(  # noqa: S603, a program of PostgreSQL and no shell
            command, env=chosen, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        if done.returncode:
            said = reason(done.stderr.decode("utf-8", "replace"))
            raise ServiceError(f"{where}: {program.name} failed: {said}")


def _make_room(server: _Server, *, force: bool) -> None:
    """Refuse a database that is used or, without force, filled; else empty it."""
    with server.connect() as connection:
        if _count(connection, OTHERS):
            raise ServiceError("the database is in use; stop the service and its workers first")
        if not _count(connection, FILLED):
            return
        if not force:
            raise ServiceError(
                "the database is not empty; restore into a new one, or delete all of it by force"
            )
        with connection.transaction():
            for (name,) in connection.execute(SCHEMAS).fetchall():
                named = psycopg.sql.Identifier(name)
                connection.execute(psycopg.sql.SQL("DROP SCHEMA {} CASCADE").format(named))
            connection.execute("CREATE SCHEMA public")


def _count(connection: psycopg.Connection, query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


def _read_back(path: Path, programs: Path, named: Path) -> None:
    """Read every byte of a backup as a restore would; the list of contents stands at its begin."""
    command = [str(programs / "pg_restore"), f"--file={os.devnull}", str(path)]
    done = subprocess.run(  # noqa: S603, a program of PostgreSQL and no shell
        command, env=os.environ | {"LC_ALL": "C"}, capture_output=True, check=False
    )
    if done.returncode:
        said = reason(done.stderr.decode("utf-8", "replace"))
        raise ServiceError(f"{named}: is no whole backup: {said}")


def _fitting(server: int, given: Path | None) -> Path:
    """Give a folder of programs for a server: of its version, or else the next newer.

    Older ones cannot read it; newer ones may set on a restore what it does not know.
    """
    versions = _versions(given)
    fitting = [pair for pair in versions if pair[0] >= server]
    if not fitting:
        newest = max((version for version, _ in versions), default=0)
        raise ServiceError(
            f"the server is PostgreSQL {server} and "
            + (f"the newest pg_dump here is of {newest}" if newest else "there is no pg_dump here")
            + f"; install the client programs of PostgreSQL {server} or newer"
        )
    return min(fitting)[1]


def _newest(given: Path | None) -> Path:
    """Give the folder of programs that can read the most backups: all that are not newer."""
    versions = _versions(given)
    if not versions:
        raise ServiceError("there is no pg_restore here; install the client programs of PostgreSQL")
    return max(versions)[1]


def _versions(given: Path | None) -> list[tuple[int, Path]]:
    folders = _places() if given is None else [given]
    return [(version, folder) for folder in folders if (version := _version(folder))]


def _places() -> list[Path]:
    found = shutil.which("pg_dump")
    places = [] if found is None else [Path(found).parent]
    try:
        return [*places, wheel_programs()]
    except (MissingExtraError, ServiceError):
        return places


def _version(programs: Path) -> int:
    """Give the major version of pg_dump and pg_restore in a folder, 0 where they do not run."""
    found = []
    for name in ("pg_dump", "pg_restore"):
        command = [str(programs / name), "--version"]
        try:
            told = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
            found.append(int(told.stdout.split("(PostgreSQL) ")[1].split(".")[0]))
        except (OSError, subprocess.CalledProcessError, IndexError, ValueError):
            return 0
    return min(found)
