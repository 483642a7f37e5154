import doctest
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce import instruments
from sottovoce.errors import DataError
from sottovoce.instruments import GAD_7, INSTRUMENTS, PHQ_8, PHQ_9, instrument

EACH = pytest.mark.parametrize("used", INSTRUMENTS.values(), ids=INSTRUMENTS)
ANY = st.sampled_from(list(INSTRUMENTS.values()))


def test_the_docstrings_examples_hold():
    assert doctest.testmod(instruments).failed == 0


@EACH
def test_the_range_is_that_of_the_items(used):
    assert used.minimum == 0
    assert used.maximum == len(used.items) * used.item_maximum
    assert [item.number for item in used.items] == list(range(1, len(used.items) + 1))
    assert [option.points for option in used.options] == [0, 1, 2, 3]


@EACH
def test_bands_cover_the_range_without_gap_or_overlap(used):
    totals = [total for band in used.bands for total in range(band.lower, band.upper + 1)]
    assert totals == list(range(used.minimum, used.maximum + 1))


@EACH
def test_cut_offs_begin_the_bands_after_the_mildest(used):
    assert list(used.cut_offs) == [band.lower for band in used.bands[1:]]
    assert used.screening_cut_off in used.cut_offs


@EACH
def test_numbers_have_sources(used):
    assert used.sources
    assert used.alpha_source
    assert used.missing_rule
    assert 0 < used.alpha < 1


def test_no_two_items_share_a_loinc_code():
    codes = [item.loinc for item in PHQ_9.items + GAD_7.items]
    assert len(set(codes)) == len(codes)
    assert PHQ_8.items == PHQ_9.items[:8]


@pytest.mark.parametrize("used", [PHQ_9, GAD_7])
def test_loinc_codes_have_their_check_digit(used):
    """The last digit of a LOINC code is a mod-10 (Luhn) check of the others."""
    codes = [used.loinc_panel, used.loinc_total, *(item.loinc for item in used.items)]
    for code in codes:
        body, check = code.split("-")
        doubled = [
            sum(divmod(int(digit) * (2 if place % 2 == 0 else 1), 10))
            for place, digit in enumerate(reversed(body))
        ]
        assert (10 - sum(doubled) % 10) % 10 == int(check), code


@pytest.mark.parametrize(
    ("used", "total", "name"),
    [
        (PHQ_9, 4, "minimal"),
        (PHQ_9, 4.49, "minimal"),
        (PHQ_9, 4.5, "mild"),
        (PHQ_9, 10, "moderate"),
        (PHQ_9, 19.5, "severe"),
        (PHQ_9, 27, "severe"),
        (PHQ_8, 24, "severe"),
        (GAD_7, 15, "severe"),
    ],
)
def test_totals_fall_in_the_published_bands(used, total, name):
    assert used.band(total).name == name


@pytest.mark.parametrize("total", [-0.1, 27.1, math.nan, math.inf, -math.inf, 10**400])
def test_totals_outside_the_range_are_refused(total):
    with pytest.raises(DataError, match="PHQ-9 runs from 0 to 27"):
        PHQ_9.check_total(total)
    with pytest.raises(DataError):
        PHQ_9.band(total)


@pytest.mark.parametrize(
    ("items", "problem"),
    [
        ([0] * 8, "there are 8 items, and PHQ-9 has 9"),
        ([0] * 10, "there are 10 items"),
        ([], "there are 0 items"),
        ([0, 4] + [0] * 7, "item 2 is 4, and an item runs from 0 to 3"),
        ([-1] + [0] * 8, "item 1 is -1"),
        ([10**5000] + [0] * 8, "item 1 is far outside"),
    ],
)
def test_items_that_do_not_fit_are_refused(items, problem):
    with pytest.raises(DataError, match=problem):
        PHQ_9.total(items)


@given(used=ANY, data=st.data())
def test_a_whole_response_is_the_sum_of_its_items(used, data):
    size = len(used.items)
    items = data.draw(st.lists(st.integers(0, 3), min_size=size, max_size=size))
    assert used.total(items) == sum(items)


@given(used=ANY, data=st.data())
def test_missing_items_take_the_mean_of_the_others_or_leave_no_total(used, data):
    size = len(used.items)
    answer = st.none() | st.integers(0, 3)
    items = data.draw(st.lists(answer, min_size=size, max_size=size))
    answered = [points for points in items if points is not None]
    total = used.total(items)
    if size - len(answered) > used.max_missing:
        assert total is None
    else:
        assert total == pytest.approx(size * sum(answered) / len(answered))
        assert sum(answered) <= total <= used.maximum


@pytest.mark.parametrize(
    ("name", "used"),
    [
        ("phq-9", PHQ_9),
        (" PHQ9 ", PHQ_9),
        ("Patient Health Questionnaire", PHQ_9),
        ("phq_8", PHQ_8),
        ("GAD 7", GAD_7),
    ],
)
def test_instruments_are_known_by_key_and_alias(name, used):
    assert instrument(name) is used


def test_an_unknown_instrument_is_refused_without_being_shown():
    with pytest.raises(DataError) as caught:
        instrument("secret")
    assert "use one of phq-9, phq-8, gad-7" in str(caught.value)
    assert "secret" not in str(caught.value)
