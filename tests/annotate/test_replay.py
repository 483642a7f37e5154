import pytest
from tests.annotating import InMemory, tasks

from sottovoce import bundled
from sottovoce.annotate.annotator import CallError, Reply
from sottovoce.annotate.replay import AnnotationReplay, StoreReplay, open_replay
from sottovoce.annotate.results import collect
from sottovoce.annotate.run import Terms, ask_all, pending
from sottovoce.annotate.store import Store
from sottovoce.annotations import write_annotations
from sottovoce.errors import DataError
from sottovoce.instruments import PHQ_9

PEOPLE = tasks("ana", "ben", "cleo", samples=2)


def script(request):
    if request.user_id == "ben":
        return Reply("no", 1, 1, "refusal")
    return InMemory().ask(request)


def run(annotator, path=None):
    with Store(path) as store:
        ask_all(pending(PEOPLE, store.contents, retry_failed=False), annotator, store, Terms())
        return collect(PEOPLE, store.contents, "scripted")


@pytest.fixture
def recorded(tmp_path):
    path = tmp_path / "a.store.jsonl"
    return path, run(InMemory(script), path)


def test_a_store_replays_to_the_same_annotations_and_failures(recorded):
    path, first = recorded
    replay = open_replay(path, PHQ_9.key)
    assert isinstance(replay, StoreReplay)
    assert replay.name == "scripted"
    assert run(replay) == first
    assert [each.kind for each in first.failures] == ["refusal", "refusal"]


def test_what_was_not_recorded_is_said_to_be_so(recorded):
    path, _ = recorded
    task = tasks("ana", "ben", "cleo", "dora")[3]
    with pytest.raises(CallError, match="not recorded"):
        StoreReplay(path).ask(task.requests[0])


def test_a_store_of_two_annotators_cannot_be_replayed(recorded):
    path, _ = recorded
    run(InMemory(script, "other"), path)  # asks nothing new: the keys are the tasks' own
    with Store(path) as store:
        store.start(PEOPLE[0].requests[0], "other")
    with pytest.raises(DataError, match="answers of 2 annotators"):
        StoreReplay(path)


def test_an_annotations_file_replays_each_person_once_with_quotes(recorded, tmp_path):
    _, first = recorded
    path = tmp_path / "annotations.jsonl"
    write_annotations(path, first.annotations)
    replay = open_replay(path, PHQ_9.key)
    assert isinstance(replay, AnnotationReplay)
    again = run(replay)
    assert [each.user_id for each in again.annotations] == ["ana", "cleo"]
    for new, old in zip(again.annotations, first.annotations, strict=True):
        assert (new.total, new.items, new.quotes) == (old.total, old.items, old.quotes)
    assert again.kinds == {"not recorded": 4}


def test_a_person_twice_in_an_annotations_file_is_refused(tmp_path):
    path = tmp_path / "annotations.jsonl"
    write_annotations(path, bundled.annotations("test")[:1] * 2)
    with pytest.raises(DataError, match="a person is in it twice"):
        open_replay(path, PHQ_9.key)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        open_replay(tmp_path / "none.jsonl", PHQ_9.key)
