"""Whatever is logged, by whom and how: a canary in it never comes out."""

import gc
import io
import json
import logging
import subprocess
import sys
import threading
import warnings

import psycopg
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import StatementError
from tests import serving

from sottovoce.service import logs
from sottovoce.service.api.problems import Problem
from sottovoce.service.logs import KEYS, allowed, failure

CANARY = "canary7f3e said she cannot go on"
LIBRARY = "procrastinate.worker"


@pytest.fixture
def written():
    """Configure logs into a string, and put everything back afterwards."""
    with serving.logged() as stream:
        yield stream


def lines(stream) -> list[dict]:
    assert "canary" not in stream.getvalue()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def raised(exception: BaseException) -> BaseException:
    secret = CANARY  # a local of the frame
    try:
        try:
            raise KeyError(secret)
        except KeyError as inner:
            raise exception from inner
    except BaseException as caught:
        return caught


def test_a_line_has_its_event_level_time_and_what_is_allowed(written):
    structlog.get_logger().info("request", status=200, route="/v1/people/{person_id}")
    (line,) = lines(written)
    time = line.pop("time")
    assert time.endswith("Z")
    assert line == {
        "event": "request", "level": "info", "status": 200, "route": "/v1/people/{person_id}"
    }  # fmt: skip


def test_a_key_that_is_not_allowed_is_dropped_and_counted(written):
    structlog.get_logger().info("request", text=CANARY, person=CANARY, status=200)
    (line,) = lines(written)
    assert (line["status"], line["dropped"]) == (200, 2)
    assert not {"text", "person"} & set(line)


@pytest.mark.parametrize("key", sorted(KEYS))
@pytest.mark.parametrize(
    "value", [CANARY, [CANARY], {CANARY: 1}, CANARY.encode(), ValueError(CANARY)]
)
def test_no_key_takes_text(key, value):
    assert "canary" not in str(allowed(None, "info", {key: value}))


@given(
    st.dictionaries(
        st.sampled_from(sorted(KEYS)) | st.text(max_size=9).map(lambda key: f"canary{key}"),
        st.recursive(st.just(CANARY) | st.integers(), st.lists, max_leaves=4),
    )
)
def test_whatever_stands_in_a_line_no_text_does(event):
    assert "canary" not in json.dumps(allowed(None, "info", event))


def test_a_raw_path_is_no_route():
    kept = allowed(None, "info", {"event": "request", "route": "/v1/people/Anna~M"})
    assert kept == {"event": "request", "dropped": 1}


def test_an_event_made_of_text_is_dropped(written):
    structlog.get_logger().info(f"stored {CANARY}")
    assert lines(written)[0]["event"] == "unnamed"


def test_what_is_bound_to_the_request_is_in_each_of_its_lines(written):
    bound = "0f8fad5b-d9cb-469f-a165-70867728950e"
    with structlog.contextvars.bound_contextvars(request_id=bound, person=CANARY):
        structlog.get_logger().info("stored")
    assert lines(written)[0]["request_id"] == bound


@pytest.mark.parametrize(
    "exception",
    [
        RuntimeError(CANARY),
        StatementError(CANARY, CANARY, {"text": CANARY}, ValueError(CANARY)),
        psycopg.errors.UniqueViolation(CANARY),
        ExceptionGroup(CANARY, [ValueError(CANARY)]),
        type(CANARY, (Exception,), {})(CANARY),
    ],
)
def test_an_exception_is_told_by_types_and_places_only(written, exception):
    caught = raised(exception)
    caught.add_note(CANARY)
    structlog.get_logger().error("failed", exc_info=caught)
    structlog.get_logger().error("failed", **failure(caught))
    for line in lines(written):
        assert "builtins.KeyError" in line["types"]
        assert all(place.rpartition(":")[2].isdigit() for place in line["places"])
        assert "service/test_logs.py" in line["places"][0]


def test_a_failure_tells_the_types_of_every_cause_and_the_frames_of_this_package():
    try:
        Problem("no such kind")
    except KeyError as error:
        said = failure(raised(error))
    assert said["types"] == ["builtins.KeyError", "builtins.KeyError"]
    assert any("sottovoce/service/api/problems.py:" in place for place in said["places"])
    assert not any("test_logs" in place for place in said["places"][:1])


def test_a_failure_tells_postgresqls_code():
    assert failure(psycopg.errors.UniqueViolation(CANARY))["sqlstate"] == "23505"


def test_a_cause_in_a_circle_ends():
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first
    assert failure(first)["types"] == ["builtins.ValueError", "builtins.KeyError"]


def test_the_words_of_a_library_are_dropped(written):
    log = logging.getLogger(LIBRARY)
    log.warning("Job says %s", CANARY, extra={"job": {"args": CANARY}})
    log.error(CANARY)
    log.error("two are wanted: %s %s", *[CANARY])
    found = lines(written)
    assert [line["level"] for line in found] == ["warning", "error", "error"]
    assert {line["event"] for line in found} == {"library"}
    assert {line["logger"] for line in found} == {LIBRARY}
    assert all("test_logs.py:" in line["place"] for line in found)


def test_a_library_that_logs_an_exception_tells_its_types(written):
    try:
        raise raised(RuntimeError(CANARY))
    except RuntimeError:
        logging.getLogger(LIBRARY).exception(CANARY)
    assert lines(written)[0]["types"] == ["builtins.RuntimeError", "builtins.KeyError"]


def test_a_logger_named_by_data_is_not_named(written):
    logging.getLogger(CANARY).warning("x")
    assert "logger" not in lines(written)[0]


def test_a_library_speaks_from_warnings_on_and_access_logs_never(written):
    logging.getLogger(LIBRARY).info(CANARY)
    logging.getLogger("uvicorn.access").error(CANARY)
    logging.getLogger("sqlalchemy.engine.Engine").info(CANARY)
    assert lines(written) == []


def test_handlers_that_a_library_made_before_are_taken_away(written):
    own = io.StringIO()
    logging.getLogger("uvicorn.error").addHandler(logging.StreamHandler(own))
    logs.configure(stream=written)
    logging.getLogger("uvicorn.error").error(CANARY)
    assert own.getvalue() == ""
    assert lines(written)[0]["logger"] == "uvicorn.error"


def test_a_warning_tells_its_category_and_place(written):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logs.configure(stream=written)
        warnings.warn(CANARY, UserWarning, stacklevel=1)
    (line,) = lines(written)
    assert (line["event"], line["category"]) == ("warning", "UserWarning")


class Finalised:
    def __del__(self):
        raise RuntimeError(CANARY)


def test_threads_and_finalisers_that_fail_print_no_traceback(written, capfd):
    def fails():
        raise RuntimeError(CANARY)

    thread = threading.Thread(target=fails)
    thread.start()
    thread.join()
    Finalised()
    gc.collect()
    assert [line["event"] for line in lines(written)] == ["thread-failed", "finaliser-failed"]
    assert "canary" not in "".join(capfd.readouterr())


def test_a_process_that_fails_prints_one_line_without_the_message():
    program = (
        "from sottovoce.service import logs\nlogs.configure()\n"
        f"secret = {CANARY!r}\nraise RuntimeError(secret)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "canary" not in done.stdout + done.stderr
    assert json.loads(done.stderr)["types"] == ["builtins.RuntimeError"]
