"""Message Batches over real HTTP: handed in once, found again, fetched."""

import pytest
from tests import annotating
from tests.annotating import IMPATIENT, USAGE, Said, tasks

from sottovoce.annotate import batch
from sottovoce.annotate.anthropic import AnthropicAnnotator
from sottovoce.annotate.batch import ask_in_batches, finish_batches
from sottovoce.annotate.budget import Limit, worst_case
from sottovoce.annotate.journal import Journal
from sottovoce.annotate.results import collect
from sottovoce.annotate.run import Terms, ask_all, pending
from sottovoce.annotate.store import Store, read_store
from sottovoce.errors import AnnotatorError

PEOPLE = tasks("ana", "ben", "cleo", samples=2)
QUICK = 0.001


class Killed(BaseException):
    pass


@pytest.fixture(scope="module")
def annotator(running):
    with pytest.MonkeyPatch.context() as patched:
        annotating.set_keys(patched)
        made = AnthropicAnnotator("some", base_url=running.url, patience=IMPATIENT)
    yield made
    made.close()


PLAIN = Terms()


def once(path, annotator, terms=PLAIN):
    """Run as the command does with --batches."""
    with Store(path) as store:
        finish_batches(annotator, store, QUICK)
        waiting = pending(PEOPLE, store.contents, retry_failed=terms.retry_failed)
        run = ask_in_batches(waiting, annotator, store, terms, pause=QUICK)
        return run, collect(PEOPLE, store.contents, "scripted")


def die():
    raise Killed


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.store.jsonl"


def test_a_batch_gives_what_single_calls_give(path, annotator, service):
    service.looks = 2
    run, found = once(path, annotator)
    assert (run.asked, run.left, len(service.batches)) == (6, 0, 1)
    service.forget()
    with Store(None) as store:
        waiting = pending(PEOPLE, store.contents, retry_failed=False)
        ask_all(waiting, annotator, store, Terms())
        assert collect(PEOPLE, store.contents, "scripted") == found
    assert read_store(path).tokens.total == 6 * sum(USAGE)


def test_its_requests_bear_the_calls_own_keys_and_nobody_s_name(path, annotator, service):
    once(path, annotator)
    assert set(service.asked) == {f"{each.key}-1" for task in PEOPLE for each in task.requests}
    assert "ana" not in str([each.body for each in service.calls])


def test_one_request_that_fails_is_kept_by_kind(path, annotator, service):
    bad = f"{PEOPLE[0].requests[1].key}-1"
    service.script = lambda call: Said(status=400) if call.key == bad else annotating.fair(call)
    # the scripted service fails it as the real one does: inside the results
    _, found = once(path, annotator)
    assert (found.kinds, found.partial) == ({"rejected": 1}, 1)


@pytest.mark.parametrize("line", range(1, 11))
def test_a_run_killed_before_or_after_any_line_hands_in_and_pays_once(
    path, annotator, service, line, monkeypatch
):
    plain, count = Journal._write, iter(range(1, 1000))

    def dies(journal, rest):
        if next(count) >= line:
            plain(journal, rest[: len(rest) // 3])
            raise Killed
        plain(journal, rest)

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "_write", dies)
        with pytest.raises(Killed):
            once(path, annotator)
    _, found = once(path, annotator)
    assert len(found.annotations) == 3
    assert set(service.billed.values()) == {1}
    assert len(service.batches) == 1
    assert read_store(path).tokens.total == 6 * sum(USAGE)


def test_a_batch_that_arrived_while_the_run_was_killed_is_found_again(
    path, annotator, service, monkeypatch
):
    service.honours = False  # the service knows no keys: only the look into the account helps
    create = annotator.create_batch
    monkeypatch.setattr(annotator, "create_batch", lambda *told: (create(*told), die()))
    with pytest.raises(Killed):
        once(path, annotator)
    monkeypatch.undo()
    (held,) = read_store(path).batches.values()
    assert held.id is None
    _, found = once(path, annotator)
    assert len(service.batches) == 1
    assert set(service.billed.values()) == {1}
    assert len(found.annotations) == 3


def test_somebody_else_s_batch_of_the_same_size_is_left_alone(
    path, annotator, service, monkeypatch
):
    monkeypatch.setattr(annotator, "create_batch", lambda *_: die())
    with pytest.raises(Killed):
        once(path, annotator)
    monkeypatch.undo()
    others = [each for task in tasks("x", "y", "z", samples=2, name="o") for each in task.requests]
    annotator.create_batch(others, "other")
    once(path, annotator)
    assert len(service.batches) == 2
    assert read_store(path).batches == {}
    assert len(service.billed) == 12


def test_a_batch_whose_arrival_is_unknown_is_looked_for_by_the_next_run(path, annotator, service):
    service.after_bill = lambda: (_ for _ in ()).throw(ConnectionError)
    with pytest.raises(AnnotatorError, match="did not answer about a batch"):
        once(path, annotator)
    service.after_bill = lambda: None
    once(path, annotator)
    assert len(service.batches) == 1
    assert set(service.billed.values()) == {1}


def test_batches_are_as_large_as_the_budget_holds_at_its_worst(path, annotator, service):
    worst = max(worst_case(task.requests[0]).total for task in PEOPLE)
    limit = Limit(tokens=2 * worst + sum(USAGE))
    run, found = once(path, annotator, Terms(limit))
    sizes = [len(each["results"]) for each in service.batches.values()]
    assert sizes[0] == 2
    assert run.asked == sum(sizes) and run.left == 6 - sum(sizes)
    assert read_store(path).tokens.total <= limit.tokens
    assert found.failures == ()


def test_large_jobs_are_cut_into_several_batches(path, annotator, service, monkeypatch):
    monkeypatch.setattr(batch, "LARGEST", 4)
    run, _ = once(path, annotator)
    assert run.asked == 6
    assert [len(each["results"]) for each in service.batches.values()] == [4, 2]


def test_a_batch_of_another_annotator_waits_for_its_own(path, annotator, service):
    with Store(path) as store:
        token = store.begin_batch([PEOPLE[0].requests[0]], "anthropic:other")
        assert finish_batches(annotator, store, QUICK) == 0
        assert token in store.contents.batches
    assert service.calls == []
