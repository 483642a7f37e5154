from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import annotating

from sottovoce.annotate.budget import (
    WRAPPING,
    Budget,
    Limit,
    Prices,
    Tokens,
    expected_input,
    forecast,
    worst_case,
)
from sottovoce.errors import DataError

(TASK,) = annotating.tasks("ana")
REQUEST = TASK.requests[0]


def test_a_cost_is_per_million_tokens():
    assert Prices(4, 20).cost(Tokens(500_000, 100_000)) == pytest.approx(4.0)


def test_a_budget_in_money_needs_prices():
    with pytest.raises(DataError, match="--price-input and --price-output"):
        Limit(cost=25)
    assert Limit(tokens=25).cost is None


def test_the_worst_case_counts_every_byte_and_the_whole_answer():
    most = worst_case(replace(REQUEST, system="ä", text="b", schema={}))
    assert most == Tokens(2 + 1 + len("{}") + WRAPPING, REQUEST.max_tokens)
    assert worst_case(REQUEST).input > 3 * expected_input(REQUEST)


def test_a_forecast_adds_up_its_calls():
    one, two = forecast([REQUEST]), forecast([REQUEST, REQUEST])
    assert (two.calls, two.expected, two.most) == (
        2,
        one.expected + one.expected,
        one.most + one.most,
    )
    assert forecast([replace(REQUEST, max_tokens=5)]).expected.output == 5


@given(
    st.integers(0, 5000),
    st.lists(st.tuples(st.integers(1, 900), st.integers(0, 900)), max_size=12),
    st.booleans(),
)
def test_a_budget_is_never_exceeded_whatever_the_calls_take(limit, calls, in_money):
    prices = Prices(1e6, 1e6)  # one of a currency a token
    told = Limit(cost=limit, prices=prices) if in_money else Limit(tokens=limit)
    budget = Budget(told, Tokens(), 0.0)
    under_way = []
    for number, (most, used) in enumerate(calls):
        if budget.reserve(str(number), Tokens(most, 0)):
            under_way.append((str(number), min(used, most)))
        if number % 2 and under_way:
            key, taken = under_way.pop(0)
            budget.settle(key, Tokens(0, taken))
        assert budget.tokens.total <= limit
    for key, taken in under_way:
        budget.settle(key, Tokens(taken, 0))
    assert budget.tokens.total <= limit


def test_what_is_reserved_is_free_again_when_the_call_took_less():
    budget = Budget(Limit(tokens=100), Tokens(), 0.0)
    assert budget.reserve("a", Tokens(80, 0))
    assert not budget.reserve("b", Tokens(30, 0))
    budget.settle("a", Tokens(10, 0))
    assert budget.reserve("b", Tokens(30, 0))
