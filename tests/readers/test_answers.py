import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.errors import DataError
from sottovoce.instruments import PHQ_9
from sottovoce.readers.answers import is_blank, points, total_points


@pytest.mark.parametrize("value", [None, "", "  \t"])
def test_a_blank_is_missing_and_never_zero(value):
    assert is_blank(value)
    assert points(value, PHQ_9, field="f") is None
    assert total_points(value, field="f") is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [(2, 2), (2.0, 2), ("2", 2), (" 2.0 ", 2), ("not at all", 0), ("More than half the  days", 2)],
)
def test_answers_are_numbers_or_their_wording(value, expected):
    assert points(value, PHQ_9, field="f") == expected


@pytest.mark.parametrize(
    "value", [True, "secret", 1.5, "1.5", "nan", "inf", float("nan"), 10**400, [1], {"a": 1}]
)
def test_other_answers_are_refused_without_being_shown(value):
    with pytest.raises(DataError, match="field f: the answer is") as caught:
        points(value, PHQ_9, field="f")
    assert "secret" not in str(caught.value)


@given(st.integers(-99, 99) | st.floats(-99, 99))
def test_totals_come_back_from_their_text(total):
    assert total_points(str(total), field="f") == total
    assert total_points(total, field="f") == total
