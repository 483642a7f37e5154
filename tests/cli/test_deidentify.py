import json
import shlex
from pathlib import Path

import pytest

from sottovoce.conversations import read_chats, read_labels

CANARY = "Xanthippe"
KEY = "k" * 32


@pytest.fixture
def files(tmp_path):
    said = f"My sister {CANARY} rang at 3am, 07700 900123."
    message = {"role": "user", "content": said, "timestamp": "2025-03-14T12:00:00Z"}
    chat = {"user_id": f"{CANARY}-p", "conversation_id": f"{CANARY}-c", "messages": [message]}
    label = {
        "user_id": f"{CANARY}-p",
        "instrument": "phq-9",
        "completed_at": "2025-03-15T12:00:00Z",
        "total": 9,
    }
    for name, record in (("chats.jsonl", chat), ("labels.jsonl", label)):
        (tmp_path / name).write_text(json.dumps(record), "utf-8")
    (tmp_path / "key").write_text(KEY, "utf-8")
    return tmp_path


def deidentify(run, files, *more, out="out.jsonl"):
    chats = files / "chats.jsonl"
    return run("deidentify", chats, "--out", files / out, "--engine", "patterns", *more)


def test_chats_come_out_without_names_numbers_and_ids(run, files):
    done = deidentify(run, files)
    assert done.exit_code == 0
    (chat,) = read_chats(files / "out.jsonl")
    assert CANARY not in (files / "out.jsonl").read_text("utf-8")
    assert "rang at 3am, 07700 900" in chat.messages[0].content


def test_the_account_counts_kinds_and_names_the_engine_and_shows_no_text(run, files):
    done = deidentify(run, files)
    assert "Engine: patterns only" in done.stdout
    assert "1  person" in done.stdout
    assert "never complete" in done.stderr
    assert CANARY not in done.stdout + done.stderr
    assert "Next: sottovoce check" in done.stderr


def test_figures_come_as_one_object(run, files):
    found = json.loads(deidentify(run, files, "--json").stdout)
    assert found == {
        "engine": "patterns only",
        "people": 1,
        "conversations": 1,
        "messages": 1,
        "ids": "pseudonyms",
        "replaced": {"phone": 1, "person": 1},
    }


def test_the_same_key_gives_the_same_file_and_another_run_another(run, files):
    for out in ("one", "two"):
        deidentify(run, files, "--key-file", files / "key", out=out)
    deidentify(run, files, out="three")
    one, two, three = ((files / each).read_text("utf-8") for each in ("one", "two", "three"))
    assert one == two != three


def test_labels_and_the_list_of_ids_go_with_the_pseudonyms(run, files):
    told = ("--labels", files / "labels.jsonl", files / "l.jsonl", "--ids", files / "ids.jsonl")
    assert deidentify(run, files, *told).exit_code == 0
    (chat,) = read_chats(files / "out.jsonl")
    (label,) = read_labels(files / "l.jsonl")
    pair = json.loads((files / "ids.jsonl").read_text("utf-8"))
    assert pair == {"user_id": f"{CANARY}-p", "pseudonym": chat.user_id}
    assert label.user_id == chat.user_id


def test_ids_can_be_kept(run, files):
    deidentify(run, files, "--keep-ids")
    (chat,) = read_chats(files / "out.jsonl")
    assert chat.user_id == f"{CANARY}-p"


@pytest.mark.parametrize("told", [("--ner", "model"), ("--keep-ids", "--ids", "ids.jsonl")])
def test_flags_of_no_use_are_wrong_usage(run, files, told):
    done = deidentify(run, files, *told)
    assert done.exit_code == 2
    assert "of no use" in done.stderr


@pytest.mark.parametrize("out", ["chats.jsonl", "labels.jsonl", "key", "."])
def test_no_input_and_nothing_that_exists_is_overwritten(run, files, out):
    before = (files / "chats.jsonl").read_bytes()
    told = ("--key-file", files / "key", "--labels", files / "labels.jsonl", files / "l.jsonl")
    done = deidentify(run, files, *told, "--force", out=out)
    assert done.exit_code == 1
    assert (files / "chats.jsonl").read_bytes() == before
    assert sorted(each.name for each in files.iterdir()) == ["chats.jsonl", "key", "labels.jsonl"]


def test_an_existing_output_needs_force(run, files):
    assert deidentify(run, files).exit_code == 0
    again = deidentify(run, files)
    assert again.exit_code == 1
    assert "--force" in again.stderr
    assert deidentify(run, files, "--force").exit_code == 0


def test_the_command_of_the_page_runs(run, files, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text("utf-8")
    command = page.partition("```console\n")[2].partition("```")[0].replace("\\\n", " ")
    (files / "secret.key").write_text(KEY, "utf-8")
    monkeypatch.chdir(files)
    done = run(*shlex.split(command)[1:])
    assert done.exit_code == 0
    assert "Engine: presidio" in done.stdout
    assert CANARY not in (files / "chats.deid.jsonl").read_text("utf-8")


def test_a_broken_line_leaves_no_half_file(run, files):
    with (files / "chats.jsonl").open("a", encoding="utf-8") as stream:
        stream.write("\n{}")
    done = deidentify(run, files)
    assert done.exit_code == 1
    assert "line 2" in done.stderr
    assert not (files / "out.jsonl").exists()
