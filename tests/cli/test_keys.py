"""`sottovoce keys` beside a running service: what opens it, what ends that, and its master key."""

import json
import stat
import time
from datetime import UTC, datetime, timedelta

import pytest

from sottovoce.service.api.callers import BELIEVED


def created(operate, *options: str) -> dict:
    done = operate("keys", "create", *options, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def state(operate, key: str) -> str:
    done = operate("keys", "list", "--json")
    (found,) = [each for each in json.loads(done.stdout)["keys"] if each["id"] == key]
    return found["state"]


def test_a_key_is_printed_once_and_opens_what_its_role_may(operate, serving):
    done = operate("keys", "create", "--role", "app", "--name", "printed")
    secret = done.stdout.strip()
    assert secret.startswith("sv_")
    assert secret not in done.stderr
    assert serving.ask("GET", "/v1/people", secret).status_code == 200
    assert serving.ask("GET", "/v1/accounts", secret).status_code == 403
    listed = operate("keys", "list")
    assert secret not in listed.output
    assert "printed" in listed.stdout
    assert "good" in listed.stdout


def test_a_second_key_is_of_the_same_account_and_another_role_needs_another_name(operate):
    first = created(operate, "--role", "app", "--name", "one")
    second = created(operate, "--role", "app", "--name", "one")
    assert first["account"] == second["account"]
    assert first["secret"] != second["secret"]
    done = operate("keys", "create", "--role", "admin", "--name", "one")
    assert done.exit_code == 1
    assert "role app" in done.stderr


def test_a_key_lives_as_long_as_asked_and_does_what_it_is_limited_to(operate, serving):
    made = created(operate, "--role", "app", "--name", "narrow", "--days", "2", "--scope",
                   "people.list")  # fmt: skip
    left = datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=1, hours=23) < left <= timedelta(days=2)
    assert serving.ask("GET", "/v1/people", made["secret"]).status_code == 200
    assert serving.ask("PUT", "/v1/people/somebody", made["secret"]).status_code == 403


@pytest.mark.parametrize(
    "options",
    [("--days", "0"), ("--days", "400"), ("--days", "-1"), ("--days", "nan"), ("--days", "1e300"),
     ("--scope", "accounts.manage")],
)  # fmt: skip
def test_a_key_that_cannot_be_meant_is_one_sentence(operate, options):
    done = operate("keys", "create", "--role", "app", "--name", "never", *options)
    assert done.exit_code == 1
    assert done.stdout == ""
    assert "never" not in operate("keys", "list").stdout


def test_a_revoked_key_opens_nothing_any_more(operate, serving):
    made = created(operate, "--role", "app", "--name", "leaving")
    assert serving.ask("GET", "/v1/people", made["secret"]).status_code == 200
    assert operate("keys", "revoke", made["id"]).exit_code == 0
    time.sleep(BELIEVED)  # as long as another process believes what it was told before
    assert serving.ask("GET", "/v1/people", made["secret"]).status_code == 401
    assert state(operate, made["id"]) == "revoked"


def test_a_key_that_is_not_there_cannot_be_revoked(operate):
    done = operate("keys", "revoke", "3f6c1b1e-0d7e-4f7f-8d51-0f8a2f3f6a10")
    assert done.exit_code == 1
    assert operate("keys", "revoke", "not-a-key").exit_code == 2


def test_the_master_key_is_rotated_while_the_service_runs(operate, serving):
    made = created(operate, "--role", "app", "--name", "rotating")
    assert serving.ask("PUT", "/v1/people/rotated", made["secret"]).status_code in (200, 201)
    file = serving.folder / "master.key"
    before = file.read_text("utf-8").split()
    done = operate("keys", "rotate")
    assert done.exit_code == 0, done.stderr
    both = file.read_text("utf-8").split()
    assert len(both) == len(before) + 1
    assert serving.ask("GET", "/v1/people/rotated", made["secret"]).json()["id"] == "rotated"
    assert operate("keys", "rotate", "--forget-old").exit_code == 0
    assert file.read_text("utf-8").split() == both[:1]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert serving.ask("GET", "/v1/people/rotated", made["secret"]).json()["id"] == "rotated"
    assert serving.ask("PUT", "/v1/people/rotated-later", made["secret"]).status_code == 201


def test_a_master_key_is_written_for_its_owner_and_never_over_another(operate, tmp_path):
    file = tmp_path / "master.key"
    assert operate("keys", "master", "--out", file).exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    first = file.read_text("utf-8")
    assert operate("keys", "master", "--out", file).exit_code == 1
    assert file.read_text("utf-8") == first
    done = operate("keys", "master", "--out", file, "--force")
    assert done.exit_code == 0
    assert file.read_text("utf-8") != first
    assert first.strip() not in done.output
