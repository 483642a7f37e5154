import json
import subprocess
import sys
from pathlib import Path

import pytest

CANARY = "xylophonist"
"""Stands in every text, name and id below, and must never come out again."""

SAID = f"{CANARY} slept badly again and could not get out of bed until noon"


def chat(person="p", thread="c", day=1, role="user", **change):
    messages = [
        {"role": role, "content": SAID, "timestamp": f"2025-05-{day:02}T15:0{minute}:00Z"} | change
        for minute in range(6)
    ]
    return {
        "user_id": f"{CANARY}-{person}",
        "conversation_id": f"{CANARY}-{thread}",
        "messages": messages,
    }


def label(person="p", day=2, total=14):
    return {
        "user_id": f"{CANARY}-{person}",
        "instrument": "phq-9",
        "completed_at": f"2025-05-{day:02}T15:00:00Z",
        "total": total,
    }


@pytest.fixture
def files(tmp_path):
    def write(chats, labels=None):
        paths = []
        for name, records in (("chats.jsonl", chats), ("labels.jsonl", labels)):
            if records is not None:
                text = "".join(f"{json.dumps(each)}\n" for each in records)
                (tmp_path / name).write_text(text, encoding="utf-8")
                paths.append(tmp_path / name)
        return paths

    return write


def test_files_in_order_end_with_0_and_the_next_command(run, files):
    chats, labels = files([chat()], [label()])
    outcome = run("check", chats, "--labels", labels)
    assert outcome.exit_code == 0
    assert "Nothing is wrong." in outcome.stdout
    assert f"Next: sottovoce score {chats} --at {labels}" in outcome.stderr
    assert run("check", chats).stderr.strip() == f"Next: sottovoce score {chats}"


def test_warnings_alone_end_with_0(run, files):
    chats, labels = files([chat(), chat("q", day=3)], [label()])
    outcome = run("check", chats, "--labels", labels)
    assert outcome.exit_code == 0
    assert "no kinds of error, 2 kinds of warning." in outcome.stdout


def test_every_mistake_is_told_at_once(run, files, monkeypatch):
    monkeypatch.setattr("sottovoce.cli.console.PIPED_WIDTH", 200)
    records = [chat(), chat(role=CANARY), chat(thread="d", timestamp="2025-05-01T15:00:00")]
    chats, labels = files(records, [label(), label(total=28), label("x")])
    outcome = run("check", chats, "--labels", labels)
    assert outcome.exit_code == 1
    for sentence in (
        "messages[].role: the role is text of 11 characters that is neither user nor assistant",
        "messages[].timestamp: the time has no time zone",
        "the total is 28, and PHQ-9 runs from 0 to 27",
        "people have labels and no conversations",
    ):
        assert sentence in outcome.stdout
    assert "chats.jsonl line 2" in outcome.stdout
    assert "labels.jsonl line 2" in outcome.stdout
    assert "Next: mend the errors, then sottovoce check" in outcome.stderr
    assert CANARY not in outcome.output


def test_json_is_one_object_and_the_same_exit_code(run, files):
    chats, labels = files([chat(), chat(role=CANARY)], [label()])
    outcome = run("check", chats, "--labels", labels, "--json")
    found = json.loads(outcome.stdout)
    assert outcome.exit_code == 1
    assert (found["errors"], found["warnings"]) == (1, 0)
    assert found["chats"]["conversations"] == 1
    assert found["labels"]["usable_windows"] == 1
    (finding,) = found["findings"]
    assert finding["code"] == "bad-role"
    assert (finding["path"], finding["lines"], finding["count"]) == (str(chats), [2], 1)
    assert CANARY not in outcome.output


def test_without_labels_they_are_null_in_json(run, files):
    (chats,) = files([chat()])
    assert json.loads(run("check", chats, "--json").stdout)["labels"] is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file is empty"),
        (b" \n\n", "the file is empty"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "the file is binary"),
        ('{"a": 1}'.encode("utf-16"), "the file is binary"),
        (None, "No such file"),
    ],
)
def test_a_file_with_nothing_to_look_at_ends_with_one_sentence(
    run, files, tmp_path, content, problem
):
    (chats,) = files([chat()])
    other = tmp_path / "other.jsonl"
    if content is not None:
        other.write_bytes(content)
    for arguments in ((other,), (chats, "--labels", other)):
        outcome = run("check", *arguments)
        assert outcome.exit_code == 1
        assert outcome.stdout == ""
        assert problem in outcome.stderr
        assert outcome.stderr.count("\n") == 1


def test_a_folder_ends_with_one_sentence(run, tmp_path):
    assert "this is a folder" in run("check", tmp_path).stderr


def test_the_installed_command_ends_without_a_traceback(files):
    (chats,) = files([chat(role=CANARY)])
    done = subprocess.run(
        [Path(sys.executable).with_name("sottovoce"), "check", chats],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert CANARY not in done.stdout + done.stderr
