from dataclasses import replace

import numpy as np
import pytest
from tests import made, tiny
from tests.words import Saying, WordScorer

from sottovoce.evaluation import Settings
from sottovoce.instruments import PHQ_9
from sottovoce.progress import silent
from sottovoce.rereading import Subject
from sottovoce.shortcuts.behaviour import CHECKS, look_at_behaviour
from sottovoce.shortcuts.verdict import TITLES
from sottovoce.trial import Trial

WINDOWS = tuple(tiny.labelled_windows(80))
TRIAL = Trial(PHQ_9, WINDOWS[:40], WINDOWS[40:])
FEW = Settings(resamples=200)


def looked(scorer, trial=TRIAL, estimates=None):
    given = tuple(scorer.score(trial.test)) if estimates is None else tuple(estimates)
    checks = look_at_behaviour(Subject(trial, scorer, given), 40, 0, FEW, silent)
    return {check.key: check for check in checks}


def own(window):
    """Give a score by how often the person says the first saying, which tells totals."""
    said = [each.content for each in window.user_messages]
    return 22 * np.mean([each == tiny.SAYINGS[0] for each in said]) if said else 0


def mentioning(window, text):
    """Let the person say one more thing in the end."""
    last = window.messages[-1]
    return replace(window, messages=(*window.messages, replace(last, role="user", content=text)))


def test_a_reader_of_words_passes_everything():
    checks = looked(WordScorer(TRIAL.training))
    assert list(checks) == list(CHECKS)
    assert set(CHECKS) <= set(TITLES)
    assert {each.status for each in checks.values()} == {"pass"}


def test_a_model_that_abstained_on_everybody_cannot_be_looked_at():
    gone = [made.estimate(user, None) for user in TRIAL.users]
    checks = looked(WordScorer(TRIAL.training), estimates=gone)
    assert list(checks) == list(CHECKS)
    assert {each.status for each in checks.values()} == {"warn"}


@pytest.mark.parametrize(
    ("key", "points"),
    [
        ("user_id", lambda window: own(window) + len(window.user_id)),
        ("label", lambda window: 0.5 * own(window) + 0.5 * window.total),
        ("clock", lambda window: own(window) + window.messages[0].timestamp.hour),
    ],
)
def test_a_model_that_looks_at_the_name_the_answer_or_the_clock_fails(key, points):
    checks = looked(Saying(points))
    assert checks[key].status == "fail"
    others = {"user_id", "label", "clock"} - {key}
    assert [checks[each].status for each in others] == ["pass", "pass"]


def test_a_model_that_says_something_else_each_time_fails():
    dice = np.random.default_rng(0)
    check = looked(Saying(lambda window: dice.uniform(0, 27)))["repeated"]
    assert check.status == "fail"


@pytest.mark.parametrize(("off", "status"), [(0.0, "pass"), (0.5, "warn"), (6.0, "fail")])
def test_estimates_of_another_model_are_found(off, status):
    scorer = Saying(lambda window: min(own(window), 20))
    other = Saying(lambda window: min(own(window), 20) + off)
    assert looked(scorer, estimates=other.score(TRIAL.test))["repeated"].status == status


def test_a_model_that_stops_after_the_first_message_is_warned():
    def first(window):
        return 5 + 10 * (window.user_messages[:1][0].content == tiny.SAYINGS[0])

    check = looked(Saying(lambda window: first(window) if window.user_messages else 0))
    assert check["first_message"].status == "warn"
    assert "hardly read" in check["first_message"].why


def test_a_model_that_rests_on_where_something_is_said_is_warned():
    def ending(window):
        return (
            22 * float(window.user_messages[-1].content.split()[-1]) if window.user_messages else 0
        )

    def ended(window):
        return mentioning(window, f"all in all {min(window.total / 22, 1):.2f}")

    def numbered(window):
        messages = (
            replace(each, content=f"{each.content} 0.5") if each.role == "user" else each
            for each in window.messages
        )
        return replace(window, messages=tuple(messages))

    trial = TRIAL.changed(numbered).changed(ended)
    check = looked(Saying(lambda window: ending(window) if _numbers(window) else 11), trial)
    assert check["shuffled"].status == "warn"
    assert check["shuffled"].figures["mae_change"].lower > 1


def _numbers(window):
    said = window.user_messages
    return bool(said) and said[-1].content.split()[-1].replace(".", "").isdigit()


def scored(window):
    return mentioning(window, f"My PHQ-9 score was {window.total:g}.")


def reads_scores(window):
    """Believe a spoken score half, where there is one."""
    said = [e.content for e in window.user_messages if e.content.startswith("My PHQ-9 score")]
    return 0.5 * own(window) + 0.5 * float(said[0].split()[-1].strip(".")) if said else own(window)


def with_scores(trial=TRIAL, people=15):
    return replace(trial, test=(*map(scored, trial.test[:people]), *trial.test[people:]))


def test_a_model_that_reads_a_spoken_score_fails():
    check = looked(Saying(reads_scores), with_scores(people=25))["mentions"]
    assert check.status == "fail"
    assert check.why.startswith("25 windows mention one")
    assert check.figures["mae_change"].lower > 0


def test_a_model_that_does_not_care_passes_although_scores_are_spoken():
    def deaf(window):
        said = [e for e in window.user_messages if not e.content.startswith("My PHQ-9")]
        return own(replace(window, messages=tuple(said)))

    check = looked(Saying(deaf), with_scores())["mentions"]
    assert check.status == "pass"
    assert check.figures["moved"].value == 0


def test_the_loss_of_a_mention_that_hurts_like_any_other_loss_passes():
    def pieces(number):
        said = [f"it is {number % 4 + 1}"] * 5
        text = f"My PHQ-9 score was 14, it is {number % 4 + 1}"
        return tiny.window(f"p{number:02d}", [*said, text], 6.0 * (number % 4 + 1))

    def added(window):
        return sum(int(each.content[-1]) for each in window.user_messages if each.content != "OK.")

    check = looked(Saying(added), replace(TRIAL, test=tuple(map(pieces, range(20)))))["mentions"]
    assert check.status == "pass"
    assert check.figures["mae_change"].lower > 1
    assert check.figures["mae_excess"].value == 0


def test_a_few_spoken_scores_cannot_be_judged():
    check = looked(Saying(reads_scores), with_scores(people=4))["mentions"]
    assert check.status == "warn"
    assert "4 windows mention one, and no interval: too few people" in check.why


def test_mentions_that_were_removed_before_are_told():
    test = (replace(TRIAL.test[0], leaks={"spoken_score": 1}), *TRIAL.test[1:])
    check = looked(WordScorer(TRIAL.training), replace(TRIAL, test=test))["mentions"]
    assert (check.status, "1 of them held was removed before" in check.why) == ("pass", True)


def varied(number, window):
    """Let people write more or less, whatever their total."""
    first, *rest = window.messages
    padded = replace(first, content=first.content + " and" * (number * 37 % 91))
    return replace(window, messages=(padded, *rest))


def test_estimates_that_follow_length_and_not_the_total_fail():
    trial = replace(TRIAL, test=tuple(varied(n, each) for n, each in enumerate(TRIAL.test)))

    def long(window):
        return np.log1p(sum(len(each.content.split()) for each in window.user_messages)) * 4

    assert looked(Saying(long), trial)["length"].status == "fail"
    turned = looked(Saying(lambda window: 27 - long(window)), trial)["length"]
    assert turned.status == "fail"
    assert turned.figures["r"].value < -0.9
    assert looked(WordScorer(TRIAL.training), trial)["length"].status == "pass"


def test_people_of_one_message_have_no_order_and_nothing_that_follows():
    trial = TRIAL.changed(lambda window: replace(window, messages=window.user_messages[:1]))
    checks = looked(WordScorer(trial.training), trial)
    for key in ("first_message", "shuffled", "user_alone"):
        assert (checks[key].status, checks[key].figures) == ("pass", {})


def test_what_cannot_be_moved_in_time_is_a_warning():
    last = replace(TRIAL.test[0], end=TRIAL.test[0].end.replace(year=9999))
    check = looked(WordScorer(TRIAL.training), replace(TRIAL, test=(last,)))["clock"]
    assert check.why == "could not be looked at: no window could be changed so"


def test_a_model_that_says_the_same_of_everybody_has_nothing_to_compare():
    def cut(window):
        return 9 + (len(window.user_messages) < 6) * own(window)

    checks = looked(Saying(cut))
    for key in ("first_message", "length"):
        assert checks[key].why == "could not be looked at: the estimates are all the same"


def test_a_model_that_needs_more_than_a_first_message_passes():
    check = looked(Saying(lambda window: own(window) * (len(window.user_messages) > 1)))
    assert check["first_message"].status == "pass"
    assert "the same of everybody" in check["first_message"].why


def test_people_who_all_write_as_much_have_no_length_to_follow():
    def total(window):
        return window.label.total

    trial = Trial(PHQ_9, tuple(tiny.window(f"p{n}", ["one two"] * 6, float(n)) for n in range(12)))
    assert looked(Saying(total), trial)["length"].why == "everybody wrote as many words"
