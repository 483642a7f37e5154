import dataclasses
import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.made import NOON, estimate

from sottovoce.conversations import write_json_lines
from sottovoce.errors import DataError
from sottovoce.estimates import (
    Dropped,
    Estimate,
    estimate_from,
    estimate_record,
    read_scores,
    total_dropped,
)

TEXTS = st.text(min_size=1, max_size=12).filter(str.strip)
POINTS = st.floats(0, 27).map(lambda number: round(number, 4))


@st.composite
def estimates(draw):
    end = NOON + timedelta(seconds=draw(st.integers(0, 10**8)))
    fields = {
        "user_id": draw(TEXTS),
        "model_id": draw(TEXTS),
        "window_end": end,
        "window_start": end - timedelta(days=draw(st.integers(1, 60))),
        "coverage": draw(st.sampled_from([0.5, 0.8, 0.9, 0.95])),
        "n_messages": draw(st.integers(0, 500)),
        "dropped": draw(st.none() | st.builds(Dropped, *[st.integers(0, 10**6)] * 4)),
    }
    if draw(st.booleans()):
        if draw(st.booleans()):
            fields |= {"window_start": None, "window_end": None}
        return dataclasses.replace(estimate(score=None), reason=draw(TEXTS), **fields)
    lower, score, upper = sorted(draw(st.tuples(POINTS, POINTS, POINTS)))
    chances = draw(
        st.dictionaries(st.integers(1, 27), st.sampled_from([0.0, 0.125, 0.5, 1.0]), max_size=5)
    )
    return dataclasses.replace(
        estimate(score=score), lower=lower, upper=upper, p_at_least=chances, **fields
    )


@given(estimates())
def test_an_estimate_survives_its_line_of_json(original):
    line = json.dumps(estimate_record(original), allow_nan=False)
    assert estimate_from(json.loads(line)) == original


def test_a_file_of_estimates_is_read_back(tmp_path):
    originals = [estimate("ada"), estimate("ben", None)]
    path = tmp_path / "scores.jsonl"
    assert write_json_lines(path, map(estimate_record, originals)) == 2
    assert list(read_scores(path)) == originals


def test_numbers_are_written_to_four_decimals():
    record = estimate_record(estimate(score=10.123456, p_at_least={10: 0.123456}))
    assert (record["score"], record["p_at_least"]) == (10.1235, {"10": 0.1235})


def test_times_are_written_in_utc():
    assert estimate_record(estimate())["window_end"] == "2025-03-14T12:00:00Z"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"score": 28.0, "upper": 30.0}, "the total is 28"),
        ({"score": -1.0, "lower": -2.0}, "the total is -1"),
        ({"score": None}, "score, lower or upper is missing"),
        ({"lower": None}, "score, lower or upper is missing"),
        ({"upper": float("inf")}, "score, lower or upper is missing"),
        ({"score": float("nan")}, "score, lower or upper is missing"),
        ({"lower": 12.0}, "outside its own interval"),
        ({"upper": 10.0}, "outside its own interval"),
        ({"abstained": True}, "an abstained estimate has a score or no reason"),
        ({"instrument": "mood-99"}, "not one that Sottovoce knows"),
    ],
)
def test_an_estimate_that_contradicts_itself_is_refused(changes, found):
    with pytest.raises(DataError, match=found):
        dataclasses.replace(estimate(), **changes)


def test_an_abstention_without_a_reason_is_refused():
    with pytest.raises(DataError, match="no reason"):
        estimate(score=None, reason=None)


def broken(**changes):
    record = estimate_record(estimate())
    for name, value in changes.items():
        if value is ...:
            del record[name]
        else:
            record[name] = value
    return record


@pytest.mark.parametrize(
    ("record", "field"),
    [
        (broken(user_id=...), "user_id"),
        (broken(user_id=7), "user_id"),
        (broken(model_id=""), "model_id"),
        (broken(instrument=None), "instrument"),
        (broken(score="11"), "score"),
        (broken(score=True), "score"),
        (broken(score=None), "score"),
        (broken(coverage=...), "coverage"),
        (broken(coverage=90), "coverage"),
        (broken(coverage=0), "coverage"),
        (broken(window_end="2025-03-14T12:00:00"), "window_end"),
        (broken(window_start="yesterday"), "window_start"),
        (broken(window_start=5), "window_start"),
        (broken(p_at_least=None), "p_at_least"),
        (broken(p_at_least={"ten": 0.5}), "p_at_least"),
        (broken(p_at_least={"10": 1.5}), "p_at_least"),
        (broken(p_at_least={"10": None}), "p_at_least"),
        (broken(p_at_least={"²": 0.5}), "p_at_least"),
        (broken(p_at_least={"9" * 5000: 0.5}), "p_at_least"),
        (broken(p_at_least={"010": 0.5}), "p_at_least"),
        (broken(p_at_least={"-1": 0.5}), "p_at_least"),
        (broken(p_at_least={"10": 10**400}), "p_at_least"),
        (broken(n_messages="many"), "n_messages"),
        (broken(n_messages=float("inf")), "n_messages"),
        (broken(n_messages=-1), "n_messages"),
        (broken(n_messages=2.7), "n_messages"),
        (broken(n_messages=None), "n_messages"),
        (broken(n_messages=True), "n_messages"),
        (broken(score=10**400), "score"),
        (broken(lower=-(10**400)), "lower"),
        (broken(coverage=10**400), "coverage"),
        (broken(abstained=True), "abstained"),
        (broken(abstained="true"), "abstained"),
        (broken(abstained=1), "abstained"),
        (broken(abstained=...), "abstained"),
        (broken(reason=7), "reason"),
        (broken(reason={}), "reason"),
        (broken(band=["mild"]), "band"),
        (broken(band="\ud800"), "band"),
        (broken(user_id="\ud800"), "user_id"),
        (broken(window_end=None), "window_end"),
        (broken(window_start=None), "window_end"),
        (broken(dropped=3), "dropped"),
        (broken(dropped=[1, 2, 3, 4]), "dropped"),
        (broken(dropped={}), "dropped.user_messages"),
        (broken(dropped=asdict(Dropped()) | {"user_tokens": -1}), "dropped.user_tokens"),
        (broken(dropped=asdict(Dropped()) | {"assistant_tokens": 0.5}), "dropped.assistant_tokens"),
    ],
)
def test_a_line_that_is_no_estimate_names_the_field(record, field):
    with pytest.raises(DataError) as caught:
        estimate_from(record)
    assert caught.value.field == field


@pytest.mark.parametrize("record", [None, [], "text", 3])
def test_a_line_that_is_no_object_is_refused(record):
    with pytest.raises(DataError, match="write a JSON object"):
        estimate_from(record)


def test_an_error_in_a_file_says_where(tmp_path):
    path = tmp_path / "scores.jsonl"
    lines = [estimate_record(estimate()), broken(score=99)]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        list(read_scores(path))
    assert str(caught.value).startswith(f"{path}, line 2, field total: the total is 99")


@pytest.mark.parametrize(
    ("written", "field"),
    [
        ('"n_messages": 1e999', "n_messages"),
        ('"score": 1' + "0" * 400, "score"),
        ('"score": 1e999', "score"),
    ],
)
def test_a_number_beyond_the_machine_s_is_one_sentence_with_its_place(tmp_path, written, field):
    path = tmp_path / "scores.jsonl"
    record = estimate_record(estimate())
    del record[field]
    path.write_text(json.dumps(record)[:-1] + f", {written}}}", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        list(read_scores(path))
    assert str(caught.value).startswith(f"{path}, line 1, field {field}: ")


@given(
    st.sampled_from(sorted(estimate_record(estimate()))),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.integers(10**308, 10**420)
        | st.floats()
        | st.text(st.characters(), max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=4,
    ),
)
def test_whatever_stands_in_a_field_gives_an_estimate_or_one_sentence(field, value):
    try:
        made = estimate_from(broken(**{field: value}))
    except DataError:
        return
    assert isinstance(made.abstained, bool) and made.n_messages >= 0


def test_another_spelling_of_the_instrument_becomes_its_key():
    assert estimate_from(broken(instrument="PHQ9")).instrument == "phq-9"


def test_an_abstention_about_an_unknown_instrument_is_refused():
    abstained = estimate_record(estimate(score=None)) | {"instrument": "mood-99"}
    with pytest.raises(DataError, match="not one that Sottovoce knows"):
        estimate_from(abstained)


def test_scores_of_others_need_not_say_what_was_dropped():
    assert estimate_from(broken(dropped=...)).dropped is None


def test_only_windows_that_lost_something_are_counted():
    lost = total_dropped([Dropped(1, 2, 30, 40), None, Dropped(), Dropped(0, 0, 5, 0)])
    assert lost == {
        "windows": 2,
        "user_messages": 1,
        "assistant_messages": 2,
        "user_tokens": 35,
        "assistant_tokens": 40,
    }
    assert set(total_dropped([]).values()) == {0}


def test_a_whole_number_of_messages_may_be_written_with_a_point():
    assert estimate_from(broken(n_messages=12.0)).n_messages == 12


def test_errors_show_no_id_and_no_text():
    with pytest.raises(DataError) as caught:
        estimate_from(broken(user_id="secret-person", band="secret-band", score="secret-score"))
    assert "secret" not in str(caught.value)


def test_an_estimate_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        estimate().score = 3.0


def test_an_estimate_is_a_record_with_slots():
    assert not hasattr(estimate(), "__dict__")
    assert isinstance(estimate(), Estimate)
    assert estimate().window_end == datetime(2025, 3, 14, 12, tzinfo=UTC)
