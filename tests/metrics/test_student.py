import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from sottovoce.metrics.student import student_quantile


@given(st.floats(4, 1000))
def test_quantiles_equal_scipys(freedom):
    for level in (0.5, 0.8, 0.9, 0.95):
        exact = t.ppf((1 + level) / 2, freedom)
        assert student_quantile(level, freedom) == pytest.approx(exact, rel=0.005)


@given(st.floats(9, 1000))
def test_quantiles_of_99_percent_equal_scipys(freedom):
    assert student_quantile(0.99, freedom) == pytest.approx(t.ppf(0.995, freedom), rel=0.005)
