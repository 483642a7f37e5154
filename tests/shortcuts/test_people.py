from dataclasses import replace
from datetime import timedelta

import pytest
from tests import tiny

from sottovoce.instruments import PHQ_9
from sottovoce.shortcuts.people import look_at_people
from sottovoce.trial import Trial


def talking(number, total=9.0):
    words = [f"w{number} x{number} y{number} z{number} {word} v{number}" for word in "abcdef"]
    return tiny.window(f"p{number:02d}", words, total)


WINDOWS = tuple(talking(number) for number in range(30))
TRIAL = Trial(PHQ_9, WINDOWS[:12], WINDOWS[12:])


def looked(trial=TRIAL, learnt_from=TRIAL.training, annotated=()):
    return {check.key: check for check in look_at_people(trial, learnt_from, annotated)}


def first(change):
    return replace(TRIAL, test=(change(TRIAL.test[0]), *TRIAL.test[1:]))


def test_people_who_are_apart_pass_everything():
    checks = looked()
    assert list(checks) == [
        "time_order",
        "data_mentions",
        "people_overlap",
        "near_duplicates",
        "annotator_exposure",
    ]
    assert {each.status for each in checks.values()} == {"pass"}


@pytest.mark.parametrize(
    "change",
    [
        lambda window: replace(window, messages=window.messages[::-1]),
        lambda window: replace(window, end=window.end + timedelta(seconds=1)),
        lambda window: replace(window, end=window.messages[-1].timestamp),
        lambda window: replace(window, start=window.messages[1].timestamp),
    ],
    ids=["out of order", "after the answer", "after the end", "before the start"],
)
def test_messages_from_the_wrong_time_fail(change):
    check = looked(first(change))["time_order"]
    assert (check.status, check.figures["out_of_order"].value) == ("fail", 1)


def test_an_earlier_questionnaire_inside_a_window_is_a_warning():
    earlier = replace(TRIAL.test[0], end=TRIAL.test[0].end - timedelta(days=3))
    label = replace(earlier.label, completed_at=earlier.end)
    moved = tuple(
        replace(each, timestamp=each.timestamp - timedelta(days=3)) for each in earlier.messages
    )
    earlier = replace(earlier, messages=moved, label=label)
    check = looked(replace(TRIAL, test=(*TRIAL.test, earlier)))["time_order"]
    assert (check.status, check.figures["earlier_totals"].value) == ("warn", 1)


@pytest.mark.parametrize(
    ("text", "status"), [("my PHQ-9 score was 14", "fail"), ("that PHQ-9 again", "warn")]
)
def test_windows_that_mention_a_questionnaire_are_told_and_scores_fail(text, status):
    def mentioning(window):
        last = window.messages[-2]
        return replace(window, messages=(*window.messages[:-2], replace(last, content=text)))

    check = looked(first(mentioning))["data_mentions"]
    assert (check.status, check.figures["windows"].value) == (status, 1)
    assert check.why.startswith("1 of 12 test windows still mention one")


def test_test_people_who_were_learnt_from_fail():
    check = looked(learnt_from=(*TRIAL.training, *TRIAL.test[:2]))["people_overlap"]
    assert check.status == "fail"
    assert check.why.startswith("2 of 12 tested people were learnt from")


def test_where_nobody_knows_whom_the_model_learnt_from_that_is_said():
    checks = looked(learnt_from=None)
    for key in ("people_overlap", "near_duplicates"):
        assert checks[key].status == "warn"
        assert "nobody said whom the model learnt from" in checks[key].why


def test_a_text_under_another_name_fails():
    copy = replace(TRIAL.test[0], user_id="zoe")
    for learnt_from in ((*TRIAL.training, copy), (copy,)):
        check = looked(learnt_from=learnt_from)["near_duplicates"]
        assert (check.status, check.figures["windows"].value) == ("fail", 1)
        assert check.figures["highest"].value == 1


def test_without_a_split_test_people_are_compared_with_each_other():
    folds = Trial(PHQ_9, WINDOWS)
    assert "in other folds" in looked(folds, learnt_from=())["near_duplicates"].why
    copy = replace(WINDOWS[0], user_id="zoe")
    twice = looked(Trial(PHQ_9, (*WINDOWS, copy)), learnt_from=())["near_duplicates"]
    assert (twice.status, twice.figures["windows"].value) == ("fail", 2)


def test_annotations_of_tested_people_fail():
    safe = looked(annotated={each.user_id for each in TRIAL.training})["annotator_exposure"]
    assert safe.status == "pass"
    assert "18 people's annotations" in safe.why
    check = looked(annotated=TRIAL.users[:3])["annotator_exposure"]
    assert (check.status, check.figures["people"].value) == ("fail", 3)


def test_no_id_and_no_word_of_anybody_is_told():
    checks = looked(learnt_from=TRIAL.test, annotated=TRIAL.users)
    told = str([each.as_dict() for each in checks.values()])
    assert "p00" not in told
    assert "x0" not in told
