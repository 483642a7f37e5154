import json
from dataclasses import replace

import pytest
from tests import annotating

from sottovoce.annotate.annotator import CallError, Reply
from sottovoce.annotate.budget import Prices, Tokens, worst_case
from sottovoce.annotate.store import Store, is_store, read_store
from sottovoce.errors import DataError

TASKS = annotating.tasks("ana", "ben")
ANA, BEN = (task.requests[0] for task in TASKS)
REPLY = Reply("{}", 1000, 400, "end")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.store.jsonl"


def written(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_reply_is_kept_with_what_it_cost(path):
    with Store(path, Prices(4, 20)) as store:
        store.start(ANA, "scripted")
        assert store.answer(ANA, REPLY) == Tokens(1000, 400)
    found = read_store(path)
    assert found.ended[ANA.key].reply == REPLY
    assert (found.tokens, found.cost) == (Tokens(1000, 400), pytest.approx(0.012))
    assert (found.in_flight, found.annotators) == (0, {"scripted"})
    assert is_store(path)


def test_lines_name_person_sample_annotator_and_prompt_and_no_message(path):
    with Store(path) as store:
        store.start(ANA, "scripted")
        store.answer(ANA, REPLY)
    _, started, answered = written(path)
    assert (started["user_id"], started["sample"], started["prompt"]) == ("ana", 1, "v1")
    assert started["annotator"] == "scripted"
    assert answered["text"] == "{}" and answered["cost"] is None
    assert "four" not in path.read_text()


def test_what_began_and_did_not_end_is_in_flight_at_its_worst(path):
    with Store(path) as store:
        store.start(ANA, "scripted")
        store.start(BEN, "scripted")
        store.answer(BEN, REPLY)
    found = read_store(path)
    assert (found.in_flight, found.unknown()) == (1, worst_case(ANA))
    assert found.asked(ANA).idempotency == ANA.idempotency
    with Store(path) as store:  # repeated after the kill: the first may have been billed, too
        store.start(ANA, "scripted")
        store.answer(ANA, REPLY)
        assert (store.contents.in_flight, store.contents.unknown()) == (1, worst_case(ANA))


def test_a_failure_counts_what_it_may_have_cost_and_the_next_attempt_has_another_number(path):
    with Store(path, Prices(1e6, 1e6)) as store:
        store.start(ANA, "scripted")
        assert store.fail(ANA, CallError("timeout", billed=True)) == worst_case(ANA)
        store.start(BEN, "scripted")
        assert store.fail(BEN, CallError("rate limit", billed=False)) == Tokens()
        again = store.contents.asked(ANA)
        assert (again.attempt, again.idempotency) == (2, f"{ANA.key}-2")
    found = read_store(path)
    assert (found.ended[ANA.key].kind, found.ended[BEN.key].kind) == ("timeout", "rate limit")
    assert found.cost == worst_case(ANA).total


def test_the_last_word_on_a_call_counts(path):
    with Store(path) as store:
        store.start(ANA, "scripted")
        store.fail(ANA, CallError("timeout", billed=False))
        again = store.contents.asked(ANA)
        store.start(again, "scripted")
        store.answer(again, REPLY)
    assert read_store(path).ended[ANA.key].reply == REPLY


def test_a_call_that_was_refused_outright_is_as_if_never_made(path):
    with Store(path) as store:
        store.start(ANA, "scripted")
        store.void(ANA)
        assert (store.contents.in_flight, store.contents.ended) == (0, {})
        assert store.contents.asked(ANA) == ANA


def test_a_store_keeps_its_secret(path):
    with Store(path) as store:
        salt = store.contents.salt
    with Store(path) as store:
        assert store.contents.salt == salt == read_store(path).salt
    assert len(salt) == 32


def test_without_a_file_everything_is_kept_in_memory():
    with Store(None) as store:
        store.start(ANA, "scripted")
        store.answer(ANA, REPLY)
        assert store.contents.ended[ANA.key].reply == REPLY
        assert store.healed == 0


def test_a_torn_line_is_cut_off_and_told(path):
    with Store(path) as store:
        store.start(ANA, "scripted")
        store.answer(ANA, REPLY)
    path.write_bytes(path.read_bytes()[:-10])
    assert read_store(path).in_flight == 1  # a look alone changes nothing
    with Store(path) as store:
        assert (store.healed, store.contents.in_flight) == (1, 1)


@pytest.mark.parametrize(
    "line",
    [
        "{}",
        "[]",
        '{"event": "new"}',
        '{"event": "answered"}',
        '{"event": "failed", "key": "k", "attempt": 1, "input_tokens": 1, "output_tokens": 1, '
        '"cost": null, "kind": "bad luck"}',
        '{"event": "void", "key": "k", "attempt": 1}',
        '{"event": "batch", "token": "t", "state": "made", "id": "b"}',
    ],
)
def test_a_line_that_this_version_does_not_write_is_refused_by_its_number(path, line):
    with Store(path):
        pass
    with path.open("a") as stream:
        stream.write(line + "\n")
    with pytest.raises(DataError, match=r"line 2: this is no line of a store"):
        Store(path)
    with Store(path.with_name("other.jsonl")) as other:  # nothing is held after the refusal
        assert other.healed == 0


def test_a_store_of_another_version_is_refused(path):
    path.write_text('{"store": "sottovoce annotations", "version": 2, "salt": "00"}\n')
    with pytest.raises(DataError, match="line 1"):
        read_store(path)


def test_a_batch_holds_its_calls_in_flight_until_they_are_answered_or_it_never_arrived(path):
    with Store(path) as store:
        token = store.begin_batch([ANA, BEN], "scripted")
        assert store.contents.in_flight == 2
        store.note_batch(token, "made", id="b1")
    found = read_store(path).batches[token]
    assert (found.id, set(found.calls)) == ("b1", {ANA.idempotency, BEN.idempotency})
    with Store(path) as store:
        store.answer(replace(ANA), REPLY)
        assert store.contents.in_flight == 1
        store.note_batch(token, "done")
        assert store.contents.batches == {}
        lost = store.begin_batch([BEN], "scripted")
        store.note_batch(lost, "absent")
        assert store.contents.unknown() == worst_case(BEN)  # of the batch that is done
