"""Both services over real HTTP: what is sent, what is repeated, and what a failure is called."""

import json
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from tests import annotating
from tests.annotating import IMPATIENT, Said

from sottovoce.annotate.annotator import CallError
from sottovoce.annotate.anthropic import AnthropicAnnotator
from sottovoce.annotate.calls import Patience
from sottovoce.annotate.compatible import CompatibleAnnotator
from sottovoce.errors import AnnotatorError

pytestmark = pytest.mark.usefixtures("service_keys")

(TASK,) = annotating.tasks("ana-4711")
REQUEST = replace(TASK.requests[0], attempt=2)
CANARY = "xylophonist"


@pytest.fixture(scope="module")
def opened():
    """Clients take a tenth of a second to make; tests share those that are told the same."""
    made = {}
    yield made
    for each in made.values():
        each.close()


@pytest.fixture(params=["anthropic", "openai"])
def open_annotator(request, service, opened):
    def get(patience=IMPATIENT, **told):
        key = (request.param, service.url, patience, *told.items())
        if key not in opened:
            make = AnthropicAnnotator if request.param == "anthropic" else CompatibleAnnotator
            tail = "" if request.param == "anthropic" else "/v1"
            opened[key] = make("some", base_url=service.url + tail, patience=patience, **told)
        return opened[key]

    return get


def compatible(service, patience=IMPATIENT, **told):
    return CompatibleAnnotator("some", base_url=f"{service.url}/v1", patience=patience, **told)


def refused(annotator):
    with pytest.raises(CallError) as error:
        annotator.ask(REQUEST)
    return error.value.kind, error.value.billed


def test_an_answer_comes_back_with_the_tokens_that_the_server_counted(open_annotator, service):
    reply = open_annotator().ask(REQUEST)
    assert reply.text == annotating.answer(REQUEST.idempotency)
    assert (reply.input_tokens, reply.output_tokens, reply.stop) == (*annotating.USAGE, "end")
    assert service.asked == [REQUEST.idempotency]


def test_prompt_transcript_and_schema_are_sent_and_nobody_s_id(open_annotator, service):
    open_annotator(effort="low").ask(REQUEST)
    (call,) = service.calls
    sent = json.dumps(call.body, ensure_ascii=False)
    assert json.dumps(REQUEST.text, ensure_ascii=False) in sent
    assert json.dumps(REQUEST.system, ensure_ascii=False) in sent
    assert json.dumps(dict(REQUEST.schema)) in sent
    assert '"low"' in sent and "temperature" not in sent
    assert "4711" not in sent + json.dumps(call.headers)


def test_a_long_answer_needs_no_streaming(open_annotator, service):
    reply = open_annotator(Patience()).ask(replace(REQUEST, max_tokens=64_000))
    assert reply.stop == "end"


def test_without_a_schema_the_prompt_alone_asks_for_json(open_annotator, service):
    open_annotator(schema=False).ask(REQUEST)
    assert not {"output_config", "response_format"} & set(service.calls[0].body)


@pytest.mark.parametrize(
    ("stop", "ours"), [("end_turn", "end"), ("max_tokens", "length"), ("refusal", "refusal")]
)
def test_why_an_answer_ended_is_told_in_one_word(open_annotator, service, stop, ours):
    service.script = lambda _: Said("no", stop)
    assert open_annotator().ask(REQUEST).stop == ours


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503, 529])
def test_a_busy_server_is_asked_again_under_the_same_key(open_annotator, service, status):
    service.script = lambda call: annotating.fair(call) if call.number == 3 else Said(status=status)
    assert open_annotator().ask(REQUEST).stop == "end"
    assert service.asked == [REQUEST.idempotency] * 3


@pytest.mark.parametrize(
    ("status", "kind"), [(429, "rate limit"), (500, "server error"), (529, "server error")]
)
def test_a_server_that_stays_busy_is_named_and_nothing_counts_as_paid(
    open_annotator, service, status, kind
):
    service.script = lambda _: Said(status=status)
    assert refused(open_annotator()) == (kind, False)
    assert len(service.calls) == IMPATIENT.attempts


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_request_that_is_refused_is_not_repeated(open_annotator, service, status):
    service.script = lambda _: Said(status=status, error={"message": "prompt is too long"})
    assert refused(open_annotator()) == ("rejected", False)
    assert len(service.calls) == 1


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_server_that_says_how_long_to_wait_is_obeyed(open_annotator, service, form):
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    told = {"Retry-After": "0.3" if form == "seconds" else soon}
    arrived = []

    def script(call):
        arrived.append(time.monotonic())
        return Said(status=429, headers=told) if call.number == 1 else annotating.fair(call)

    service.script = script
    open_annotator().ask(REQUEST)
    assert arrived[1] - arrived[0] >= 0.3


def test_a_server_that_wants_an_hour_is_not_waited_for(open_annotator, service):
    service.script = lambda _: Said(status=429, headers={"Retry-After": "3600"})
    assert refused(open_annotator()) == ("rate limit", False)


def test_a_call_that_times_out_is_not_repeated_and_may_have_been_billed(open_annotator, service):
    service.script = lambda _: Said("late", seconds=0.5)
    assert refused(open_annotator(replace(IMPATIENT, timeout=0.1))) == ("timeout", True)
    assert len(service.calls) == 1


def test_a_connection_that_breaks_while_the_answer_is_made_may_have_been_billed(
    open_annotator, service
):
    service.script = lambda _: Said(hang_up=True)
    assert refused(open_annotator()) == ("connection", True)
    assert len(service.calls) == 1


def test_a_server_that_is_not_there_bills_nothing(open_annotator, service):
    service.url = f"http://127.0.0.1:{annotating.closed_port()}"
    assert refused(open_annotator()) == ("connection", False)


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"{}", b'{"choices": []}', b"[1]"])
def test_an_answer_in_another_form_is_garbage_that_was_paid_for(open_annotator, service, body):
    service.script = lambda _: Said(body=body)
    assert refused(open_annotator()) == ("garbage", True)


@pytest.mark.parametrize(
    ("status", "said"), [(401, "key was refused"), (403, "may not use"), (404, "no such model")]
)
def test_what_no_call_can_survive_is_one_sentence(open_annotator, service, status, said):
    service.script = lambda _: Said(status=status, error={"message": CANARY})
    with pytest.raises(AnnotatorError, match=said) as error:
        open_annotator().ask(REQUEST)
    assert CANARY not in str(error.value)
    assert len(service.calls) == 1


def test_a_server_without_schemas_is_told_of_with_the_flag_that_helps(open_annotator, service):
    wrong = {"message": f"json_schema of response_format / output_config is unknown: {CANARY}"}
    service.script = lambda _: Said(status=400, error=wrong)
    with pytest.raises(AnnotatorError, match="--no-schema") as error:
        open_annotator().ask(REQUEST)
    assert CANARY not in str(error.value)


def test_an_account_without_quota_is_not_waited_for(service):
    service.script = lambda _: Said(status=429, error={"code": "insufficient_quota"})
    with (
        closing(compatible(service)) as annotator,
        pytest.raises(AnnotatorError, match="no quota left"),
    ):
        annotator.ask(REQUEST)
    assert len(service.calls) == 1


def test_no_failure_tells_what_was_sent(open_annotator, service):
    service.script = lambda call: Said(status=400, error={"message": json.dumps(call.body)})
    with pytest.raises((CallError, AnnotatorError)) as error:
        open_annotator(schema=False).ask(REQUEST)
    assert "four" not in str(error.value) and "secret" not in str(error.value)
    assert error.value.__cause__ is None


@pytest.mark.parametrize(
    ("opened", "variable"),
    [(AnthropicAnnotator, "ANTHROPIC_API_KEY"), (CompatibleAnnotator, "OPENAI_API_KEY")],
)
def test_a_missing_key_is_one_sentence(opened, variable, monkeypatch, tmp_path):
    monkeypatch.delenv(variable)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(AnnotatorError, match=f"holds no key for .*; set {variable}"):
        opened("some")


def test_a_server_of_one_s_own_needs_no_key(service, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with closing(compatible(service)) as annotator:
        assert annotator.ask(REQUEST).stop == "end"


def test_the_limit_of_output_has_the_name_that_the_server_knows(service, monkeypatch):
    with closing(compatible(service)) as own:
        own.ask(REQUEST)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{service.url}/v1")
    with closing(CompatibleAnnotator("some", patience=IMPATIENT)) as theirs:
        theirs.ask(replace(REQUEST, attempt=3))
    first, second = (call.body for call in service.calls)
    assert first["max_tokens"] == second["max_completion_tokens"] == REQUEST.max_tokens
    assert "max_completion_tokens" not in first and "max_tokens" not in second
    assert second["store"] is False
