import json

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from sottovoce.errors import DataError
from sottovoce.evaluation import Settings, Validation, evaluate, read_validation
from sottovoce.instruments import PHQ_9


def drawn(n, seed, shift=0.0):
    generator = np.random.default_rng(seed)
    totals = generator.integers(0, 28, size=n).astype(float)
    return totals, 0.5 * totals + 3 + shift + generator.normal(0, 2, size=n)


def judged(validation=None, users=None):
    totals, score = drawn(120, 1)
    settings = Settings(resamples=100, validation=validation)
    users = [f"p{n}" for n in range(120)] if users is None else users
    return evaluate(totals, score, users, instrument="phq-9", settings=settings)


def test_the_questionnaires_own_cut_off_is_judged_and_counted():
    totals, score = drawn(120, 1)
    row = judged().thresholds[0]
    tn, fp, fn, tp = confusion_matrix(totals >= 10, score >= 10).ravel()
    assert (row.cut_off, row.threshold) == (10, 10.0)
    assert row.counts == {"tp": tp, "fp": fp, "fn": fn, "tn": tn}
    assert row.figures["sensitivity"].value == pytest.approx(tp / (tp + fn))
    assert row.figures["ppv"].value == pytest.approx(tp / (tp + fp))


def test_a_threshold_from_validation_people_mends_a_scale_that_is_off():
    own, chosen = judged(Validation(*drawn(300, 2))).thresholds
    assert chosen.chosen == "Youden's J on 300 validation rows"
    assert chosen.threshold < own.threshold
    index = [
        row.figures["sensitivity"].value + row.figures["specificity"].value for row in (own, chosen)
    ]
    assert index[1] > index[0]


def test_the_judged_rows_have_no_part_in_the_threshold():
    totals, score = drawn(300, 2)
    settings = Settings(resamples=50, validation=Validation(totals, score))
    chosen = [
        evaluate(t, s, range(len(t)), instrument="phq-9", settings=settings).thresholds[1]
        for t, s in (drawn(120, 1), drawn(60, 9, shift=5))
    ]
    assert chosen[0].threshold == chosen[1].threshold


def test_without_validation_people_nothing_is_chosen():
    row = judged().thresholds[1]
    assert (row.threshold, row.counts) == (None, {})
    assert row.figures["npv"].text() == "not computed: no validation people were given"


@pytest.mark.parametrize(
    ("totals", "scores", "reason"),
    [
        ([3.0] * 20, range(20), "one class only (0 of 20 rows are positive)"),
        ([3.0, 12.0], [1, 2], "2 rows, at least 10 are needed"),
        ([3.0, 12.0] * 9, [None] * 18, "0 rows, at least 10 are needed"),
        ([12.0] * 20, range(20), "one class only (20 of 20 rows are positive)"),
        ([float("nan")] + [3.0, 12.0] * 9, [1.0] * 19, "not a finite number"),
        ([3.0, 12.0] * 9, [float("nan")] + [1.0] * 17, "not a finite number"),
    ],
)
def test_validation_people_who_cannot_choose_are_told_why(totals, scores, reason):
    row = judged(Validation(totals, list(scores))).thresholds[1]
    assert row.threshold is None
    assert reason in row.figures["ppv"].text()
    json.dumps(row.as_dict(), allow_nan=False)


def test_validation_people_without_a_total_of_zero_choose_as_well():
    row = judged(Validation([3.0, 14.0] * 10, [4.0, 12.0] * 10)).thresholds[1]
    assert row.threshold == 8.0


def test_people_who_are_judged_may_not_choose():
    validation = Validation(*drawn(300, 2), users=[f"p{n + 118}" for n in range(300)])
    with pytest.raises(DataError, match="2 of the validation people are among") as caught:
        judged(validation)
    assert "p118" not in str(caught.value)


def test_validation_columns_of_different_lengths_are_an_error():
    with pytest.raises(DataError, match="different lengths"):
        judged(Validation([1.0], [1.0, 2.0]))


PAIR = {"user_id": "v1", "instrument": "phq-9", "total": 12, "score": 9.5, "abstained": False}


def written(tmp_path, *records):
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(json.dumps(each) for each in records), encoding="utf-8")
    return path


def test_pairs_are_read_as_they_were_written(tmp_path):
    silent = PAIR | {"user_id": "v2", "score": None}
    found = read_validation(written(tmp_path, PAIR, silent), PHQ_9)
    assert found == Validation((12, 12), (9.5, None), ("v1", "v2"))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"total": None}, "line 2, field total"),
        ({"score": "high"}, "line 2, field score"),
        ({"user_id": 7}, "line 2, field user_id"),
        ({"instrument": "gad-7"}, "line 2, field instrument: the pair is not of phq-9"),
    ],
)
def test_a_line_that_is_no_pair_is_an_error_with_its_place(tmp_path, change, found):
    with pytest.raises(DataError, match=found):
        read_validation(written(tmp_path, PAIR, PAIR | change), PHQ_9)


def test_a_line_that_is_no_object_is_an_error(tmp_path):
    with pytest.raises(DataError, match="line 1: this is a list"):
        read_validation(written(tmp_path, ["a"]), PHQ_9)
