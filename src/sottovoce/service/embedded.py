"""The embedded PostgreSQL: a cluster in a folder, shared by every process that asks for it.

Owns the folder, who is using it, and starting and stopping its server. Does not know databases,
tables or what is in them (`database`), nor where PostgreSQL's programs come from (`programs`).

Decisions and their reasons: docs/decisions/0017-an-embedded-postgresql.md.
"""

import fcntl
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psycopg
from psycopg.pq import Ping

from sottovoce.errors import ServiceError
from sottovoce.service.programs import MAJOR, Account, account, programs_for, reason

CLUSTER, SOCKET, LOG = "cluster", "socket", "log"
USERS, STARTING = "users.lock", "starting.lock"
PARTIAL = "cluster.partial"
OWN = {CLUSTER, SOCKET, LOG, USERS, STARTING, PARTIAL}

PORT = 5432
SOCKET_NAME = f".s.PGSQL.{PORT}"
"""There is no port, but the name of the socket has its number. Told to server and clients alike:
the environment may hold another one in PGPORT."""

LONGEST_SOCKET = 103
"""Bytes of the path of a Unix socket, the least of the supported systems: 107 on Linux (unix(7),
sun_path of 108 with its end), 103 on macOS (sys/un.h, 104)."""

FREE = 300 * 2**20
"""Bytes that must be free to make a cluster: a new one takes 39 MB [measured], its write-ahead log
keeps at least 80 MB (min_wal_size) when it is used, and a full disk stops PostgreSQL."""

SECONDS = 600
"""How long a start may take: after a crash the log since the last checkpoint, up to 1 GB
(max_wal_size), is replayed first."""

STOPPING = 60
"""Seconds that a server has to end its sessions and write what it holds (up to 128 MB of
shared_buffers), before it is told to drop everything and replay its log at the next start."""

PATIENCE = 5.0
"""Seconds until a server that does not take a connection is held to be busy, not gone."""

DURABLE = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
}
"""What makes an acknowledged message stay: asked of the server after each start."""

SILENT = {
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
    "log_min_messages": "log",
}
"""What keeps values out of the log: no statements, no parameters, no DETAIL (which quotes rows and
keys), and no ERROR, whose sentence quotes the value that does not fit; LOG, FATAL and PANIC stay.
PostgreSQL 18 documentation, 19.8."""

PLACES = {
    "listen_addresses": "",
    "unix_socket_directories": f"../{SOCKET}",
    "unix_socket_permissions": "0700",
    "logging_collector": "on",
    "log_directory": f"../{LOG}",
    "log_filename": "postgresql-%a.log",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_file_mode": "0600",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "cluster_name": "sottovoce",
}
"""Where it listens and writes, from its data folder: one socket, no network, a log file for each
day of the week, written over after seven."""


def running(folder: str | Path) -> bool:
    """Whether a server runs on the cluster in a folder: whether somebody listens at its socket."""
    with _within_reach(Path(folder).absolute() / SOCKET) as place:
        asking = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with asking:
            asking.settimeout(PATIENCE)
            try:
                asking.connect(str(place / SOCKET_NAME))
            except (FileNotFoundError, ConnectionRefusedError, PermissionError):
                return False
            except TimeoutError:  # somebody listens and is busy
                return True
    return True


class Embedded:
    """A PostgreSQL that runs while somebody uses it.

    Any number of processes may hold the same folder: the first starts the server, the others find
    it running, the last to leave stops it. Whoever is killed counts as gone. A server left behind
    by a killed process is taken over; a killed server is started again by `restart`.

    Parameters
    ----------
    folder
        Made if it does not exist, readable by nobody else, and used for nothing else.

    Examples
    --------
    ``with Embedded(folder) as postgres: create_engine(postgres.url)``
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).absolute()
        self._cluster = self.folder / CLUSTER
        self._account: Account | None = None
        self._programs: Path | None = None
        self._held: ExitStack | None = None
        self._users, self._place = -1, self.folder / SOCKET

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where SQLAlchemy finds the database `postgres` of the running server."""
        return f"postgresql+psycopg://{self._address}"

    @property
    def _address(self) -> str:
        self._started()
        return f"postgres@/postgres?host={quote(str(self._place), safe='')}&port={PORT}"

    @property
    def programs(self) -> Path:
        """The folder of PostgreSQL's programs (pg_dump, psql) of the server's version."""
        return self._started()[1]

    @property
    def pid(self) -> int | None:
        """The process id of the server, None if none runs."""
        return _process(self._cluster) if self.running() else None

    def running(self) -> bool:
        """Whether the server runs."""
        return running(self.folder)

    def start(self) -> None:
        """Make the cluster if there is none, and start its server if it does not run.

        Raises
        ------
        ServiceError
            If the folder cannot be used or the server does not start.
        MissingExtraError
            If PostgreSQL's wheel is not installed.
        """
        if self._held is not None:
            return self.restart()
        self._account = _prepared(self.folder)
        self._programs = programs_for(self._account)
        with ExitStack() as held:
            self._users = held.enter_context(_opened(self.folder / USERS, self._account))
            self._place = held.enter_context(_within_reach(self.folder / SOCKET))
            with _exclusive(self.folder / STARTING, self._account):
                self._make()
                self._launch()
                fcntl.flock(self._users, fcntl.LOCK_SH)
            self._held = held.pop_all()
        try:
            self._check()
        except BaseException:
            self._leave()
            raise
        return None

    def restart(self) -> None:
        """Start the server again if it died; what was committed is there.

        Raises
        ------
        ServiceError
            If it does not start.
        """
        who, _ = self._started()
        with _exclusive(self.folder / STARTING, who):
            self._launch()
        self._check()

    def stop(self) -> None:
        """Leave: the server stops, in order, if nobody else uses it.

        Raises
        ------
        ServiceError
            If it does not stop.
        """
        if self._held is None:
            return
        who, _ = self._started()
        try:
            with _exclusive(self.folder / STARTING, who):
                if self._alone() and self.running():
                    self._halt()
        finally:
            self._leave()

    def _leave(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None

    def _started(self) -> tuple[Account, Path]:
        if self._account is None or self._programs is None or self._held is None:
            raise ServiceError(f"{self.folder}: the embedded PostgreSQL is not started")
        return self._account, self._programs

    def _alone(self) -> bool:
        """Whether nobody else holds the folder; the own hold is given up or becomes exclusive."""
        try:
            fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _run(self, program: str, *arguments: str, folder: Path) -> tuple[int, str]:
        assert self._account is not None and self._programs is not None
        # root may have put the folder where the account cannot go; where it already stands it can
        place = "/proc/self/cwd" if self._account.other else str(folder)
        command = [str(self._programs / program), "-D", place, *arguments]
        done = self._account.run(command, folder=folder)
        return done.returncode, done.stdout

    def _make(self) -> None:
        """Make a cluster; the folder has its name only when it is whole."""
        assert self._account is not None
        if self._cluster.exists():
            return _refuse_other_version(self._cluster)
        free = shutil.disk_usage(self.folder).free
        if free < FREE:
            raise ServiceError(
                f"{self.folder}: {free // 2**20} MB are free and PostgreSQL needs "
                f"{FREE // 2**20} MB to begin; make room or choose another folder"
            )
        partial = self.folder / PARTIAL
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        self._account.own(partial)
        code, said = self._run("initdb", *_initial(), folder=partial)
        if code:
            shutil.rmtree(partial, ignore_errors=True)
            raise ServiceError(f"{self.folder}: initdb made no cluster: {reason(said)}")
        partial.rename(self._cluster)
        with _opened(self.folder, self._account, os.O_RDONLY) as folder:
            os.fsync(folder)  # or a power cut gives it its partial name back, and it is made anew
        return None

    def _launch(self) -> None:
        """Start the server unless it runs, in the hands of whoever has the lock."""
        if self.running():
            return
        log = self.folder / LOG
        given = " ".join(f"-c {name}='{value}'" for name, value in _settings().items())
        arguments = ("-w", "-t", str(SECONDS), "-l", f"../{LOG}/start.log", "-o", given, "start")
        limit = time.monotonic() + SECONDS
        while True:
            _disown(self.folder)
            before = _sizes(log)
            code, said = self._run("pg_ctl", *arguments, folder=self._cluster)
            if code == 0:
                return
            told = _added(before, log) + said
            # processes of a server that was killed are still on their way out
            if "shared memory block" not in told or time.monotonic() > limit:
                break
            time.sleep(0.1)
        raise ServiceError(f"{self.folder}: PostgreSQL does not start: {reason(told)}")

    def _halt(self) -> None:
        """Stop the server in order; at once if that takes too long, which loses nothing committed.

        Not while it replays its log after a crash: PostgreSQL 18.4 that was told to stop then
        finished the replay and went on for good [measured].
        """
        self._ready()
        for mode in ("fast", "immediate"):
            arguments = ("-m", mode, "-w", "-t", str(STOPPING), "stop")
            code, said = self._run("pg_ctl", *arguments, folder=self._cluster)
            if code == 0 or not self.running():
                return
        raise ServiceError(f"{self.folder}: PostgreSQL does not stop: {reason(said)}")

    def _ready(self) -> None:
        """Wait until the server takes connections, as long as it may take."""
        limit = time.monotonic() + SECONDS
        while time.monotonic() < limit:
            if psycopg.pq.PGconn.ping(f"postgresql://{self._address}".encode()) != Ping.REJECT:
                return
            time.sleep(0.05)

    def _check(self) -> None:
        """Ask the server itself for what must hold of it."""
        self._ready()
        wanted = DURABLE | SILENT | {"listen_addresses": ""}
        try:
            with psycopg.connect(f"postgresql://{self._address}") as connection:
                rows = connection.execute("SELECT name, setting FROM pg_settings").fetchall()
        except psycopg.OperationalError:
            raise ServiceError(
                f"{self.folder}: PostgreSQL runs and refuses connections; see {LOG}/ in that folder"
            ) from None
        wrong = sorted(wanted.items() - {(name, value) for name, value in rows})
        if wrong:
            name, value = wrong[0]
            raise ServiceError(
                f"{self.folder}: PostgreSQL runs there without {name}={value or 'nothing'}; stop it"
            )


def _prepared(folder: Path) -> Account:
    """Make a folder that only the account can enter; refuse one that holds something else."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if {path.name for path in folder.iterdir()} - OWN:
            raise ServiceError(
                f"{folder}: holds something else than an embedded PostgreSQL; choose another folder"
            )
        who = account(folder)
        for place in (folder, folder / SOCKET, folder / LOG):
            place.mkdir(exist_ok=True)
            who.own(place)
            place.chmod(0o700)
    except OSError as error:
        raise ServiceError(
            f"{folder}: cannot hold the data ({error.strerror}); choose a folder you may write to"
        ) from None
    return who


@contextmanager
def _within_reach(place: Path) -> Iterator[Path]:
    """Give a socket's folder, by a short link to it if its path is too long for a Unix socket."""
    if len(os.fsencode(place / SOCKET_NAME)) <= LONGEST_SOCKET:
        yield place
        return
    base = tempfile.gettempdir()
    room = LONGEST_SOCKET - len(f"/sottovoce-12345678/s/{SOCKET_NAME}")
    base = base if len(os.fsencode(base)) <= room else "/tmp"  # noqa: S108, mkdtemp makes it private
    with tempfile.TemporaryDirectory(prefix="sottovoce-", dir=base) as made:
        (Path(made) / "s").symlink_to(place)
        yield Path(made) / "s"


@contextmanager
def _opened(path: Path, who: Account, flags: int = os.O_RDWR | os.O_CREAT) -> Iterator[int]:
    opened = os.open(path, flags, 0o600)
    try:
        who.own(path)
        yield opened
    finally:
        os.close(opened)


@contextmanager
def _exclusive(path: Path, who: Account) -> Iterator[None]:
    """Hold a lock that is gone with the process, however it ends."""
    with _opened(path, who) as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield


def _refuse_other_version(cluster: Path) -> None:
    found = (cluster / "PG_VERSION").read_text("utf-8").strip()
    if found != str(MAJOR):
        raise ServiceError(
            f"{cluster}: was made by PostgreSQL {found} and this is PostgreSQL {MAJOR}; back it up "
            "with the release that made it and restore into a new folder"
        )


def _initial() -> tuple[str, ...]:
    """Give the choices that a cluster keeps for life.

    The collation is PostgreSQL's own: an index does not break when the C library is updated
    (PostgreSQL 18 documentation, 23.1). Anybody who reaches the socket is trusted: its folder can
    be entered by the account and root alone.
    """
    locale = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    access = ("--auth-local=trust", "--auth-host=reject", "--username=postgres")
    return (*locale, *access, "--encoding=UTF8", "--data-checksums", "--no-instructions")


def _settings() -> dict[str, str]:
    """Give what stands on the command line, where no file of the cluster can change it."""
    return PLACES | DURABLE | SILENT | {"port": str(PORT)}


def _process(cluster: Path) -> int | None:
    """Give the process id that a cluster's lock file names."""
    try:
        return int((cluster / "postmaster.pid").read_text("utf-8").partition("\n")[0])
    except (OSError, ValueError):
        return None


def _disown(folder: Path) -> None:
    """Take back the locks of a server that was killed; nobody listens at its socket.

    The process they name may be somebody else's by now (in a container that was started again it
    often is) or not yet buried, and PostgreSQL would take it for a server. So the cluster's lock
    names this process instead: a parent of the server is never taken for one, and what else is in
    the file lets PostgreSQL see whether processes of the killed server are still at work.
    """
    (folder / SOCKET / f"{SOCKET_NAME}.lock").unlink(missing_ok=True)
    path = folder / CLUSTER / "postmaster.pid"
    if _process(folder / CLUSTER) is None:
        return
    lines = path.read_text("utf-8").splitlines(keepends=True)
    lines[0] = f"{os.getpid()}\n"
    path.write_text("".join(lines), "utf-8")


def _sizes(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_size for path in folder.iterdir()}


def _added(before: dict[Path, int], folder: Path) -> str:
    """Give what was written to the log since it had the sizes that are told."""
    told = []
    for path in folder.iterdir():
        with path.open("rb") as stream:
            stream.seek(min(before.get(path, 0), path.stat().st_size))
            told.append(stream.read().decode("utf-8", "replace"))
    return "\n".join(told)
