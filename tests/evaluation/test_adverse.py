"""Every metric against every bad input: it says why, and nothing is NaN in JSON."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.evaluation import Predictions, Settings, Validation, evaluate
from sottovoce.metrics import Figure

N = 40
METRICS = (
    "mae", "rmse", "bias", "r", "spearman", "ccc", "r_corrected", "slope", "error_slope", "r2",
    "auc_10", "qwk", "crps", "aurc", "coverage", "width", "sensitivity", "specificity", "ppv",
    "npv", "ece", "brier", "fnr", "gap",
)  # fmt: skip
RANKS = {"r", "spearman", "ccc", "r_corrected", "slope", "error_slope", "r2", "qwk", "auc_10"}
SHARES_OF_CASES = {"sensitivity", "fnr", "gap"}


def sound():
    """Give totals, users, groups and predictions with everything that a metric may ask for."""
    generator = np.random.default_rng(0)
    totals = [float(each) for each in generator.integers(0, 28, size=N)]
    score = np.clip(0.7 * np.array(totals) + 3 + generator.normal(0, 3, size=N), 0, 27)
    return totals, [f"p{n}" for n in range(N)], predicted(score)


def predicted(score):
    """Give predictions of these scores; NaN is a fault, None an abstention."""
    plain = np.array([np.nan if each is None else each for each in score], dtype=float)
    out = np.array([each is None for each in score], dtype=bool)
    generator = np.random.default_rng(1)
    return Predictions(
        score=plain,
        abstained=out,
        reasons=tuple("too little" if each else None for each in out),
        lower=plain - 6,
        upper=plain + 6,
        nominal=np.full(len(plain), 0.9),
        chances={10: np.where(np.isfinite(plain), generator.random(len(plain)), np.nan)},
        samples=plain[:, np.newaxis] + generator.normal(0, 4, size=9),
        uncertainty=np.where(np.isfinite(plain), generator.random(len(plain)), np.nan),
    )


def changed(case):
    totals, users, made = sound()
    score = made.score.tolist()
    return {
        "nothing wrong": (totals, users, made),
        "nan score": (totals, users, predicted([math.nan, *score[1:]])),
        "infinite score": (totals, users, predicted([-math.inf, *score[1:]])),
        "nan total": ([math.nan, *totals[1:]], users, made),
        "no cases": ([each % 9 for each in totals], users, made),
        "cases only": ([each % 9 + 15 for each in totals], users, made),
        "one score": (totals, users, predicted([11.0] * N)),
        "three people": (totals[:3], users[:3], predicted(score[:3])),
        "all abstained": (totals, users, predicted([None] * N)),
        "some abstained": (totals, users, predicted([None] * 12 + score[12:])),
        "duplicate users": (totals, ["ada"] * N, made),
        "several rows a person": (totals, [f"p{n // 2}" for n in range(N)], made),
        "unlabelled rows": ([None] * 5 + totals[5:], users, made),
        "nobody labelled": ([None] * N, users, made),
        "empty": ([], [], predicted([])),
    }[case]


EVERYTHING = (
    "nan score", "infinite score", "nan total", "three people", "all abstained", "duplicate users",
    "nobody labelled", "empty",
)  # fmt: skip
BAD = (
    *EVERYTHING, "no cases", "cases only", "one score", "some abstained", "several rows a person",
    "unlabelled rows",
)  # fmt: skip


def judged(totals, users, made, **more):
    side = ["left" if n % 4 < 2 else "right" for n in range(len(totals))]
    return evaluate(
        totals, made, users, {"side": side}, instrument="phq-9",
        settings=Settings(resamples=100, **more),
    )  # fmt: skip


def found(evaluation):
    """Give the figure of each metric, wherever it stands."""
    figures = dict(evaluation.figures) | dict(evaluation.thresholds[0].figures)
    missing = Figure.missing("no probabilities")
    curve = evaluation.reliability[0].figures if evaluation.reliability else {}
    figures |= {key: curve.get(key, missing) for key in ("ece", "brier")}
    rows = [row for table in evaluation.groups for row in table.rows]
    figures["fnr"] = rows[0].figures["fnr"] if rows else Figure.missing("no groups")
    gaps = rows[0].gaps if rows else {}
    figures["gap"] = gaps["fnr"].difference if gaps else Figure.missing("no gap")
    return figures


@pytest.fixture(scope="module")
def results():
    return {case: judged(*changed(case)) for case in ("nothing wrong", *BAD)}


@pytest.mark.parametrize("key", METRICS)
def test_a_metric_on_sound_rows_is_computed(results, key):
    assert found(results["nothing wrong"])[key].computed


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("key", METRICS)
def test_a_metric_says_why_it_was_not_computed(results, key, case):
    figure = found(results[case])[key]
    if case in EVERYTHING:
        assert not figure.computed
    if case == "no cases":
        assert figure.computed is (key not in SHARES_OF_CASES | {"auc_10"})
    if case == "cases only":
        assert figure.computed is (key not in {"auc_10", "specificity"})
    if case == "one score":
        assert figure.computed is (key not in RANKS - {"auc_10"} | {"npv"})
    if case in ("some abstained", "unlabelled rows", "several rows a person"):
        assert figure.computed is (key not in ("fnr", "gap") or figure.reason is None)
    if not figure.computed:
        assert figure.reason
        assert figure.text().startswith("not computed: ")


@pytest.mark.parametrize("case", BAD)
def test_the_whole_evaluation_is_strict_json(results, case):
    text = json.dumps(results[case].as_dict(), allow_nan=False)
    assert json.loads(text)["n_scored"] == results[case].n_scored


def test_abstentions_are_never_silent(results):
    result = results["some abstained"]
    assert (result.n_scored, result.n_abstained) == (28, 12)
    assert result.figures["mae"].n == 28
    assert result.figures["mae_all"].n == 40
    totals, _, made = changed("some abstained")
    score = np.where(made.abstained, np.nanmean(made.score), made.score)
    assert result.figures["mae_all"].value == pytest.approx(np.abs(score - totals).mean())
    assert result.risk_coverage.shares[-1] == pytest.approx(28 / 40)
    assert "mae_all" not in results["nothing wrong"].figures


NUMBERS = st.one_of(
    st.none(), st.floats(0, 27), st.floats(-5, 40), st.just(math.nan), st.just(math.inf)
)
ROW = st.tuples(
    st.one_of(st.none(), st.integers(0, 27), st.just(math.nan)),
    NUMBERS,
    st.integers(0, 30),
    st.one_of(st.floats(0, 9), st.just(math.nan)),
    st.one_of(st.floats(-0.1, 1.1), st.just(math.nan)),
    st.sampled_from(["a", "b", None]),
)


@given(st.lists(ROW, max_size=45), st.lists(st.tuples(NUMBERS, NUMBERS), max_size=25))
@settings(deadline=None, max_examples=80)
def test_whatever_comes_in_is_an_evaluation_without_nan(rows, others):
    totals, score, users, width, chance, group = ([row[at] for row in rows] for at in range(6))
    made = predicted(score)
    made = Predictions(
        score=made.score,
        abstained=made.abstained,
        reasons=made.reasons,
        lower=made.score - np.array(width),
        upper=made.score + np.array(width),
        nominal=made.nominal,
        chances={10: np.array(chance)},
        samples=made.samples,
        uncertainty=None if len(rows) % 2 else np.array(width),
    )
    validation = Validation([pair[0] for pair in others], [pair[1] for pair in others])
    given_settings = Settings(resamples=20, validation=validation if others else None)
    result = evaluate(
        totals, made, users, {"g": group}, instrument="phq-9", settings=given_settings
    )
    json.dumps(result.as_dict(), allow_nan=False)
    assert result.n_scored + result.n_abstained + result.n_unlabelled == len(rows)
