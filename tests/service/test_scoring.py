import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import numpy as np
import pytest
from tests.service.monitored import APP, Counting, agree, agreeing, ask, scores, talking, tell

from sottovoce.cohort import WindowRules, newest_window
from sottovoce.estimates import estimate_record
from sottovoce.estimator import Estimator
from sottovoce.evidence import Grounds
from sottovoce.explanation import Explained
from sottovoce.service import erasure, estimates, messages, scoring
from sottovoce.service.jobs import Released
from sottovoce.service.principals import SERVICE
from sottovoce.service.refusals import ConsentMissing, NotFound
from sottovoce.service.scoring import FIRST, Asked, Batcher, Scoring, purge, read, store
from sottovoce.stream import NO_MESSAGE, PEOPLE_AT_ONCE

RULES = Counting.rules
DAY = 24 * 60


def explained(asked: Asked) -> Explained:
    return Counting().explain([asked.window])[0]


def scored(gate, person) -> str:
    """Do the job `score` of one person from beginning to end."""
    batcher = Batcher(Counting(), wait=0)
    outcome = asyncio.run(Scoring(gate, batcher)(person))
    batcher.close()
    return outcome


def standing(gate, person):
    (row,) = ask(gate, "SELECT revision, scored_revision FROM people WHERE id = :id", id=person)
    return row.revision, row.scored_revision


def kept(gate, person):
    with gate.open(SERVICE, "score.purge", person) as case:
        return estimates.all_of(case)


def erase(gate, name):
    with gate.open(APP, "people.erase", name) as case:
        erasure.erase(case)


def test_what_is_read_is_the_newest_window_of_all_messages(gate):
    person = agreeing(gate, "ada")
    for days in (20, 14.2, 13.9, 3, 0.1):
        tell(gate, "ada", f"{days} days ago", ago=days * DAY)
    with gate.open(SERVICE, "score.read", person) as case:
        everything = [each.message for each in messages.since(case)]
    window = read(gate, RULES, person).window
    assert window == newest_window(str(person), everything, RULES)
    assert [each.content for each in window.messages] == [
        f"{days} days ago" for days in (13.9, 3, 0.1)
    ]


def test_a_look_back_beyond_the_calendar_reads_everything(gate):
    person = talking(gate, "ada", "one", "two")
    window = read(gate, WindowRules(look_back_days=999_999_999), person).window
    assert len(window.messages) == 2


def test_a_person_is_scored_and_has_caught_up(gate):
    person = talking(gate, "ada", "one", "two")
    assert scored(gate, person) == "scored"
    assert scores(gate, person) == [2.0]
    assert standing(gate, person) == (1, 1)


def test_a_person_who_is_scored_already_is_not_read_again(gate):
    person = talking(gate, "ada")
    assert scored(gate, person) == "scored"
    assert scored(gate, person) == "known"
    assert len(kept(gate, person)) == 1


def test_a_reading_is_stored_once(gate):
    person = talking(gate, "ada")
    asked = read(gate, RULES, person)
    assert store(gate, asked, explained(asked)) == "scored"
    assert store(gate, asked, explained(asked)) == "known"
    assert len(kept(gate, person)) == 1


def test_an_older_reading_never_takes_the_place_of_a_newer_one(gate):
    person = talking(gate, "ada", "one")
    older = read(gate, RULES, person)
    tell(gate, "ada", "two")
    newer = read(gate, RULES, person)
    assert store(gate, newer, explained(newer)) == "scored"
    assert store(gate, older, explained(older)) == "known"
    assert scores(gate, person) == [2.0]
    assert standing(gate, person) == (2, 2)


def test_a_reading_that_more_was_said_after_is_stored_and_leaves_the_person_behind(gate):
    person = talking(gate, "ada", "one")
    asked = read(gate, RULES, person)
    tell(gate, "ada", "two")
    assert store(gate, asked, explained(asked)) == "scored"
    assert standing(gate, person) == (2, 1)


def test_a_message_that_comes_late_makes_a_new_estimate_of_the_same_window(gate):
    person = talking(gate, "ada", "now")
    scored(gate, person)
    tell(gate, "ada", "three days ago, sent late", ago=3 * DAY)
    assert scored(gate, person) == "scored"
    first, second = kept(gate, person)
    assert first.estimate.window_end == second.estimate.window_end
    assert scores(gate, person) == [2.0]


def test_whoever_withdraws_while_the_model_works_is_not_scored(gate):
    person = talking(gate, "ada")
    asked = read(gate, RULES, person)
    agree(gate, "ada", granted=False)
    with pytest.raises(ConsentMissing):
        store(gate, asked, explained(asked))
    assert kept(gate, person) == []
    assert scored(gate, person) == "refused"


def test_what_was_purged_while_the_model_worked_does_not_come_back_as_an_estimate(gate):
    person = talking(gate, "ada")
    asked = read(gate, RULES, person)
    agree(gate, "ada", granted=False)
    assert purge(gate, person, timedelta()) == "purged"
    agree(gate, "ada")
    assert store(gate, asked, explained(asked)) == "known"
    tell(gate, "ada", "again")
    assert store(gate, asked, explained(asked)) == "known"
    assert kept(gate, person) == []


def test_whoever_is_erased_while_the_model_works_leaves_nothing(gate):
    person = talking(gate, "ada")
    asked = read(gate, RULES, person)
    erase(gate, "ada")
    with pytest.raises(NotFound):
        store(gate, asked, explained(asked))
    assert ask(gate, "SELECT id FROM estimates") == []
    assert scored(gate, person) == "gone"


def test_a_person_of_whom_only_the_companion_spoke_is_abstained_and_has_caught_up(gate):
    person = agreeing(gate, "ada")
    tell(gate, "ada", "How are you?", role="assistant")
    assert scored(gate, person) == "abstained"
    (made,) = kept(gate, person)
    assert made.estimate.reason == "0 user messages in the window, 1 are needed"
    assert standing(gate, person) == (1, 1)


def test_a_person_without_any_message_is_abstained_and_has_caught_up(gate):
    person = talking(gate, "ada")
    ask(gate, "DELETE FROM messages")
    assert scored(gate, person) == "abstained"
    (made,) = kept(gate, person)
    assert (made.estimate.reason, made.estimate.window_end) == (NO_MESSAGE, None)
    assert standing(gate, person) == (1, 1)
    assert scores(gate, person) == []


def test_what_an_estimate_rests_on_is_kept_with_it(gate):
    person = talking(gate, "ada", "I cannot sleep")
    asked = read(gate, RULES, person)
    levels = np.zeros((1, 9))
    levels[0, 2] = 2.0
    grounds = Grounds(levels[0], np.array([0]), levels)
    store(gate, asked, replace(explained(asked), grounds=grounds))
    (made,) = kept(gate, person)
    (quoted,) = made.evidence["evidence"]
    assert (quoted["item"], quoted["quote"]) == (3, "I cannot sleep")


def test_the_model_is_never_told_the_app_s_id(gate):
    person = talking(gate, "ada")
    assert read(gate, RULES, person).window.user_id == str(person)


def test_the_package_s_estimator_scores_as_it_does_by_itself(gate, tiny_run):
    scorer = Estimator.from_pretrained(tiny_run)
    texts = ["I lie awake for hours and everything feels heavy and pointless to me"] * 8
    person = talking(gate, "ada", *texts)
    window = read(gate, scorer.rules, person).window
    batcher = Batcher(scorer, wait=0)
    assert asyncio.run(Scoring(gate, batcher)(person)) == "scored"
    batcher.close()
    (made,) = kept(gate, person)
    (expected,) = scorer.score([window])
    assert estimate_record(made.estimate) == estimate_record(replace(expected, user_id="ada"))


class TestBatcher:
    @staticmethod
    def explain(gate, people, scorer):
        """Let everybody's window come in at the same time."""
        asked = [read(gate, RULES, person).window for person in people]

        async def together():
            batcher = Batcher(scorer)
            try:
                waiting = [batcher.explain(each) for each in asked]
                return await asyncio.gather(*waiting, return_exceptions=True)
            finally:
                batcher.close()

        return asyncio.run(together())

    def test_people_who_come_in_together_are_scored_together_in_one_thread(self, gate):
        person, scorer = talking(gate, "ada"), Counting()
        found = self.explain(gate, [person] * 100, scorer)
        assert [each.estimate.score for each in found] == [1.0] * 100
        assert scorer.batches == [FIRST, 2 * FIRST, 4 * FIRST, PEOPLE_AT_ONCE, PEOPLE_AT_ONCE, 8]
        assert len(scorer.threads) == 1

    def test_batches_of_a_slow_model_are_small(self, gate, monkeypatch):
        monkeypatch.setattr(scoring, "AIM", 0.05)
        person, scorer = talking(gate, "ada"), Counting()
        scorer.seconds = 0.02
        self.explain(gate, [person] * (FIRST + 6), scorer)
        assert scorer.batches[0] == FIRST
        assert max(scorer.batches[1:]) <= 2

    def test_who_waits_when_the_worker_stops_is_given_back_and_nobody_comes_in(self, gate):
        window, scorer = read(gate, RULES, talking(gate, "ada")).window, Counting()
        scorer.open.clear()

        async def run():
            batcher = Batcher(scorer)
            waiting = [batcher.explain(window) for _ in range(FIRST + 2)]
            await asyncio.to_thread(scorer.begun.wait)
            batcher.give_back()
            with pytest.raises(Released):
                batcher.explain(window)
            scorer.open.set()
            found = await asyncio.gather(*waiting, return_exceptions=True)
            batcher.close()
            return found

        found = asyncio.run(run())
        assert [each.estimate.score for each in found[:FIRST]] == [1.0] * FIRST
        assert [type(each) for each in found[FIRST:]] == [Released] * 2

    def test_somebody_whom_the_model_cannot_read_fails_alone(self, gate):
        people = [talking(gate, name, name) for name in ("ada", "poison", "cy")]
        first, second, third = self.explain(gate, people, Counting())
        assert (first.estimate.score, third.estimate.score) == (1.0, 1.0)
        assert isinstance(second, RuntimeError)

    def test_each_gets_their_own_estimate(self, gate):
        people = [talking(gate, str(n), *["hello"] * n) for n in range(1, 6)]
        found = self.explain(gate, people, Counting())
        assert [each.estimate.user_id for each in found] == [str(each) for each in people]
        assert [each.estimate.score for each in found] == [1.0, 2.0, 3.0, 4.0, 5.0]


class TestPurge:
    def test_who_agrees_again_is_kept(self, gate):
        person = talking(gate, "ada")
        assert purge(gate, person, timedelta()) == "kept"
        assert ask(gate, "SELECT count(*) FROM messages") == [(1,)]

    def test_a_withdrawal_waits_its_days_then_everything_said_is_gone(self, gate):
        person = talking(gate, "ada")
        scored(gate, person)
        agree(gate, "ada", granted=False)
        assert purge(gate, person, timedelta(days=7)) == "later"
        assert len(kept(gate, person)) == 1
        (job,) = ask(gate, "SELECT scheduled_at FROM procrastinate_jobs WHERE task_name = 'purge'")
        assert job.scheduled_at - gate.clock() == pytest.approx(
            timedelta(days=7), abs=timedelta(minutes=5)
        )
        assert purge(gate, person, timedelta()) == "purged"
        assert ask(gate, "SELECT count(*) FROM messages") == [(0,)]
        assert kept(gate, person) == []

    def test_who_withdraws_a_second_time_has_all_the_days_once_more(self, gate):
        person, start = talking(gate, "ada"), gate.clock()
        for day, granted in ((0, False), (5, True), (5.1, False)):
            gate.clock = lambda day=day: start + timedelta(days=day)
            agree(gate, "ada", granted=granted)
        gate.clock = lambda: start + timedelta(days=8)
        assert purge(gate, person, timedelta(days=7)) == "later"
        gate.clock = lambda: start + timedelta(days=13)
        assert purge(gate, person, timedelta(days=7)) == "purged"

    def test_of_somebody_who_was_erased_nothing_is_left_to_purge(self, gate):
        assert purge(gate, uuid4(), timedelta()) == "gone"
