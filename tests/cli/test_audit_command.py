"""`sottovoce audit verify`: a log that holds, one that was changed, one that was cut."""

import json
from contextlib import contextmanager

import psycopg
import pytest

from sottovoce.service.embedded import Embedded


@pytest.fixture
def forge(serving):
    """Give a connection that triggers do not hold back; what it did is undone in the end."""

    @contextmanager
    def opened(*statements: str):
        with Embedded(serving.folder / "postgresql") as server:
            address = server.url.replace("+psycopg", "", 1)
            with psycopg.connect(address, autocommit=True) as connection:
                connection.execute("SET session_replication_role = replica")
                connection.execute("CREATE TABLE kept AS TABLE audit")
                connection.execute("CREATE TABLE kept_heads AS TABLE audit_heads")
                try:
                    for each in statements:
                        assert connection.execute(each).rowcount > 0
                    yield
                finally:
                    for name in ("audit", "audit_heads"):
                        connection.execute(f"DELETE FROM {name}")
                    connection.execute("INSERT INTO audit SELECT * FROM kept")
                    connection.execute("INSERT INTO audit_heads SELECT * FROM kept_heads")
                    connection.execute("DROP TABLE kept, kept_heads")

    return opened


@pytest.fixture
def used(operate, serving):
    """Do something that is written down."""
    done = operate("keys", "create", "--role", "app", "--name", "audited", "--json")
    secret = json.loads(done.stdout)["secret"]
    for number in range(3):
        serving.ask("PUT", f"/v1/people/audited-{number}", secret)
    return operate


def test_a_log_that_nobody_changed_holds(used):
    done = used("audit", "verify")
    assert done.exit_code == 0
    assert done.stderr.strip().endswith("every chain holds.")
    told = json.loads(used("audit", "verify", "--json").stdout)
    assert told["problem"] is None
    assert told["entries"] >= 4
    assert set(told["heads"]) == {str(lane) for lane in range(16)}


FORGERIES = {
    "changed": "UPDATE audit SET outcome = 'forbidden' WHERE outcome = 'ok'",
    "another person": "UPDATE audit SET person_id = gen_random_uuid() WHERE person_id IS NOT NULL",
    "moved in time": "UPDATE audit SET at = at - interval '1 second'",
    "removed": "DELETE FROM audit WHERE number = 1",
    "inserted": "INSERT INTO audit SELECT lane, number + 1, at, account_id, key_id, role, action, "
    "person_id, outcome, mac FROM audit a WHERE number = (SELECT max(number) FROM audit b "
    "WHERE b.lane = a.lane)",
    "cut": "DELETE FROM audit a WHERE number = (SELECT max(number) FROM audit b "
    "WHERE b.lane = a.lane)",
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_log_that_was_changed_does_not_hold(used, forge, name):
    with forge(FORGERIES[name]):
        done = used("audit", "verify", "--json")
        assert done.exit_code == 1
        assert "chain" in done.stderr
        assert json.loads(done.stdout)["problem"]
    assert used("audit", "verify").exit_code == 0


CUT = (
    "DELETE FROM audit WHERE number > 0 AND lane = (SELECT min(lane) FROM audit)",
    "UPDATE audit_heads SET number = 0, mac = '' WHERE number > 0 AND NOT EXISTS "
    "(SELECT 1 FROM audit WHERE audit.lane = audit_heads.lane)",
)


def test_a_chain_that_was_cut_with_its_head_is_found_by_what_was_kept_elsewhere(
    used, forge, tmp_path
):
    heads = tmp_path / "heads.json"
    heads.write_text(used("audit", "verify", "--json").stdout, "utf-8")
    assert used("audit", "verify", "--since", heads).exit_code == 0
    with forge(*CUT):
        assert used("audit", "verify").exit_code == 0  # nothing inside the database shows it
        done = used("audit", "verify", "--since", heads)
        assert done.exit_code == 1
        assert "lost" in done.stderr


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"heads": {"x": 1}}', '{"heads": 3}', "\udcff"]
)
def test_heads_that_are_none_are_one_sentence(used, tmp_path, content):
    heads = tmp_path / "heads.json"
    heads.write_bytes(content.encode("utf-8", "surrogateescape"))
    done = used("audit", "verify", "--since", heads)
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
