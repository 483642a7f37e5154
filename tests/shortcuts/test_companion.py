from dataclasses import replace

import numpy as np
import pytest
from tests import tiny
from tests.words import Saying, WordScorer

from sottovoce.evaluation import Settings
from sottovoce.instruments import PHQ_9
from sottovoce.progress import silent
from sottovoce.rereading import Subject
from sottovoce.shortcuts.behaviour import look_at_behaviour
from sottovoce.trial import Trial

FEW = Settings(resamples=200)
KEYS = ("companion_alone", "companion_swapped", "user_alone")


def speaking(window, generator):
    """Let the companion name the total, give or take a little, in each of its turns."""
    number = int(np.clip(window.total + generator.normal(0, 2), 0, 27))
    messages = (
        replace(each, content=f"That is a {number}.") if each.role == "assistant" else each
        for each in window.messages
    )
    return replace(window, messages=tuple(messages))


_GENERATOR = np.random.default_rng(0)
WINDOWS = tuple(speaking(each, _GENERATOR) for each in tiny.labelled_windows(60))
TRIAL = Trial(PHQ_9, WINDOWS[:30], WINDOWS[30:])


def heard(window):
    """Give what the companion says, on average; 0 where it says nothing."""
    numbers = [
        int(each.content.split()[-1].strip("."))
        for each in window.messages
        if each.role == "assistant"
    ]
    return np.mean(numbers or [0])


def own(window):
    """Give a score by how often the person says the first saying, which tells totals."""
    said = [each.content for each in window.user_messages]
    return 22 * np.mean([each == tiny.SAYINGS[0] for each in said]) if said else 0


def looked(scorer, trial=TRIAL):
    subject = Subject(trial, scorer, tuple(scorer.score(trial.test)))
    checks = look_at_behaviour(subject, 30, 0, FEW, silent)
    return {check.key: check for check in checks if check.key in KEYS}


def test_a_reader_of_the_person_alone_passes():
    checks = looked(WordScorer(TRIAL.training))
    assert [checks[key].status for key in KEYS] == ["pass"] * 3
    assert "abstains" in checks["companion_alone"].why


def test_a_model_that_repeats_the_companion_fails_everything():
    checks = looked(Saying(heard))
    assert [checks[key].status for key in KEYS] == ["fail"] * 3
    assert checks["companion_swapped"].figures["share"].value == pytest.approx(1)


def test_a_model_that_listens_a_little_is_warned_by_its_share():
    checks = looked(Saying(lambda window: 0.7 * own(window) + 0.3 * heard(window)))
    share = checks["companion_swapped"].figures["share"]
    assert checks["companion_swapped"].status == "warn"
    assert 0.1 < share.lower < share.upper < 0.5
    assert checks["companion_alone"].status == "fail"


def test_a_touch_of_the_companion_that_says_nothing_passes():
    def touched(window):
        return own(window) + 0.2 * len({each.role for each in window.messages})

    checks = looked(Saying(touched))
    assert checks["companion_swapped"].status == "pass"
    assert checks["user_alone"].figures["moved"].value == pytest.approx(0.2, abs=0.02)


def test_a_model_that_speaks_of_a_silent_person_is_warned():
    check = looked(Saying(own))["companion_alone"]
    assert check.status == "warn"
    assert "silent person" in check.why


def test_too_few_people_to_tell_are_a_warning():
    trial = replace(TRIAL, test=TRIAL.test[:6])
    checks = looked(Saying(heard), trial)
    assert {each.status for each in checks.values()} == {"warn"}
    assert all("too few people" in each.why for each in checks.values())


def test_one_person_alone_cannot_be_looked_at():
    checks = looked(Saying(own), replace(TRIAL, test=TRIAL.test[:1]))
    for key in ("companion_alone", "companion_swapped"):
        assert checks[key].status == "warn"
        assert "nobody else" in checks[key].why


def test_a_companion_that_says_the_same_to_everybody_gives_nothing_away():
    trial = Trial(PHQ_9, tuple(tiny.labelled_windows(20)), TRIAL.training)
    checks = looked(Saying(lambda window: len(window.messages)), trial)
    assert checks["companion_swapped"].why == "the companion says the same to everybody, or nothing"
    assert [checks[key].status for key in KEYS[:2]] == ["pass", "pass"]


def test_a_person_who_only_nods_may_be_given_one_score():
    def echo(window):
        said = {each.content for each in window.user_messages}
        return 9 if said <= {"OK."} else 0.5 * own(window) + 0.1 * heard(window)

    check = looked(Saying(echo))["companion_alone"]
    assert (check.status, "the same of everybody" in check.why) == ("pass", True)
