import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from uuid import uuid4

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from tests.service.filled import fill, of_everything

from sottovoce.errors import ServiceError
from sottovoce.service.database import Database, Frequent, newest_revision
from sottovoce.service.masterkeys import new_master_keys
from sottovoce.service.opening import open_gate
from sottovoce.service.tables import metadata

CANARY = "canary-8d2f"


def test_the_tables_in_code_are_those_of_the_migrations(database):
    def counts(name, kind, parents):
        return not (kind == "table" and name.startswith("procrastinate"))

    with database.engine.connect() as connection:
        options = {"compare_type": True, "include_name": counts}
        context = MigrationContext.configure(connection, opts=options)
        differences = compare_metadata(context, metadata)
    # indexes, and constraints that are indexes, are written in SQL alone
    indexes = ("remove_index", "remove_constraint")
    assert [each for each in differences if each[0] not in indexes] == []
    names = {each[1].name for each in differences if each[0] in indexes}
    assert names == {
        "audit_of",
        "caseloads_of",
        "consents_of",
        "estimates_in_time",
        "estimates_person_id_model_id_revision_key",
        "events_of",
        "messages_in_time",
    }


def test_a_filled_database_goes_forward_and_everything_is_still_there(new_database):
    database = Database(new_database())
    database.migrate("0001")
    gate = open_gate(database, new_master_keys())
    fill(gate, "u1")
    tables = "secrets people consents messages questionnaires estimates accounts api_keys"
    with database.transaction() as connection:
        for name in [*tables.split(), "caseloads", "audit", "procrastinate_jobs"]:
            assert connection.execute(text(f"SELECT count(*) FROM {name}")).scalar() > 0
    before = of_everything(gate, "u1")
    database.migrate()
    assert database.revision() == newest_revision()
    assert of_everything(gate, "u1") == before
    assert gate.verify().problem is None
    database.migrate()
    assert of_everything(gate, "u1") == before
    database.close()


def test_of_several_that_migrate_at_once_one_does_it(new_database):
    url = new_database()
    several = [Database(url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda each: each.migrate(), several))
    assert {each.revision() for each in several} == {newest_revision()}
    for each in several:
        each.close()


def test_a_newer_schema_than_the_program_knows_is_refused(database):
    with database.transaction() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ServiceError, match="not one that this version knows"):
        database.migrate()
    assert database.revision() == "9999"


def test_a_step_that_fails_leaves_nothing_behind(new_database):
    database = Database(new_database())
    with database.transaction() as connection:
        connection.execute(text("CREATE TABLE deliveries (somebody_elses int)"))
    with pytest.raises(ServiceError, match="nothing was changed") as caught:
        database.migrate()
    assert "\n" not in str(caught.value)
    assert database.revision() is None
    with database.transaction() as connection:
        assert connection.execute(text("SELECT to_regclass('people')")).scalar() is None
    database.close()


def test_a_database_that_does_not_answer_is_one_sentence(tmp_path):
    database = Database(f"postgresql://u:{CANARY}@/d?host={tmp_path}")
    for ask in (database.check, database.migrate):
        with pytest.raises(ServiceError, match="does not answer") as caught:
            ask()
        assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "query",
    [
        "INSERT INTO consents (person_id, purpose, granted, text_version, source, at, recorded_at)"
        " VALUES (gen_random_uuid(), 'none', true, :value, '', now(), now())",
        "INSERT INTO accounts VALUES (gen_random_uuid(), :value, 'app', null, now()),"
        " (gen_random_uuid(), :value, 'app', null, now())",
        "SELECT CAST(:value AS uuid)",
        "SELECT CAST(:value AS jsonb)",
        "INSERT INTO caseloads VALUES (CAST(:id AS uuid), CAST(:id AS uuid), now())",
    ],
    ids=["check", "unique", "uuid", "json", "foreign key"],
)
def test_no_value_stands_in_an_error(database, query):
    value = str(uuid4())
    with pytest.raises(SQLAlchemyError) as caught, database.transaction() as connection:
        connection.execute(text(query), {"value": f"{CANARY} {value}", "id": value})
    shown = [*traceback.format_exception(caught.value), repr(caught.value)]
    shown += [str(caught.value.orig), repr(caught.value.orig), repr(caught.value.args)]
    assert not [each for each in shown if value in each]
    assert "SQLSTATE" in str(caught.value)


def test_a_session_keeps_utc_wherever_the_server_stands(database):
    name = database.url.database
    with database.transaction() as connection:
        connection.execute(text(f"ALTER DATABASE {name} SET timezone = 'America/New_York'"))
    database.close()
    with database.transaction() as connection:
        found = connection.execute(text("SELECT timestamptz '0001-01-01 00:00+00'")).scalar()
    assert found == datetime.fromisoformat("0001-01-01T00:00:00Z")


def test_options_of_the_address_are_kept(database):
    more = database.url.update_query_dict({"options": "-c statement_timeout=1234"})
    opened = Database(more.render_as_string(hide_password=False))
    with opened.transaction() as connection:
        shown = [
            connection.execute(text(f"SHOW {name}")).scalar()
            for name in ("statement_timeout", "timezone")
        ]
    assert shown == ["1234ms", "UTC"]
    opened.close()


FREQUENT = Frequent(text("SELECT CAST(:number AS bigint) AS number, cardinality(:parts) AS parts"))


def test_a_frequent_statement_gives_its_rows_in_the_connections_transaction(database):
    with database.transaction() as connection:
        row = FREQUENT.first(connection, number=7, parts=[b"\0", b"", b"\xff"])
        assert (row.number, row.parts) == (7, 3)
        own = connection.connection.driver_connection
        assert own.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS


def test_a_frequent_statement_that_fails_says_nothing_of_its_values(database):
    wrong = Frequent(text("SELECT CAST(CAST(:said AS text) AS integer)"))
    refused = pytest.raises(psycopg.errors.InvalidTextRepresentation)
    with refused as caught, database.transaction() as connection:
        wrong.all(connection, said=CANARY)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_after_a_session_that_was_ended_the_next_one_works(database):
    ended = Frequent(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    lost = pytest.raises((OperationalError, psycopg.OperationalError))
    with lost, database.transaction() as connection:
        ended.all(connection)
    with database.transaction() as connection:
        assert FREQUENT.first(connection, number=1, parts=[b"a"]).number == 1


def test_single_questions_open_no_transaction_and_leave_none(database):
    with database.asking() as connection:
        assert FREQUENT.first(connection, number=1, parts=[b"a"]).parts == 1
        own = connection.connection.driver_connection
        assert own.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    with database.transaction() as connection:
        assert not connection.connection.driver_connection.autocommit
