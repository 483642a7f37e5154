import pytest

from sottovoce.errors import DataError
from sottovoce.metrics import Figure
from sottovoce.shortcuts.verdict import above, attempt, below, graded, unclear, unseen, verdict

WIDE, HIGH, BARE = Figure(0.3, -0.1, 0.7, n=20), Figure(0.6, 0.3, 0.8, n=20), Figure(0.9, n=3)


def test_a_bound_is_passed_by_a_whole_interval_only():
    assert [above(each, 0.2) for each in (WIDE, HIGH, BARE)] == [False, True, False]
    assert [below(each, 0.75) for each in (WIDE, HIGH, BARE)] == [True, False, False]


@pytest.mark.parametrize(
    ("figure", "status"), [(WIDE, "pass"), (HIGH, "warn"), (Figure(0.9, 0.8, 1.0), "fail")]
)
def test_a_grade_is_by_the_lower_bound(figure, status):
    assert graded(figure, 0.2, 0.5) == status


def test_a_figure_without_an_interval_says_why():
    few = Figure(1.0, n=3, reason="too few people")
    assert unclear(HIGH, few, Figure.missing("no rows")) == "too few people"
    assert unclear(HIGH, WIDE) is None


def test_what_could_not_be_looked_at_is_a_warning_with_its_reason():
    check = unseen("clock", "nobody was there")
    assert (check.status, check.why) == ("warn", "could not be looked at: nobody was there")

    def refuse():
        raise DataError("3 people cannot be split", fix="give more")

    assert attempt("data_user", refuse).why == "could not be looked at: 3 people cannot be split"


def test_a_check_has_the_title_of_its_key():
    assert verdict("clock", "pass", "why").title == "The same chats at another time"
