import json
import stat
import tracemalloc
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.deidentify.made import KEY, finding
from tests.made import NOON, estimate, response

from sottovoce.check import check
from sottovoce.conversations import Conversation, Message, read_chats, read_labels
from sottovoce.deidentify import Deidentifier, open_deidentifier
from sottovoce.errors import DataError
from sottovoce.estimates import read_scores
from sottovoce.evaluation.groups import NOT_GIVEN
from sottovoce.histories import History
from sottovoce.metrics import LEAST_PEOPLE
from sottovoce.people import read_people
from sottovoce.service.research import (
    NO_CONSENT,
    NOTHING,
    SUPPRESSED,
    WEEKS,
    Participant,
    Terms,
    export_research,
    shift_of,
    withheld,
)

HIDES = open_deidentifier("patterns", KEY)
TERMS = Terms(HIDES, NOON)
FILES = {
    "chats.jsonl",
    "labels.jsonl",
    "scores.jsonl",
    "people.jsonl",
    "manifest.json",
    "README.md",
}


def talk(user, *texts, start=NOON):
    times = (start + timedelta(minutes=number) for number in range(len(texts)))
    messages = tuple(Message("user", text, at) for text, at in zip(texts, times, strict=True))
    return Conversation(user, f"{user}-talk", messages)


def participant(user, *, consented=True, groups=None, texts=("My sister Zyx rang.", "Zyx!")):
    history = History(user, (talk(user, *texts),), (response(user),))
    return Participant(history, consented, (estimate(user),), groups or {})


def people(count=LEAST_PEOPLE, **told):
    return [participant(f"person-{number}", **told) for number in range(count)]


def everything(folder):
    return "".join(path.read_text("utf-8") for path in folder.iterdir())


def test_only_who_agreed_is_in_any_file(tmp_path):
    refused = participant("refuser", consented=False, texts=("a canary in the mine",))
    manifest = export_research([refused, *people()], tmp_path / "out", TERMS)
    assert manifest["people"] == LEAST_PEOPLE
    told = everything(tmp_path / "out")
    assert "canary" not in told
    assert HIDES.pseudonym("refuser") not in told
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES


def test_the_files_are_canonical_and_of_the_same_people(tmp_path):
    manifest = export_research(people(12), tmp_path / "out", TERMS)
    chats = list(read_chats(tmp_path / "out" / "chats.jsonl"))
    labels = list(read_labels(tmp_path / "out" / "labels.jsonl"))
    scores = list(read_scores(tmp_path / "out" / "scores.jsonl"))
    pseudonyms = {HIDES.pseudonym(f"person-{number}") for number in range(12)}
    for records in (chats, labels, scores):
        assert {each.user_id for each in records} == pseudonyms
    assert set(read_people(tmp_path / "out" / "people.jsonl")) == pseudonyms
    counts = [manifest[name] for name in ("people", "conversations", "questionnaires", "estimates")]
    assert counts == [12] * 4
    assert manifest["messages"] == 24
    assert json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8")) == manifest


def test_a_file_that_would_be_empty_is_not_written(tmp_path):
    export_research(
        [Participant(each.history, consented=True) for each in people()], tmp_path / "out", TERMS
    )
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES - {"scores.jsonl"}


def test_an_export_of_today_passes_the_check_of_the_package(tmp_path):
    started = datetime.now(UTC) - timedelta(hours=1)
    chats = [talk(f"p{n}", f"day {n}", "and more", start=started) for n in range(20)]
    fresh = [Participant(History(each.user_id, (each,), ()), True) for each in chats]
    export_research(fresh, tmp_path / "out", TERMS)
    assert check(tmp_path / "out" / "chats.jsonl").total("error") == 0


def test_names_and_ids_are_gone_and_a_name_stays_the_same(tmp_path):
    export_research(people(), tmp_path / "out", TERMS)
    told = everything(tmp_path / "out")
    assert "Zyx" not in told
    assert "person-" not in told
    for chat in read_chats(tmp_path / "out" / "chats.jsonl"):
        rang, name = (message.content for message in chat.messages)
        assert rang == f"My sister {name.removesuffix('!')} rang."


def test_the_same_key_gives_the_same_export_and_another_key_shares_nothing(tmp_path):
    for name, key in (("one", KEY), ("two", KEY), ("three", b"another key")):
        terms = Terms(open_deidentifier("patterns", key), NOON)
        export_research(people(), tmp_path / name, terms)
    assert everything(tmp_path / "one") == everything(tmp_path / "two")
    users = [set(read_people(tmp_path / name / "people.jsonl")) for name in ("one", "three")]
    assert not users[0] & users[1]


def test_all_of_a_persons_times_move_together(tmp_path):
    export_research(people(40), tmp_path / "out", TERMS)
    shifts = {
        HIDES.pseudonym(user): shift_of(HIDES, user) for user in map("person-{}".format, range(40))
    }
    assert len(set(shifts.values())) > 10
    for chat in read_chats(tmp_path / "out" / "chats.jsonl"):
        shift = shifts[chat.user_id]
        moved = [message.timestamp - shift for message in chat.messages]
        assert moved == [NOON, NOON + timedelta(minutes=1)]
    for label in read_labels(tmp_path / "out" / "labels.jsonl"):
        assert label.completed_at - shifts[label.user_id] == response().completed_at
    for score in read_scores(tmp_path / "out" / "scores.jsonl"):
        assert score.window_end - shifts[score.user_id] == NOON
        assert score.window_end - score.window_start == timedelta(days=14)


@given(st.text(max_size=5), st.binary(min_size=1, max_size=5))
def test_times_move_back_by_whole_weeks_and_never_by_none(user, key):
    shift = shift_of(open_deidentifier("patterns", key), user)
    weeks, rest = divmod(-shift, timedelta(weeks=1))
    assert rest == timedelta(0)
    assert 1 <= weeks <= WEEKS


def test_every_shift_is_about_as_likely():
    drawn = Counter(shift_of(HIDES, str(number)) for number in range(50 * WEEKS))
    assert len(drawn) == WEEKS
    assert (max(drawn), min(drawn)) == (-timedelta(weeks=1), -timedelta(weeks=WEEKS))
    # 104 cells of 50 expected: chi squared above 150 has a probability of about .002
    assert sum((count - 50) ** 2 / 50 for count in drawn.values()) < 150


def test_an_abstention_without_a_window_is_exported(tmp_path):
    bare = estimate("person-0", None, window_start=None, window_end=None)
    first, *rest = people()
    first = Participant(first.history, True, (bare,))
    export_research([first, *rest], tmp_path / "out", TERMS)
    found = next(iter(read_scores(tmp_path / "out" / "scores.jsonl")))
    assert (found.abstained, found.window_end) == (True, None)


def test_rare_values_are_withheld_with_those_that_would_give_them_away(tmp_path):
    sexes = ["f"] * 20 + ["m"] * 12 + ["x"] * 3
    asked = [participant(f"p{n}", groups={"sex": sex}) for n, sex in enumerate(sexes)]
    manifest = export_research(asked, tmp_path / "out", TERMS)
    assert manifest["groups"] == {"sex": {"f": 20, SUPPRESSED: 15}}
    rows = read_people(tmp_path / "out" / "people.jsonl")
    assert Counter(row["sex"] for row in rows.values()) == {"f": 20, SUPPRESSED: 15}


def test_ages_become_bands_and_what_was_not_given_is_null(tmp_path):
    ages = [20] * 10 + [70] * 10 + [None] * 10
    asked = [participant(f"p{n}", groups={"age": age}) for n, age in enumerate(ages)]
    manifest = export_research(asked, tmp_path / "out", TERMS)
    assert manifest["groups"]["age"] == {"18 to under 30": 10, "60 and over": 10, NOT_GIVEN: 10}
    rows = read_people(tmp_path / "out" / "people.jsonl")
    assert {row["age"] for row in rows.values()} == {"18 to under 30", "60 and over", None}


def test_free_text_about_people_is_left_out_whole(tmp_path):
    asked = [participant(f"p{n}", groups={"job": f"canary {n}"}) for n in range(25)]
    manifest = export_research(asked, tmp_path / "out", TERMS)
    assert manifest["columns_left_out"] == ["job: 25 different values, more than 20"]
    assert "canary" not in everything(tmp_path / "out")


def columns(values):
    return {
        f"x{number:03d}": dict(zip(("one", "two", "three"), each, strict=False))
        for number, each in enumerate(values)
    }


def test_values_that_are_common_alone_and_rare_together_are_withheld():
    values = [("a", "x")] * 30 + [("a", "y")] * 3 + [("b", "x")] * 12 + [("b", "y")] * 25
    rows, counts, _ = withheld(columns(values))
    assert counts["one"] == {"a": 33, "b": 37}
    assert counts["two"] == {"x": 12, "y": 25, SUPPRESSED: 33}
    assert {row["two"] for row in rows[:33]} == {SUPPRESSED}


VALUES = st.sampled_from(["a", "b", "c", None])
SHARED = st.dictionaries(st.tuples(VALUES, VALUES, VALUES), st.integers(1, 30), max_size=12)


@given(SHARED)
def test_nobody_is_told_apart_from_nine_others(people_of):
    groups = columns(each for each, count in people_of.items() for _ in range(count))
    rows, counts, _ = withheld(groups)
    alike = Counter(
        tuple(value for name, value in row.items() if name != "user_id") for row in rows
    )
    if len(rows) >= LEAST_PEOPLE:
        assert min(alike.values()) >= LEAST_PEOPLE
    for name, cells in counts.items():
        assert sum(cells.values()) == len(rows)
        for row in rows:
            assert row[name] in (None, SUPPRESSED, groups[row["user_id"]][name])
            assert (row[name] is None) <= (groups[row["user_id"]][name] is None)
        if len(rows) >= LEAST_PEOPLE:
            assert min(cells.values()) >= LEAST_PEOPLE


@pytest.mark.parametrize(
    ("refused", "empty", "told"),
    [
        (30, 12, {NO_CONSENT: 30, NOTHING: 12}),
        (30, 4, {NO_CONSENT: SUPPRESSED, NOTHING: SUPPRESSED}),
        (3, 0, {NO_CONSENT: SUPPRESSED}),
        (0, 0, {}),
    ],
)
def test_who_is_left_out_is_counted_unless_they_are_few(tmp_path, refused, empty, told):
    without = [participant(f"no-{number}", consented=False) for number in range(refused)]
    without += [Participant(History(f"empty-{number}", (), ()), True) for number in range(empty)]
    manifest = export_research([*without, *people()], tmp_path / "out", TERMS)
    assert manifest["left_out"] == told


def test_too_few_people_are_refused_and_leave_nothing_behind(tmp_path):
    few = people(LEAST_PEOPLE - 1)
    with pytest.raises(DataError, match="fewer than 10 people are left"):
        export_research(few, tmp_path / "out", TERMS)
    assert list(tmp_path.iterdir()) == []
    manifest = export_research(few, tmp_path / "out", Terms(HIDES, NOON, allow_few=True))
    assert manifest["people"] == LEAST_PEOPLE - 1
    assert "who may be recognised" in (tmp_path / "out" / "README.md").read_text("utf-8")


def test_of_few_people_no_group_is_told(tmp_path):
    few = [participant(f"p{n}", groups={"sex": "fm"[n % 2]}) for n in range(8)]
    terms = Terms(HIDES, NOON, allow_few=True)
    assert export_research(few, tmp_path / "out", terms)["groups"] == {"sex": {SUPPRESSED: 8}}


def test_what_fails_half_way_leaves_nothing_behind(tmp_path):
    def broken():
        yield from people()
        raise RuntimeError("the database went away")

    with pytest.raises(RuntimeError, match="went away"):
        export_research(broken(), tmp_path / "out", TERMS)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "kept").write_text("", "utf-8")
    for taken in (tmp_path, tmp_path / "kept"):
        with pytest.raises(DataError, match="there is something already; name a new folder"):
            export_research(people(), taken, TERMS)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    (tmp_path / "empty").mkdir()
    assert export_research(people(), tmp_path / "empty", TERMS)["people"] == LEAST_PEOPLE


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(DataError, match="the export cannot be written"):
        export_research(people(), tmp_path / "file" / "out", TERMS)


def test_the_folder_is_its_owners_alone(tmp_path):
    export_research(people(), tmp_path / "out", TERMS)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700


def test_a_person_who_comes_twice_is_refused_without_her_id(tmp_path):
    with pytest.raises(DataError, match="a person comes twice") as caught:
        export_research([*people(), *people()], tmp_path / "out", TERMS)
    assert "person-" not in str(caught.value)


def test_a_time_at_the_beginning_of_the_calendar_is_refused(tmp_path):
    early = talk("person-0", "long ago", start=datetime(1, 1, 1, tzinfo=UTC))
    with pytest.raises(DataError, match="too early to be moved back"):
        export_research(
            [Participant(History("person-0", (early,), ()), True)], tmp_path / "out", TERMS
        )


def test_records_of_another_person_and_a_column_of_ids_are_refused():
    with pytest.raises(DataError, match="a record is another person's"):
        Participant(History("ada", (talk("eve", "hello"),), ()), True)
    with pytest.raises(DataError, match="a column about people is called user_id"):
        Participant(History("ada", (), ()), True, groups={"user_id": "ada"})


def test_memory_holds_one_persons_texts(tmp_path):
    size = 30_000
    nobody = Terms(Deidentifier(finding(lambda _text: []), KEY), NOON)

    def peak(count):
        asked = (participant(f"p{number}", texts=("so " * (size // 3),)) for number in range(count))
        tracemalloc.start()
        try:
            export_research(asked, tmp_path / str(count), nobody)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(60) - peak(20) < 5 * size
    assert (tmp_path / "60" / "chats.jsonl").stat().st_size > 60 * size
