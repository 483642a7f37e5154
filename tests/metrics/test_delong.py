"""DeLong's variance against published numbers, the definition and theory.

`benchmarks/statistics.py` holds it to pROC's own example and test suite, whose data are not part of
this project.
"""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from sottovoce.metrics import auc, delong, delong_difference

RATED = {1: (33, 3), 2: (6, 2), 3: (6, 2), 4: (11, 11), 5: (2, 33)}
"""Normal and abnormal patients at each rating of a CT image: Hanley, McNeil 1982, table I."""

ROWS = st.lists(
    st.tuples(st.integers(0, 12), st.booleans(), st.integers(0, 9), st.integers(0, 9)),
    min_size=24,
    max_size=70,
)


def hanley():
    case, score = [], []
    for rating, (normal, abnormal) in RATED.items():
        case += [False] * normal + [True] * abnormal
        score += [rating] * (normal + abnormal)
    return case, score


def brute(case, scores, person, level=0.95):
    """Give AUCs, their covariance and people by the definition: every pair, person by person."""
    case, person = np.array(case), np.array(person)
    wins = [
        np.array([[(a > b) + (a == b) / 2 for b in s[~case]] for a in s[case]])
        for s in (np.array(each, dtype=float) for each in scores)
    ]
    areas = [each.mean() for each in wins]
    m, n = int(case.sum()), int((~case).sum())
    of_cases, of_others = {}, {}
    for who in set(person.tolist()):
        mine, theirs = person[case] == who, person[~case] == who
        of_cases[who] = [each.mean(axis=1)[mine].sum() - mine.sum() * area
                         for each, area in zip(wins, areas, strict=True)]  # fmt: skip
        of_others[who] = [each.mean(axis=0)[theirs].sum() - theirs.sum() * area
                          for each, area in zip(wins, areas, strict=True)]  # fmt: skip
    people = len(set(person.tolist()))
    with_cases = len(set(person[case].tolist()))
    with_others = len(set(person[~case].tolist()))
    covariance = np.zeros((2, 2))
    for i, j in itertools.product(range(2), repeat=2):
        for who, first in of_cases.items():
            second = of_others[who]
            covariance[i, j] += first[i] * first[j] * with_cases / (with_cases - 1) / m**2
            covariance[i, j] += second[i] * second[j] * with_others / (with_others - 1) / n**2
            both = first[i] * second[j] + first[j] * second[i]
            covariance[i, j] += both * people / (people - 1) / (m * n)
    return areas, covariance


def test_it_equals_the_published_analysis_of_hanley_and_mcneils_images():
    # Stata's manual [R] roc, roctab: area 0.8932, standard error 0.0307, 0.83295 to 0.95339.
    found = delong(*hanley(), plain=True)
    assert round(found.value, 4) == 0.8932
    assert (round(found.lower, 5), round(found.upper, 5)) == (0.83295, 0.95339)
    assert round((found.upper - found.lower) / 2 / norm.ppf(0.975), 4) == 0.0307


@given(ROWS, st.booleans())
@settings(deadline=None)
def test_variance_and_covariance_are_the_definitions(rows, together):
    numbers, case, first, second = (list(column) for column in zip(*rows, strict=True))
    person = numbers if together else list(range(len(rows)))
    smaller = [len({p for p, c in zip(person, case, strict=True) if c is side})
               for side in (True, False)]  # fmt: skip
    found = delong_difference(case, first, second, person)
    if min(smaller) < 5 or len(set(person)) < 10:
        assert found.figure.lower is None
        return
    areas, covariance = brute(case, (first, second), person)
    assert found.figure.value == pytest.approx(areas[0] - areas[1])
    if found.p is None:
        assert {0.0, 1.0} & set(areas)
        return
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    half = (found.figure.upper - found.figure.lower) / 2
    assert half == pytest.approx(norm.ppf(0.975) * np.sqrt(max(variance, 0)), abs=1e-7)
    one = delong(case, first, person, plain=True)
    lower = areas[0] - norm.ppf(0.975) * np.sqrt(max(covariance[0, 0], 0))
    assert one.lower == pytest.approx(max(0, lower), abs=1e-7)


@given(ROWS)
def test_the_area_is_scikit_learns_and_the_bootstraps(rows):
    _, case, scores, _ = (np.array(column) for column in zip(*rows, strict=True))
    found = delong(case, scores)
    if not found.computed:
        assert case.all() or not case.any()
        return
    assert found.value == pytest.approx(roc_auc_score(case, scores))
    assert found.value == pytest.approx(auc(case, scores).value)


def test_repeating_every_row_of_a_person_leaves_the_interval_as_it_was():
    case, score = hanley()
    person = range(len(case))
    once = delong(case, score)
    thrice = delong(np.repeat(case, 3), np.repeat(score, 3), np.repeat(person, 3))
    assert (thrice.value, thrice.lower, thrice.upper) == pytest.approx(
        (once.value, once.lower, once.upper)
    )


def test_the_logit_interval_stays_inside_and_leans_away_from_one():
    case, score = hanley()
    plain, found = delong(case, score, plain=True), delong(case, score)
    assert 0 < found.lower < plain.lower
    assert found.upper < plain.upper < 1


def test_a_difference_to_itself_is_nothing_and_sure():
    case, score = hanley()
    found = delong_difference(case, score, score)
    assert (found.figure.value, found.figure.lower, found.figure.upper) == (0.0, 0.0, 0.0)
    assert found.p == 1.0


def test_turning_the_two_round_turns_the_difference_round():
    generator = np.random.default_rng(4)
    case = generator.random(90) < 0.4
    first, second = case + generator.normal(size=90), case + generator.normal(size=90)
    there, back = (delong_difference(case, *each) for each in ((first, second), (second, first)))
    assert there.p == pytest.approx(back.p)
    assert there.figure.value == pytest.approx(-back.figure.value)
    assert there.figure.lower == pytest.approx(-back.figure.upper)


def test_a_score_that_ranks_nobody_is_at_chance():
    found = delong([True, False] * 10, [4.0] * 20)
    assert (found.value, found.lower, found.upper) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("case", "score", "person", "reason"),
    [
        ([True] * 4 + [False] * 30, [1, 0] * 17, None, "fewer than 5 in the smaller class"),
        ([False] * 20 + [True] * 20, range(40), None, "the classes are wholly apart"),
        ([True, False] * 10, list(range(20)), [1, 2, 3] * 6 + [1, 2], "too few people (3, at"),
        (
            [False] * 20 + [True] * 20,
            [1, 2] * 20,
            [*range(20), *([99] * 20)],
            "fewer than 5 in the smaller class",
        ),
    ],
)
def test_what_has_no_interval_says_why(case, score, person, reason):
    for found in (
        delong(case, score, person),
        delong_difference(case, score, score, person).figure,
    ):
        assert found.computed
        assert found.lower is None
        assert reason in found.reason


def test_one_class_only_has_no_difference():
    found = delong_difference([True] * 12, range(12), range(12))
    assert found.p is None
    assert "one class only" in found.figure.text()
