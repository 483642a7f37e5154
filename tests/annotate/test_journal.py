import json
import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.annotate.journal import Journal, lines
from sottovoce.errors import DataError

OPENING = '{"store": "x"'
RECORDS = [{"store": "x"}, {"event": "a", "text": "ä\u2028\n"}, {"event": "b"}]


def values(path):
    return [value for _, value in lines(path)]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "store.jsonl"
    with Journal(path, OPENING) as journal:
        for each in RECORDS:
            journal.append(each)
    return path


def test_what_was_appended_is_read_again(path):
    assert values(path) == RECORDS
    with Journal(path, OPENING) as journal:
        assert journal.healed == 0
        journal.append({"event": "c"})
    assert values(path) == [*RECORDS, {"event": "c"}]


def test_it_is_the_owner_s_alone(path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_is_not_there_has_no_lines(tmp_path):
    assert values(tmp_path / "none.jsonl") == []


@given(st.data())
def test_a_file_cut_anywhere_is_healed_to_its_whole_lines(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("cut")
    raw = b"".join(json.dumps(each, ensure_ascii=False).encode() + b"\n" for each in RECORDS)
    cut = data.draw(st.integers(0, len(raw)))
    path = folder / "store.jsonl"
    path.write_bytes(raw[:cut])
    whole = [each for each in RECORDS if raw.index(json.dumps(each)[:12].encode()) < cut]
    ended = [raw[: raw.index(b"\n", raw.index(json.dumps(e)[:12].encode()))] for e in whole]
    kept = sum(cut >= len(each) for each in ended)
    with Journal(path, OPENING) as journal:
        assert values(path) == RECORDS[:kept]
        torn = kept < len(whole)
        assert journal.healed == int(torn)
        journal.append({"event": "after"})
    assert values(path) == [*RECORDS[:kept], {"event": "after"}]


def test_a_second_run_is_refused_while_the_first_goes_on(path):
    with Journal(path, OPENING), pytest.raises(DataError, match="another run is using this store"):
        Journal(path, OPENING)
    with Journal(path, OPENING) as journal:
        assert journal.healed == 0


@pytest.mark.parametrize("raw", [b'{"user_id": "ana"}\n', b'{"user_id": "an', b"hello", b"\x00"])
def test_another_file_is_never_touched(tmp_path, raw):
    path = tmp_path / "annotations.jsonl"
    path.write_bytes(raw)
    with pytest.raises(DataError, match="this is no store"):
        Journal(path, OPENING)
    assert path.read_bytes() == raw


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="the store cannot be used"):
        Journal(tmp_path / "file" / "store.jsonl", OPENING)
    with pytest.raises(DataError, match="the store cannot be used"):
        Journal(tmp_path, OPENING)


def test_a_line_is_on_the_disk_before_the_next_thing_happens(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_size))
    with Journal(tmp_path / "store.jsonl", OPENING) as journal:
        journal.append(RECORDS[0])
        assert synced == [(tmp_path / "store.jsonl").stat().st_size]


def test_a_full_disk_is_one_sentence(path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with Journal(path, OPENING) as journal:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(DataError, match="No space left on device"):
            journal.append({"event": "c"})
