"""A run killed anywhere ends with the same labels and pays for nothing twice."""

import threading
import time
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.annotating import USAGE, InMemory, answer, tasks

from sottovoce.annotate.annotator import CallError, Reply
from sottovoce.annotate.budget import Limit, Prices, Tokens, worst_case
from sottovoce.annotate.journal import Journal
from sottovoce.annotate.results import collect
from sottovoce.annotate.run import GIVE_UP, Terms, ask_all, pending
from sottovoce.annotate.store import Store, read_store
from sottovoce.errors import AnnotatorError

PEOPLE = tasks("ana", "ben", "cleo", samples=2)
CALLS = 6


PLAIN = Terms()


def once(path, annotator, terms=PLAIN, people=PEOPLE):
    """Run as the command does; give the run and what came of everything so far."""
    with Store(path, terms.limit.prices) as store:
        waiting = pending(people, store.contents, retry_failed=terms.retry_failed)
        run = ask_all(waiting, annotator, store, terms)
        return run, collect(people, store.contents, annotator.name)


class Killed(BaseException):
    """What a process cannot catch; here so that a test can."""


class Mortal:
    """A process that dies at its n-th point of input or output and does nothing after it."""

    def __init__(self, last: int):
        self.left, self._one = last, threading.Lock()

    def point(self) -> bool:
        """Whether this is the last thing that happens; raises in whoever comes after it."""
        with self._one:
            self.left -= 1
            if self.left < 0:
                raise Killed
            return self.left == 0

    def write(self, journal, rest):
        last = self.point()
        plain(journal, rest[: len(rest) // 2] if last else rest)  # torn in the middle of the line
        if last:
            raise Killed
        self.point()  # after the line, before anything is told

    def ask(self, annotator, request):
        self.point()  # before the call
        reply = annotator.ask(request)
        self.point()  # the server has answered and billed, nothing is written yet
        return reply


plain = Journal._write
POINTS = 2 + CALLS * (2 + 2 + 2)
"""Header, and for each call two lines of two points and two about the call itself."""


class Served:
    """What the mortal process sees of the service."""

    def __init__(self, mortal, service):
        self.name, self._mortal, self._service = service.name, mortal, service

    def ask(self, request):
        return self._mortal.ask(self._service, request)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return once(tmp_path_factory.mktemp("whole") / "a.store.jsonl", InMemory())[1]


def live(path, last, service, concurrency):
    """Run until death or the end; give what came of it, None if it died."""
    mortal = Mortal(last)

    def write(journal, rest):
        mortal.write(journal, rest)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Journal, "_write", write)
        try:
            return once(path, Served(mortal, service), Terms(concurrency=concurrency))[1]
        except Killed:
            return None


@settings(max_examples=15)
@given(deaths=st.lists(st.integers(1, POINTS + 2), max_size=4), concurrency=st.sampled_from([1, 3]))
def test_a_run_killed_anywhere_ends_with_the_same_labels_and_pays_once(
    tmp_path_factory, undisturbed, deaths, concurrency
):
    path, service = tmp_path_factory.mktemp("killed") / "a.store.jsonl", InMemory()
    for last in deaths:
        live(path, last, service, concurrency)
    assert once(path, service)[1] == undisturbed
    assert service.billed == Counter({f"{each}-1": 1 for each in keys()})
    assert read_store(path).tokens == Tokens(USAGE[0] * CALLS, USAGE[1] * CALLS)


def keys():
    return {each.key for task in PEOPLE for each in task.requests}


@pytest.mark.parametrize("last", range(1, POINTS))
def test_every_single_point_of_death_is_survived(tmp_path, undisturbed, last):
    path, service = tmp_path / "a.store.jsonl", InMemory()
    assert live(path, last, service, 1) is None
    found = read_store(path)
    ended = set(found.ended)
    lost = set(service.billed) - {f"{key}-1" for key in ended}
    assert all(found.open[each] for each in lost)  # billed and not known: told and counted
    calls_before = service.calls
    assert once(path, service)[1] == undisturbed
    assert service.calls - calls_before == CALLS - len(ended)  # what was kept is not asked again
    assert set(service.billed.values()) == {1}


def test_a_second_run_asks_nothing(tmp_path, undisturbed):
    path, service = tmp_path / "a.store.jsonl", InMemory()
    once(path, service)
    run, found = once(path, service)
    assert (run.asked, run.left, service.calls) == (0, 0, CALLS)
    assert found == undisturbed


def test_more_samples_ask_only_what_is_new(tmp_path):
    path, service = tmp_path / "a.store.jsonl", InMemory()
    once(path, service, people=tasks("ana", "ben", "cleo"))
    assert service.calls == 3
    once(path, service)
    assert service.calls == CALLS


@pytest.mark.parametrize("concurrency", [1, 4, 16])
def test_the_result_does_not_depend_on_the_order_of_answers(undisturbed, concurrency):
    def script(request):
        time.sleep(0.001 * (int(request.key[:2], 16) % 5))
        return Reply(answer(request.key), *USAGE, "end")

    assert once(None, InMemory(script), Terms(concurrency=concurrency))[1] == undisturbed


class Counting(InMemory):
    """Knows how many calls were under way together."""

    def __init__(self):
        super().__init__()
        self.now, self.most, self._count = 0, 0, threading.Lock()

    def ask(self, request):
        with self._count:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.01)
        reply = super().ask(request)
        with self._count:
            self.now -= 1
        return reply


def test_no_more_calls_are_under_way_than_was_said():
    annotator = Counting()
    once(None, annotator, Terms(concurrency=2))
    assert annotator.most == 2


@pytest.mark.parametrize("calls", range(CALLS + 1))
def test_a_budget_stops_cleanly_and_is_never_exceeded(tmp_path, calls):
    path, service = tmp_path / "a.store.jsonl", InMemory()
    used = sum(USAGE)
    most = worst_case(PEOPLE[0].requests[0]).total + 20
    limit = Limit(tokens=calls * used + (most if calls < CALLS else used + most) - used)
    run, found = once(path, service, Terms(limit, concurrency=3))
    assert run.asked == service.calls
    assert run.asked + run.left == CALLS
    assert read_store(path).tokens.total <= limit.tokens
    assert len(found.failures) == 0
    if calls == 0:
        assert run.asked == 0


def test_a_budget_counts_all_runs_of_the_store(tmp_path):
    path, service = tmp_path / "a.store.jsonl", InMemory()
    prices = Prices(4, 20)
    worst = max(prices.cost(worst_case(task.requests[0])) for task in PEOPLE)
    one = prices.cost(Tokens(*USAGE))
    terms = Terms(Limit(cost=worst + 2 * one, prices=prices), concurrency=1)
    first, _ = once(path, service, terms)
    assert first.asked == 3
    second, _ = once(path, service, terms)
    assert (second.asked, second.left) == (0, 3)
    more = replace(terms, limit=replace(terms.limit, cost=worst + 10 * one))
    assert once(path, service, more)[0].left == 0


def test_people_are_finished_one_after_the_other(tmp_path):
    limit = Limit(tokens=worst_case(PEOPLE[0].requests[0]).total + 20 + sum(USAGE))
    run, found = once(tmp_path / "a.store.jsonl", InMemory(), Terms(limit, concurrency=1))
    assert run.asked == 2
    assert [(each.user_id, each.n_samples) for each in found.annotations] == [("ana", 2)]


def test_what_failed_is_asked_again_only_when_told(tmp_path):
    bad = {"on": True}

    def script(request):
        if bad["on"] and request.user_id == "ben":
            return Reply("nonsense", *USAGE, "end")
        return Reply(answer(request.key), *USAGE, "end")

    path, service = tmp_path / "a.store.jsonl", InMemory(script)
    _, found = once(path, service)
    assert found.kinds == {"garbage": 2}
    bad["on"] = False
    run, found = once(path, service)
    assert (run.asked, found.kinds) == (0, {"garbage": 2})
    run, found = once(path, service, Terms(retry_failed=True))
    assert (run.asked, found.kinds, len(found.annotations)) == (2, {}, 3)
    assert service.billed[f"{PEOPLE[1].requests[0].key}-2"] == 1
    assert read_store(path).tokens.total == sum(USAGE) * (CALLS + 2)  # what was paid is counted


def test_a_retry_that_was_killed_is_repeated_under_its_own_number(tmp_path):
    path = tmp_path / "a.store.jsonl"
    service = InMemory(lambda _: Reply("nonsense", *USAGE, "end"))
    once(path, service, people=PEOPLE[:1])
    with Store(path) as store:
        again = store.contents.asked(PEOPLE[0].requests[0])
        store.start(again, "scripted")  # and the run is killed
    good = InMemory()
    run, found = once(path, good, people=PEOPLE[:1])
    assert (run.asked, found.kinds) == (1, {"garbage": 1})
    assert list(good.billed) == [again.idempotency]


def test_a_budget_in_money_counts_calls_that_were_made_without_prices(tmp_path):
    path, service = tmp_path / "a.store.jsonl", InMemory()
    once(path, service, people=PEOPLE[:2])
    prices = Prices(4, 20)
    spent = 4 * prices.cost(Tokens(*USAGE))
    run, _ = once(path, service, Terms(Limit(cost=spent + 0.001, prices=prices)))
    assert (run.asked, run.left) == (0, 2)


@pytest.mark.parametrize("kind", ["timeout", "connection", "rate limit", "server error"])
def test_failures_are_kept_by_kind_and_the_others_go_on(tmp_path, kind):
    def script(request):
        if request.user_id == "ben":
            raise CallError(kind, billed=kind in ("timeout", "connection"))
        return Reply(answer(request.key), *USAGE, "end")

    path = tmp_path / "a.store.jsonl"
    run, found = once(path, InMemory(script))
    assert (run.asked, found.kinds, len(found.annotations)) == (CALLS, {kind: 2}, 2)
    lost = read_store(path).tokens.total - 4 * sum(USAGE)
    worst = sum(worst_case(each).total for each in PEOPLE[1].requests)
    assert lost == (worst if kind in ("timeout", "connection") else 0)


def test_a_server_that_is_gone_ends_the_run_in_one_sentence():
    people = tasks(*(f"p{number:02d}" for number in range(30)))

    def script(request):
        raise CallError("connection", billed=False)

    service = InMemory(script)
    with pytest.raises(AnnotatorError, match=f"no answer {GIVE_UP} times in a row"):
        once(None, service, Terms(concurrency=1), people)
    assert service.calls == GIVE_UP


def test_an_annotator_that_cannot_be_asked_ends_the_run_and_keeps_what_came(tmp_path):
    def script(request):
        if request.user_id == "ben":
            raise AnnotatorError("the key was refused")
        return Reply(answer(request.key), *USAGE, "end")

    path = tmp_path / "a.store.jsonl"
    with pytest.raises(AnnotatorError, match="the key was refused"):
        once(path, InMemory(script), Terms(concurrency=1))
    found = read_store(path)
    assert (len(found.ended), found.in_flight) == (2, 0)


def test_an_interruption_keeps_the_answers_that_were_under_way(tmp_path):
    path, service = tmp_path / "a.store.jsonl", InMemory()

    def interrupted(done, _total, _figures=None):
        raise KeyboardInterrupt

    waiting = [each for task in PEOPLE for each in task.requests]
    with Store(path) as store, pytest.raises(KeyboardInterrupt):
        ask_all(waiting, service, store, Terms(concurrency=3), interrupted)
    found = read_store(path)
    assert found.in_flight == 0
    assert len(found.ended) == service.calls > 0
