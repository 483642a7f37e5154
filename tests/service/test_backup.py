"""Backup and restore of a real database."""

import hashlib
import os
import stat
import subprocess
from pathlib import Path

import psycopg
import pytest

from sottovoce.errors import ServiceError
from sottovoce.service import backup as backups
from sottovoce.service.backup import Afterwards, backup, checksum_file, restore, verify

NOTHING = Afterwards(migrate=lambda: None, reapply=lambda: None)


def connected(url):
    return psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True)


def rows(url):
    with connected(url) as connection:
        return connection.execute("SELECT number, sealed FROM kept ORDER BY number").fetchall()


def fill(url, count=500):
    with connected(url) as connection:
        connection.execute("CREATE SCHEMA aside CREATE TABLE told (day date)")
        connection.execute("CREATE TABLE kept (number int PRIMARY KEY, sealed bytea NOT NULL)")
        connection.execute(
            "CREATE FUNCTION doubled(n int) RETURNS int LANGUAGE sql RETURN 2 * n;"
            "INSERT INTO kept SELECT n, sha256(n::text::bytea)"
            f" FROM generate_series(1, {int(count)}) n"
        )


def stand_in(folder, version):
    """Write programs that say they are of a version and do nothing else."""
    folder.mkdir()
    for name in ("pg_dump", "pg_restore"):
        path = folder / name
        path.write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        path.chmod(0o755)
    return folder


@pytest.fixture
def other_database(postgres):
    with connected(postgres.url) as connection:
        connection.execute("CREATE DATABASE other")
        yield postgres.url.replace("/postgres?", "/other?", 1)
        connection.execute("DROP DATABASE other WITH (FORCE)")


@pytest.fixture
def saved(empty_database, tmp_path):
    """Give the path of a backup of a filled database."""
    fill(empty_database)
    return backup(empty_database, tmp_path / "monday.dump").path


def test_what_was_backed_up_is_there_after_a_restore(empty_database, other_database, saved):
    restore(saved, other_database, NOTHING)
    assert rows(other_database) == rows(empty_database)
    with connected(other_database) as connection:
        assert connection.execute("SELECT doubled(4)").fetchone() == (8,)
        assert connection.execute("SELECT count(*) FROM aside.told").fetchone() == (0,)


def test_a_backup_is_for_its_owner_and_has_its_checksum_beside_it(saved):
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    digest, name = checksum_file(saved).read_text("utf-8").split()
    assert (digest, name) == (hashlib.sha256(saved.read_bytes()).hexdigest(), saved.name)
    assert sorted(saved.parent.iterdir()) == sorted([saved, checksum_file(saved)])
    assert verify(saved).sha256 == digest


def test_what_is_committed_after_a_backup_began_is_not_in_it(empty_database, other_database, saved):
    with connected(empty_database) as connection:
        connection.execute("DELETE FROM kept WHERE number <= 100")
        connection.execute("INSERT INTO kept VALUES (1000, '')")
    restore(saved, other_database, NOTHING)
    assert [number for number, _ in rows(other_database)] == list(range(1, 501))


def test_after_a_restore_the_schema_is_brought_forward_and_people_are_forgotten_again(
    other_database, saved
):
    def migrate():
        with connected(other_database) as connection:
            connection.execute("ALTER TABLE kept ADD COLUMN step int DEFAULT 2")

    def reapply():
        with connected(other_database) as connection:
            connection.execute("DELETE FROM kept WHERE step = 2 AND number = 7")

    restore(saved, other_database, Afterwards(migrate, reapply))
    assert 7 not in [number for number, _ in rows(other_database)]
    assert len(rows(other_database)) == 499


def test_a_filled_database_is_refused_and_left_as_it_is(empty_database, saved):
    with connected(empty_database) as connection:
        connection.execute("DELETE FROM kept WHERE number > 3")
    with pytest.raises(ServiceError, match="not empty; restore into a new one"):
        restore(saved, empty_database, NOTHING)
    assert len(rows(empty_database)) == 3


def test_by_force_what_was_there_is_replaced(empty_database, saved):
    with connected(empty_database) as connection:
        connection.execute("DELETE FROM kept")
        connection.execute("CREATE TABLE newer (n int)")
    restore(saved, empty_database, NOTHING, force=True)
    assert len(rows(empty_database)) == 500
    with connected(empty_database) as connection:
        assert connection.execute("SELECT to_regclass('newer')").fetchone() == (None,)


def test_a_database_in_use_is_refused(other_database, saved):
    with connected(other_database), pytest.raises(ServiceError, match="the database is in use"):
        restore(saved, other_database, NOTHING)


def test_a_restore_that_fails_leaves_nothing(empty_database, other_database, tmp_path):
    fill(empty_database)
    with connected(empty_database) as connection:
        connection.execute(
            "CREATE TABLE zz (n int); INSERT INTO zz VALUES (1);"
            "CREATE FUNCTION refuses(n int) RETURNS bool LANGUAGE sql IMMUTABLE RETURN n > 0;"
            "ALTER TABLE zz ADD CHECK (refuses(n));"
            "CREATE OR REPLACE FUNCTION refuses(n int) RETURNS bool"
            " LANGUAGE sql IMMUTABLE RETURN n < 0"
        )
    saved = backup(empty_database, tmp_path / "odd.dump").path
    called = []
    after = Afterwards(lambda: called.append("migrate"), lambda: called.append("reapply"))
    with pytest.raises(ServiceError, match="pg_restore failed: "):
        restore(saved, other_database, after)
    with connected(other_database) as connection:
        assert connection.execute(backups.FILLED).fetchone() == (0,)
    assert called == []


def test_a_changed_backup_is_refused(other_database, saved):
    held = bytearray(saved.read_bytes())
    held[len(held) // 2] ^= 1
    saved.write_bytes(held)
    with pytest.raises(ServiceError, match=r"is not the file that monday\.dump\.sha256 was made"):
        restore(saved, other_database, NOTHING)


def test_half_a_backup_is_refused_without_its_checksum_too(other_database, saved):
    saved.write_bytes(saved.read_bytes()[:-2000])
    checksum_file(saved).unlink()
    with pytest.raises(ServiceError, match="is no whole backup: pg_restore: error: "):
        restore(saved, other_database, NOTHING)
    with connected(other_database) as connection:
        assert connection.execute(backups.FILLED).fetchone() == (0,)


def test_a_missing_backup_is_one_sentence(other_database, tmp_path):
    with pytest.raises(ServiceError, match="the backup cannot be read"):
        restore(tmp_path / "none.dump", other_database, NOTHING)


def test_a_file_is_overwritten_by_force_alone(empty_database, saved):
    before = saved.read_bytes()
    with pytest.raises(ServiceError, match="is there already"):
        backup(empty_database, saved)
    assert saved.read_bytes() == before
    with connected(empty_database) as connection:
        connection.execute("DELETE FROM kept")
    assert backup(empty_database, saved, force=True).sha256 == verify(saved).sha256
    assert saved.read_bytes() != before


def test_a_place_that_cannot_be_written_is_one_sentence(empty_database, tmp_path):
    with pytest.raises(ServiceError, match="the backup cannot be written there"):
        backup(empty_database, tmp_path / "missing" / "monday.dump")


def test_programs_older_than_the_server_are_refused(empty_database, tmp_path):
    old = stand_in(tmp_path / "old", "15.18 (Debian 15.18-0+deb12u1)")
    with pytest.raises(ServiceError, match=r"PostgreSQL 18 and the newest pg_dump here is of 15;"):
        backup(empty_database, tmp_path / "monday.dump", old)
    assert list(tmp_path.glob("*.dump*")) == []


def test_older_programs_on_the_path_are_passed_over(empty_database, tmp_path, monkeypatch):
    old = stand_in(tmp_path / "old", "15.18")
    monkeypatch.setenv("PATH", f"{old}:{os.environ['PATH']}")
    fill(empty_database, 5)
    assert verify(backup(empty_database, tmp_path / "monday.dump").path).size > 0


def test_without_any_program_the_sentence_says_what_to_install(empty_database, saved, monkeypatch):
    monkeypatch.setattr(backups, "_places", list)
    with pytest.raises(ServiceError, match="there is no pg_dump here; install the client programs"):
        backup(empty_database, saved.with_name("tuesday.dump"))
    with pytest.raises(ServiceError, match="there is no pg_restore here; install the client"):
        verify(saved)


def test_of_several_programs_those_nearest_the_server_are_taken(tmp_path, monkeypatch):
    places = [stand_in(tmp_path / str(version), f"{version}.2") for version in (19, 17, 15, 18)]
    monkeypatch.setattr(backups, "_places", lambda: places)
    assert backups._fitting(16, None).name == "17"
    assert backups._fitting(18, None).name == "18"
    assert backups._newest(None).name == "19"


def test_a_password_is_on_no_command_line(empty_database, tmp_path, monkeypatch):
    called = []
    real = subprocess.run

    def watched(command, **options):
        called.append((command, options.get("env") or {}))
        return real(command, **options)

    monkeypatch.setattr(subprocess, "run", watched)
    backup(empty_database.replace("postgres@", "postgres:canary5521@", 1), tmp_path / "a.dump")
    dumped = [env for command, env in called if Path(command[0]).name == "pg_dump" and env]
    assert [env["PGPASSWORD"] for env in dumped] == ["canary5521"]
    assert not [command for command, _ in called if "canary5521" in " ".join(command)]


def test_a_server_that_is_away_is_one_sentence_without_its_address(tmp_path):
    url = f"postgresql+psycopg://postgres:canary5521@/postgres?host={tmp_path}"
    with pytest.raises(ServiceError, match="the database does not answer") as caught:
        backup(url, tmp_path / "monday.dump")
    assert "canary5521" not in str(caught.value)
