import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.evaluation import Settings, evaluate

FEW = Settings(resamples=400, seed=3)


def drawn(n=240, seed=0, worse=0.0):
    """Give totals, scores and a group of a third whose cases are missed more often by `worse`."""
    generator = np.random.default_rng(seed)
    totals = generator.integers(0, 28, size=n).astype(float)
    score = np.clip(totals + generator.normal(0, 3, size=n), 0, 27)
    side = np.where(np.arange(n) % 3 == 0, "minority", "majority")
    score = np.where(side == "minority", np.clip(score - worse, 0, 27), score)
    return totals, score, list(side)


def tables(totals, score, groups, users=None, settings=FEW):
    users = list(range(len(totals))) if users is None else users
    return evaluate(totals, score, users, groups, instrument="phq-9", settings=settings)


def test_the_rate_of_missed_cases_comes_first():
    totals, score, side = drawn()
    for row in tables(totals, score, {"side": side}).groups[0].rows:
        assert list(row.figures) == ["fnr", "mae", "bias", "r", "auc_10"]
        assert list(row.gaps) == ["fnr", "mae"]


def test_missed_cases_are_counted_among_the_cases_of_the_group():
    totals, score, side = drawn(worse=4)
    row = tables(totals, score, {"side": side}).groups[0].rows[1]
    cases = (np.array(side) == row.label) & (totals >= 10)
    assert row.figures["fnr"].n == cases.sum()
    assert row.figures["fnr"].value == pytest.approx((score[cases] < 10).mean())


def test_a_group_that_is_missed_more_often_is_found_and_equal_ones_are_not():
    for worse, found in ((6.0, True), (0.0, False)):
        totals, score, side = drawn(worse=worse)
        rows = {r.label: r for r in tables(totals, score, {"side": side}).groups[0].rows}
        gap = rows["minority"].gaps["fnr"]
        assert (gap.adjusted < 0.05) is found
        assert (gap.difference.lower > 0) is found


def test_two_groups_are_one_comparison_seen_from_either_side():
    totals, score, side = drawn(worse=1)
    first, second = (row.gaps for row in tables(totals, score, {"side": side}).groups[0].rows)
    for key in ("fnr", "mae"):
        assert first[key].difference.value == pytest.approx(-second[key].difference.value)
        assert (first[key].p, first[key].adjusted) == (second[key].p, second[key].adjusted)


def test_p_values_are_adjusted_over_all_columns():
    totals, score, side = drawn(worse=2)
    other = ["abc"[n % 3 if n % 7 else 0] for n in range(240)]
    alone = tables(totals, score, {"side": side}).groups[0].rows[0].gaps["mae"]
    many = tables(totals, score, {"side": side, "other": other}).groups[0].rows[0].gaps["mae"]
    assert many.p == alone.p
    assert many.adjusted > alone.adjusted >= alone.p


def test_under_no_difference_few_p_values_are_small():
    small = 0
    for seed in range(60):
        totals, score, side = drawn(90, seed)
        settings = Settings(resamples=99, seed=seed)
        row = tables(totals, score, {"side": side}, settings=settings).groups[0].rows[0]
        small += row.gaps["mae"].p <= 0.05
    assert small <= 9  # binomial, 60 draws of 0.05: more than 9 has a chance of 0.1%


def test_one_small_group_hides_the_next_smallest_too():
    totals, score, _ = drawn(100)
    gender = ["x"] * 4 + ["man"] * 40 + ["woman"] * 56
    result = tables(totals, score, {"gender": gender})
    shown = {row.label: row.people for row in result.groups[0].rows}
    assert shown == {"woman": 56, "man": None, "x": None}
    assert result.notes == (
        "By gender, suppressed so that smaller groups cannot be worked out: man.",
    )


@given(st.lists(st.integers(1, 30), min_size=2, max_size=7))
@settings(deadline=None, max_examples=40)
def test_what_is_hidden_is_never_one_group_nor_fewer_than_ten_people(sizes):
    label = [f"g{n}" for n, size in enumerate(sizes) for _ in range(size)]
    totals = [float(n % 28) for n in range(len(label))]
    result = tables(totals, totals, {"g": label}, settings=Settings(resamples=10))
    hidden = [
        sizes[int(row.label[1:])] for table in result.groups for row in table.rows
        if row.people is None
    ]  # fmt: skip
    assert all(size in hidden for size in sizes if size < 10)
    shown = len(sizes) > len(hidden)
    assert not hidden or not shown or (len(hidden) > 1 and sum(hidden) >= 10)


def test_too_few_cases_in_a_group_are_told_and_the_rest_is_computed():
    totals, score, side = drawn()
    totals = np.where((np.array(side) == "minority") & (np.arange(240) > 20), totals % 9, totals)
    rows = {row.label: row for row in tables(totals, score, {"side": side}).groups[0].rows}
    hidden = rows["minority"].figures["fnr"]
    assert hidden.text() == "not computed: fewer than 10 people at or above 10"
    assert hidden.n == 0
    assert rows["minority"].figures["mae"].computed
    gap = rows["majority"].gaps["fnr"]
    assert (gap.difference.computed, gap.p, gap.adjusted) == (False, None, None)


def test_people_on_both_sides_have_a_gap_and_no_test():
    totals, score, _ = drawn(200)
    users = [n // 2 for n in range(200)]
    length = ["short" if n % 2 else "long" for n in range(200)]
    gap = tables(totals, score, {"length": length}, users).groups[0].rows[0].gaps["mae"]
    assert gap.difference.lower < gap.difference.value < gap.difference.upper
    assert gap.p is None


def test_suppressed_rows_tell_nothing_in_json():
    totals, score, _ = drawn(60)
    groups = {"g": ["a"] * 5 + ["b"] * 6 + ["c"] * 49}
    text = json.dumps(tables(totals, score, groups).as_dict()["groups"], allow_nan=False)
    hidden = [row for row in json.loads(text)[0]["rows"] if row["suppressed"]]
    assert len(hidden) == 2
    for row in hidden:
        assert (row["people"], row["abstained"], row["gaps"]) == (None, None, {})
        assert row["fnr"]["value"] is None
