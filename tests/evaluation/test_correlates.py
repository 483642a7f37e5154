from datetime import UTC, datetime

import numpy as np
import pytest

from sottovoce.datasets import Rating
from sottovoce.errors import DataError
from sottovoce.evaluation import Settings, correlate

NOON = datetime(2025, 3, 14, 12, tzinfo=UTC)
FEW = Settings(resamples=100)


def two_waves(n=40, seed=3):
    generator = np.random.default_rng(seed)
    ratings, scores = [], []
    for wave in ("wave 1", "wave 2"):
        for number, sad in enumerate(generator.integers(1, 10, size=n)):
            ratings.append(Rating(f"p{number}", wave, NOON, {"sadness": float(sad)}))
            scores.append(float(2 * sad + generator.normal(0, 3)))
    return ratings, scores


def test_each_wave_and_the_change_have_a_row():
    ratings, scores = two_waves()
    rows = correlate(ratings, scores, FEW).rows
    assert [(row.occasion, row.rating) for row in rows] == [
        ("wave 1", "sadness"),
        ("wave 2", "sadness"),
        ("change from wave 1 to wave 2", "sadness"),
    ]
    sad = np.array([each.values["sadness"] for each in ratings]).reshape(2, 40)
    points = np.array(scores).reshape(2, 40)
    expected = [np.corrcoef(sad[wave], points[wave])[0, 1] for wave in (0, 1)]
    expected.append(np.corrcoef(sad[1] - sad[0], points[1] - points[0])[0, 1])
    assert [row.r.value for row in rows] == pytest.approx(expected)
    assert all(row.r.lower < row.r.value < row.r.upper for row in rows)


def test_abstentions_are_counted_and_a_change_needs_both():
    ratings, scores = two_waves()
    scores[0] = scores[41] = None
    first, second, change = correlate(ratings, scores, FEW).rows
    assert [(row.r.n, row.abstained) for row in (first, second, change)] == [
        (39, 1),
        (39, 1),
        (38, 2),
    ]


def test_too_few_people_give_the_reason_and_no_nan():
    ratings, scores = two_waves(5)
    table = correlate(ratings, scores, FEW).as_dict()
    assert "no depression scale" in table["note"]
    assert {row["r"]["reason"] for row in table["rows"]} == {
        "too few people (5, at least 10 are needed)"
    }


def test_one_occasion_has_no_change():
    ratings, scores = two_waves()
    assert len(correlate(ratings[:40], scores[:40], FEW).rows) == 1


def test_a_rating_without_a_score_is_refused():
    ratings, scores = two_waves()
    with pytest.raises(DataError, match="there are 80 ratings and 79 scores"):
        correlate(ratings, scores[1:])
