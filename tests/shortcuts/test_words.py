from dataclasses import replace

import numpy as np
from tests import tiny

from sottovoce.evaluation import Settings
from sottovoce.instruments import PHQ_9
from sottovoce.shortcuts import words
from sottovoce.shortcuts.words import CHECKS, Data, look_at_words
from sottovoce.trial import Trial

WINDOWS = tuple(tiny.labelled_windows(50))
SPLIT = Trial(PHQ_9, WINDOWS[:20], WINDOWS[20:])
FOLDS = Trial(PHQ_9, WINDOWS)
FEW = Settings(resamples=200)
WORDS = ("fine", "so so", "bad", "awful")


def looked(key, trial):
    return CHECKS[key](Data(trial, FEW))


def replying(window):
    """Let the companion give severity away."""
    reply = WORDS[int(window.total // 7)]
    messages = (
        replace(each, content=reply) if each.role == "assistant" else each
        for each in window.messages
    )
    return replace(window, messages=tuple(messages))


def longer(window):
    """Let the person write the more the higher the total."""
    first, *rest = window.messages
    padded = replace(first, content=first.content + " and" * int(10 * window.total))
    return replace(window, messages=(padded, *rest))


def test_words_of_the_person_tell_totals_and_dealt_out_labels_do_not():
    checks = {check.key: check for check in look_at_words(SPLIT, FEW)}
    assert {key: check.status for key, check in checks.items()} == {
        "data_user": "pass",
        "data_companion": "pass",
        "data_length": "pass",
        "data_first_message": "pass",
        "data_permuted": "pass",
    }
    assert checks["data_user"].figures["r"].lower > 0
    permuted = checks["data_permuted"].figures["r"]
    assert permuted.lower < 0 < permuted.upper


def test_without_a_split_words_are_learnt_in_folds():
    assert looked("data_user", FOLDS).status == "pass"
    assert looked("data_length", FOLDS).status == "pass"


def test_a_companion_that_gives_severity_away_is_named():
    check = looked("data_companion", SPLIT.changed(replying))
    assert check.status == "warn"
    assert "can leave the person out" in check.why
    assert check.figures["r"].lower > 0.5


def test_length_that_tells_totals_is_named():
    check = looked("data_length", SPLIT.changed(longer))
    assert (check.status, check.figures["r"].lower > 0.8) == ("warn", True)


def test_a_first_message_that_says_it_all_is_named():
    def summed(window):
        first, *rest = window.messages
        text = " ".join(each.content for each in window.user_messages)
        return replace(window, messages=(replace(first, content=text), *rest))

    check = looked("data_first_message", SPLIT.changed(summed))
    assert check.status == "warn"
    assert "as much as everything that follows" in check.why


def test_windows_without_a_companion_have_no_such_shortcut():
    alone = SPLIT.changed(lambda window: replace(window, messages=window.user_messages))
    check = looked("data_companion", alone)
    assert (check.status, check.figures) == ("pass", {})


def test_a_reader_that_knows_the_test_people_is_caught_by_dealt_out_labels(monkeypatch):
    def cheating(_training, windows, *_rest):
        return np.array([each.total for each in windows])

    monkeypatch.setattr(words, "_read", cheating)
    check = looked("data_permuted", SPLIT)
    assert check.status == "fail"
    assert "leak" in check.why


def test_too_few_people_are_a_warning_and_nothing_is_raised():
    checks = look_at_words(Trial(PHQ_9, WINDOWS[:3]), FEW)
    assert [each.status for each in checks] == ["warn"] * len(CHECKS)
    assert all("could not be looked at" in each.why for each in checks)


def test_people_who_share_no_word_are_a_warning():
    def alien(window):
        return tiny.window(window.user_id, [f"w{window.user_id}"], window.total)

    check = look_at_words(SPLIT.changed(alien), FEW)[0]
    assert check.why == "could not be looked at: there are too few words to learn from"


def test_people_of_one_message_are_not_blamed_for_it():
    single = SPLIT.changed(lambda window: replace(window, messages=window.messages[:1]))
    check = looked("data_first_message", single)
    assert (check.status, check.why) == ("pass", "nothing follows anybody's first message")
