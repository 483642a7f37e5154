import json
from functools import cache

import pytest
from benchmarks.leaks import CASES, trial_of
from tests import tiny
from tests.words import WordScorer

from sottovoce.cohort import WindowRules
from sottovoce.evaluation import Settings, Suite
from sottovoce.instruments import PHQ_9
from sottovoce.progress import silent
from sottovoce.rereading import Subject
from sottovoce.shortcuts import Background, examine
from sottovoce.shortcuts.behaviour import look_at_behaviour
from sottovoce.shortcuts.verdict import TITLES
from sottovoce.trial import Trial

FEW = Settings(resamples=200)


@cache
def planted(name: str) -> tuple[Trial, WordScorer]:
    """Give the bundled people with a leak planted, or none, and a reader of words of them."""
    (case,) = [each for each in CASES if each.name == name]
    trial = trial_of(case)
    return trial, WordScorer(trial.training, case.roles, WindowRules(leaks="flag"))


@cache
def honest() -> Suite:
    trial, scorer = planted("honest")
    background = Background(trial.training, sample=40)
    return examine(trial, scorer, scorer.score(trial.test), background, settings=FEW)


def test_an_honest_model_passes_and_what_the_data_give_away_is_named():
    found = {check.key: check.status for check in honest().checks}
    assert list(found) == list(TITLES)
    assert {key for key, status in found.items() if status != "pass"} == {"data_companion"}
    assert honest().worst == "warn"


@pytest.mark.parametrize(
    ("name", "caught"),
    [
        ("score spoken in 20%", {"mentions"}),
        ("companion names severity", {"companion_alone", "companion_swapped"}),
    ],
)
def test_a_model_that_takes_a_planted_leak_is_caught(name, caught):
    trial, scorer = planted(name)
    subject = Subject(trial, scorer, tuple(scorer.score(trial.test)))
    checks = look_at_behaviour(subject, 40, 0, FEW, silent)
    assert {check.key for check in checks if check.status == "fail"} == caught


def test_a_suite_can_be_written_and_holds_nobodys_words_or_id():
    text = json.dumps(honest().as_dict(), allow_nan=False)
    trial, _ = planted("honest")
    assert not any(user in text for user in trial.users)
    assert not any(each.messages[0].content in text for each in trial.test)
    assert any("40 people" in note for note in honest().notes)


def test_by_default_nobody_knows_whom_the_model_learnt_from():
    windows = tuple(tiny.labelled_windows(60))
    trial = Trial(PHQ_9, windows[:30], windows[30:])
    scorer = WordScorer(trial.training)
    found = examine(trial, scorer, scorer.score(trial.test), settings=FEW)
    statuses = {check.key: check.status for check in found.checks}
    assert statuses["people_overlap"] == "warn"
    assert statuses["near_duplicates"] != "pass"
