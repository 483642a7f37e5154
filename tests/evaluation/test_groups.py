import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.evaluation.groups import Column, cut_column, suppressed

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=3)
)


def test_ages_fall_into_bands():
    column = cut_column("age", [17, 18, 29, 30, 44, 45, 59, 60, 88])
    assert column.cells == (
        "under 18",
        "18 to under 30",
        "18 to under 30",
        "30 to under 45",
        "30 to under 45",
        "45 to under 60",
        "45 to under 60",
        "60 and over",
        "60 and over",
    )
    assert column.note == "bands that begin at 18, 30, 45, 60"


def test_many_numbers_are_cut_at_their_quartiles():
    column = cut_column("messages", list(range(101)))
    assert column.order == ("under 25", "25 to under 50", "50 to under 75", "75 and over")
    assert column.note == "cut at its quartiles 25, 50, 75"


def test_a_few_numbers_are_groups_in_their_order():
    column = cut_column("site", [10, 9, 9, 10, 9, 2])
    assert column.order == ("2", "9", "10")


def test_texts_stand_by_frequency_and_missing_ones_last():
    column = cut_column("gender", ["man", None, None, None, "woman", "woman"])
    assert column.order == ("woman", "man", "not given")


def test_true_and_false_are_yes_and_no():
    assert cut_column("medication", [True, False, True]).order == ("yes", "no")


def test_missing_ages_are_a_group_of_their_own():
    assert cut_column("age", [20, None, 70]).cells[1] == "not given"


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("split", ["test"] * 5, "split: the same for everybody"),
        ("empty", [None] * 5, "empty: the same for everybody"),
        ("age", [31, 32, 33], "age: the same for everybody"),
        ("story", [f"word {n}" for n in range(21)], "story: 21 different values, more than 20"),
        ("tags", [["a"], ["b"]], "tags: holds lists or objects"),
        ("nested", [{"a": 1}, None], "nested: holds lists or objects"),
    ],
)
def test_a_column_that_is_no_grouping_says_why(name, values, reason):
    assert cut_column(name, values) == reason


@given(st.text(max_size=5), st.lists(VALUES, max_size=40))
def test_every_row_has_exactly_one_of_the_groups(name, values):
    column = cut_column(name, values)
    if isinstance(column, Column):
        assert len(column.cells) == len(values)
        assert set(column.cells) == set(column.order)
        assert 2 <= len(column.order) <= 20


COUNTS = st.dictionaries(st.text("abcdefgh", min_size=1, max_size=1), st.integers(1, 30))


@given(COUNTS)
def test_what_is_hidden_cannot_be_worked_out_from_what_is_shown(people):
    small, more = suppressed(people, 10)
    hidden = small | more
    assert small == {label for label, count in people.items() if count < 10}
    assert bool(hidden) == bool(small)
    if hidden and hidden != set(people):  # everybody minus what is shown is known
        assert len(hidden) > 1
        assert sum(people[label] for label in hidden) >= 10


def test_no_more_is_hidden_than_is_needed():
    assert suppressed({"a": 4, "b": 7, "c": 20}, 10) == ({"a", "b"}, set())
    assert suppressed({"a": 4, "b": 40, "c": 20}, 10) == ({"a"}, {"c"})
    assert suppressed({"a": 4, "b": 5, "c": 20}, 10) == ({"a", "b"}, {"c"})
