"""The bundled cohort is what its datasheet says."""

import re
from collections import Counter

import numpy as np
import pytest

from sottovoce import bundled
from sottovoce.annotations import find_quote
from sottovoce.conversations import read_chats, read_json_lines, read_labels
from sottovoce.errors import DataError
from sottovoce.instruments import PHQ_9

DATASHEET = (bundled.FOLDER / "DATASHEET.md").read_text("utf-8")
SIZES = {"train": 200, "unlabelled": 160, "test": 120}


def users_of(path):
    return [row["user_id"] for _, row in read_json_lines(path)]


def test_the_files_have_the_counts_of_the_datasheet():
    found = re.search(r"(\d+) invented people, (\d+) conversations", DATASHEET)
    people, conversations = map(int, found.groups())
    assert (people, conversations) == (480, 826)
    assert sum(1 for _ in read_chats(bundled.CHATS)) == conversations
    for path in (bundled.LABELS, bundled.PEOPLE, bundled.ANNOTATIONS):
        assert len(users_of(path)) == people
    rows = re.findall(r"^\| (\w+) \| (\d+) \|", DATASHEET, re.MULTILINE)
    assert {split: int(size) for split, size in rows} == SIZES


def test_every_file_is_about_the_same_people_once():
    everybody = set(bundled.people())
    for path in sorted(bundled.FOLDER.glob("*.jsonl")):
        users = users_of(path)
        assert set(users) == everybody, path.name
        if path != bundled.CHATS:
            assert len(users) == len(everybody), path.name


def test_a_person_has_one_split():
    parts = {split: bundled.users(split) for split in bundled.SPLITS}
    assert {split: len(users) for split, users in parts.items()} == SIZES
    assert frozenset.union(*parts.values()) == set(bundled.people())


@pytest.mark.parametrize("split", bundled.SPLITS)
def test_the_conversations_of_a_split_are_its_people_s(split):
    conversations = bundled.conversations(split)
    assert {each.user_id for each in conversations} == bundled.users(split)
    per_person = Counter(each.user_id for each in conversations)
    assert set(per_person.values()) <= {1, 2, 3}


@pytest.mark.parametrize("split", ["train", "test"])
def test_each_person_of_a_labelled_split_has_one_questionnaire_after_the_last_message(split):
    labels = bundled.labels(split)
    assert sorted(each.user_id for each in labels) == sorted(bundled.users(split))
    at = {each.user_id: each.completed_at for each in labels}
    for conversation in bundled.conversations(split):
        assert all(each.timestamp < at[conversation.user_id] for each in conversation.messages)
    assert {each.instrument for each in labels} == {"phq-9"}
    for each in labels:
        assert PHQ_9.total(each.items) == each.total


def test_labels_of_the_unlabelled_cannot_be_read():
    with pytest.raises(DataError, match="unlabelled have no labels to read"):
        bundled.labels("unlabelled")


def test_the_annotator_and_the_state_cover_everybody_within_the_range():
    everybody = set(bundled.people())
    for totals in (bundled.annotator_totals(), bundled.state_totals()):
        assert set(totals) == everybody
        assert all(PHQ_9.minimum <= total <= PHQ_9.maximum for total in totals.values())


@pytest.mark.parametrize("split", bundled.SPLITS)
def test_the_annotations_of_a_split_carry_quotes_that_its_people_said(split):
    messages = {user: [] for user in bundled.users(split)}
    for each in bundled.conversations(split):
        messages[each.user_id] += each.messages
    found = bundled.annotations(split)
    assert {each.user_id for each in found} == bundled.users(split)
    for each in found:
        assert all(find_quote(quote.text, messages[each.user_id]) for quote in each.quotes)
    assert sum(bool(each.quotes) for each in found) > 0.95 * len(found)


def test_the_annotator_rated_all_nine_items():
    for _, row in read_json_lines(bundled.ANNOTATIONS):
        PHQ_9.check_items(row["items"])
        assert None not in row["items"]
        assert row["sd"] > 0


def test_the_totals_are_spread_as_the_datasheet_says():
    totals = np.array([each.total for each in read_labels(bundled.LABELS)])
    mean, sd, share = re.search(r"mean ([\d.]+), sd ([\d.]+), (\d+)% at 10", DATASHEET).groups()
    assert totals.mean() == pytest.approx(float(mean), abs=0.05)
    assert totals.std(ddof=1) == pytest.approx(float(sd), abs=0.05)
    assert (totals >= 10).mean() == pytest.approx(int(share) / 100, abs=0.005)


def test_the_ceiling_is_what_the_datasheet_says():
    state = bundled.state_totals()
    labels = list(read_labels(bundled.LABELS))
    known = np.array([state[each.user_id] for each in labels])
    totals = np.array([each.total for each in labels])
    assert np.abs(known - totals).mean() == pytest.approx(1.8, abs=0.1)
    assert np.corrcoef(known, totals)[0, 1] == pytest.approx(0.93, abs=0.01)


def test_the_cohort_is_called_simulated():
    assert "simulated" in bundled.NAME
    assert "Simulated, every word of it." in DATASHEET
