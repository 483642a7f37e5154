import json
import math

import numpy as np
import pytest

from sottovoce.metrics import Figure


def test_a_figure_writes_value_interval_and_n():
    assert Figure(4.018, 3.55, 4.512, n=120).text() == "4.02 [3.55, 4.51] (n = 120)"


def test_a_signed_figure_shows_a_true_minus_and_a_plus():
    figure = Figure(-1.5, -3.0, 0.25, n=20)
    assert figure.number(1, sign=True) == "−1.5"
    assert figure.interval(2, sign=True) == "[−3.00, +0.25]"


def test_a_number_that_rounds_to_zero_carries_no_sign():
    assert Figure(-0.001, n=3).number(2, sign=True) == "0.00"


def test_a_missing_figure_says_why():
    figure = Figure.missing("one class only", n=4)
    assert figure.text() == "not computed: one class only"
    assert (figure.computed, figure.number(), figure.interval()) == (False, "–", "")


def test_a_figure_without_an_interval_keeps_the_reason_and_its_value():
    figure = Figure(0.5, n=4, reason="no interval: too few")
    assert figure.computed
    assert figure.text() == "0.50 (n = 4)"


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_figure_refuses_numbers_that_are_not_finite(bad, place):
    numbers = [1.0, 0.5, 1.5]
    numbers[place] = bad
    with pytest.raises(ValueError, match="finite"):
        Figure(*numbers, n=1)


def test_a_figure_refuses_to_be_silent():
    with pytest.raises(ValueError, match="says why"):
        Figure(None)


@pytest.mark.parametrize(
    ("value", "lower", "upper"), [(1.0, 0.5, None), (1.0, None, 2.0), (None, 1.0, 2.0)]
)
def test_a_figure_refuses_half_an_interval(value, lower, upper):
    with pytest.raises(ValueError, match="both bounds"):
        Figure(value, lower, upper, reason="why")


def test_json_holds_no_draws_and_no_nan():
    figure = Figure(1.0, 0.5, 1.5, n=3, draws=np.array([1.0, math.nan]))
    assert json.loads(json.dumps(figure.as_dict(), allow_nan=False)) == {
        "value": 1.0,
        "lower": 0.5,
        "upper": 1.5,
        "n": 3,
        "reason": None,
    }
