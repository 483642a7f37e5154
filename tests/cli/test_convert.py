import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from sottovoce.conversations import read_chats, read_labels
from sottovoce.readers import FORMATS
from sottovoce.readers.daic_woz import ITEM_COLUMNS

CANARY = "xylophonist"
"""Stands in every text, name and id below, and must never come out again."""

PERSON, THREAD, SAID = f"{CANARY}-p", f"{CANARY}-c", f"{CANARY} is tired"
AT = "2025-05-27T15:00:00Z"


def lines(*records):
    return "".join(json.dumps(each) + "\n" for each in records)


def table(*rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def openai(thread=THREAD, role="user", at=AT, said=SAID):
    message = {"role": role, "content": said, "timestamp": at}
    return {"id": thread, "user": PERSON, "messages": [message]}


def sharegpt(thread=THREAD, role="human", at=AT, said=SAID):
    turn = {"from": role, "value": said, "timestamp": at}
    return {"id": thread, "user_id": PERSON, "conversations": [turn]}


def canonical(thread=THREAD, role="user", at=AT, said=SAID):
    message = {"role": role, "content": said, "timestamp": at}
    return {"user_id": PERSON, "conversation_id": thread, "messages": [message]}


def long_table(*messages):
    header = ("user_id", "conversation_id", "role", "content", "timestamp")
    return table(header, *messages)


def row(thread=THREAD, role="user", at=AT, said=SAID):
    return (PERSON, thread, role, said, at)


def label(at=AT, total=14, person=PERSON):
    return {"user_id": person, "instrument": "phq-9", "completed_at": at, "total": total}


def fhir(at=AT, total=14, person=PERSON):
    return {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "subject": {"reference": f"Patient/{person}"},
        "authored": at,
        "item": [{"linkId": "/44261-6", "answer": [{"valueInteger": total}]}],
    }


REDCAP = ("--instrument", "phq-9", "--column", "completed_at=d", "--column", "total=t")


def redcap(*rows):
    return table(("record_id", "d", "t"), *rows)


GOOD = {
    "openai-chat": (lines(openai()), ()),
    "sharegpt": (json.dumps([sharegpt()]), ()),
    "csv": (long_table(row()), ()),
    "chats": (lines(canonical()), ()),
    "labels": (lines(label()), ()),
    "fhir": (lines(fhir()), ()),
    "redcap": (redcap((PERSON, AT, 14)), REDCAP),
    "daic-woz-labels": (
        table(("Participant_ID", "PHQ8_Score", *ITEM_COLUMNS), ("300", 8, *[1] * 8)),
        ("--start", AT),
    ),
}
"""A small whole file of each text format, and the flags it needs."""

BAD = {
    "openai, wrong role": ("openai-chat", lines(openai(role=CANARY))),
    "openai, naive time": ("openai-chat", lines(openai(at="2025-05-27T15:00:00"))),
    "openai, text time": ("openai-chat", lines(openai(at=CANARY))),
    "openai, doubled ids": ("openai-chat", lines(openai(), openai())),
    "openai, lone surrogate": ("openai-chat", lines(openai(said=f"{CANARY}\ud800"))),
    "openai, lone surrogate in an id": ("openai-chat", lines(openai(thread=f"{CANARY}\udc00"))),
    "openai, NaN": ("openai-chat", lines(openai(at=float("nan")))),
    "sharegpt, wrong role": ("sharegpt", lines(sharegpt(role=CANARY))),
    "sharegpt, naive time": ("sharegpt", lines(sharegpt(at="2025-05-27T15:00:00"))),
    "sharegpt, doubled ids": ("sharegpt", json.dumps([sharegpt(), sharegpt()])),
    "sharegpt, lone surrogate": ("sharegpt", lines(sharegpt(said=f"{CANARY}\ud800"))),
    "sharegpt, NaN": ("sharegpt", lines(sharegpt(at=float("nan")))),
    "csv, wrong role": ("csv", long_table(row(role=CANARY))),
    "csv, naive time": ("csv", long_table(row(at="2025-05-27T15:00:00"))),
    "csv, NaN": ("csv", long_table(row(at="NaN"))),
    "csv, no header": ("csv", table(row())),
    "csv, short row": ("csv", long_table(row()[:3])),
    "csv, open quote": ("csv", long_table(row()) + f'{PERSON},c,user,"{CANARY}'),
    "chats, wrong role": ("chats", lines(canonical(role=CANARY))),
    "chats, naive time": ("chats", lines(canonical(at="2025-05-27T15:00:00"))),
    "chats, doubled ids": ("chats", lines(canonical(), canonical())),
    "chats, lone surrogate": ("chats", lines(canonical(said=f"{CANARY}\ud800"))),
    "chats, not an object": ("chats", lines([CANARY])),
    "labels, out of range": ("labels", lines(label(total=28))),
    "labels, far out of range": ("labels", lines(label(total=10**400))),
    "labels, too many digits": ("labels", '{"total": ' + "9" * 5000 + "}"),
    "labels, below range": ("labels", lines(label(total=-1))),
    "labels, NaN": ("labels", lines(label(total=float("nan")))),
    "labels, infinite": ("labels", lines(label()).replace("14", "1e999")),
    "labels, naive time": ("labels", lines(label(at="2025-05-27T15:00:00"))),
    "labels, doubled": ("labels", lines(label(), label())),
    "labels, lone surrogate": ("labels", lines(label(person=f"{CANARY}\ud800"))),
    "fhir, out of range": ("fhir", lines(fhir(total=28))),
    "fhir, naive time": ("fhir", lines(fhir(at="2025-05-27T15:00:00"))),
    "fhir, doubled": ("fhir", lines(fhir(), fhir())),
    "fhir, NaN": ("fhir", lines(fhir(total=float("nan")))),
    "fhir, lone surrogate": ("fhir", lines(fhir(person=f"{CANARY}\ud800"))),
    "redcap, out of range": ("redcap", redcap((PERSON, AT, 28))),
    "redcap, naive time": ("redcap", redcap((PERSON, "2025-05-27 15:00", 14))),
    "redcap, NaN": ("redcap", redcap((PERSON, AT, "NaN"))),
    "redcap, text": ("redcap", redcap((PERSON, AT, CANARY))),
    "redcap, doubled": ("redcap", redcap((PERSON, AT, 14), (PERSON, AT, 14))),
    "daic-woz-labels, out of range": (
        "daic-woz-labels",
        "Participant_ID,PHQ8_Score\n300,25\n",
    ),
}


def refused(outcome, out):
    """Assert one clear sentence, exit 1, nothing shown of the data and nothing left behind."""
    assert outcome.exit_code == 1
    assert outcome.stdout == ""
    assert outcome.stderr.startswith("Error: ")
    assert outcome.stderr.count("\n") == 1
    assert "Traceback" not in outcome.stderr
    assert CANARY not in outcome.stderr
    assert [each.name for each in out.parent.iterdir()] == []
    return outcome.stderr


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "out.jsonl"


@pytest.fixture
def convert(run, tmp_path, out):
    def invoke(content, name, *flags):
        source = tmp_path / "in.txt"
        source.write_bytes(content if isinstance(content, bytes) else content.encode())
        return run("convert", source, "--format", name, "--out", out, *flags)

    return invoke


@pytest.mark.parametrize("name", GOOD)
def test_every_text_format_is_converted(convert, out, name):
    content, flags = GOOD[name]
    outcome = convert(content, name, *flags)
    assert (outcome.exit_code, outcome.stdout) == (0, "")
    assert f"Wrote 1 {'conversation' if FORMATS[name].kind == 'chats' else 'q'}" in outcome.stderr
    reader = read_chats if FORMATS[name].kind == "chats" else read_labels
    (record,) = reader(out)
    assert CANARY not in outcome.output
    assert record.user_id in (PERSON, "300")
    assert outcome.stderr.splitlines()[-1].startswith("Next: sottovoce check")


@pytest.mark.parametrize("case", BAD)
def test_bad_records_end_with_one_sentence(convert, out, case):
    name, content = BAD[case]
    sentence = refused(convert(content, name, *GOOD[name][1]), out)
    assert "in.txt" in sentence


@pytest.mark.parametrize("name", GOOD)
def test_empty_binary_and_foreign_files_end_with_one_sentence(convert, out, name):
    flags = GOOD[name][1]
    assert "the file is empty" in refused(convert("", name, *flags), out)
    assert "the file is empty" in refused(convert("\n \n", name, *flags), out)
    refused(convert(b"\x89PNG\r\n\x1a\n\x00\x00" + CANARY.encode(), name, *flags), out)
    refused(convert(b"PK\x03\x04\x00\x00" + CANARY.encode(), name, *flags), out)
    refused(convert(f"{CANARY} one\n{CANARY} two\n".encode("utf-16"), name, *flags), out)
    refused(convert(f"dear {CANARY},\nhow are you?\n", name, *flags), out)


@pytest.mark.parametrize("name", [name for name in GOOD if name not in ("csv", "redcap")])
def test_a_file_cut_anywhere_is_refused_or_read_whole(convert, out, name):
    """A cut that takes only the line break at the end leaves a whole file."""
    content, flags = GOOD[name]
    step = max(1, len(content) // 12)
    for length in range(1, len(content) - 1, step):
        cut = content[:length]
        if name == "daic-woz-labels" and cut.count("\n") == 1 and cut.count(",") == 18:
            continue  # the last number of a row cannot be seen to be cut
        refused(convert(cut, name, *flags), out)


@pytest.fixture(scope="module")
def long_line(tmp_path_factory) -> Path:
    """Give a file of 100 MB on one line."""
    path = tmp_path_factory.mktemp("long") / "long.txt"
    with path.open("wb") as stream:
        stream.write(b'{"messages": "')
        for _ in range(100):
            stream.write(b"x" * 1_000_000)
    return path


@pytest.mark.parametrize("name", [*GOOD, "daic-woz", "parquet"])
def test_100_mb_on_one_line_ends_with_one_sentence(run, out, long_line, name):
    flags = GOOD.get(name, ("", ()))[1]
    outcome = run("convert", long_line, "--format", name, "--out", out, *flags)
    refused(outcome, out)


@pytest.mark.parametrize("name", [*GOOD, "parquet"])
def test_missing_files_and_folders_end_with_one_sentence(run, tmp_path, out, name):
    flags = GOOD.get(name, ("", ()))[1]
    outcome = run("convert", tmp_path / "none", "--format", name, "--out", out, *flags)
    assert "No such file" in refused(outcome, out)
    outcome = run("convert", tmp_path, "--format", name, "--out", out, *flags)
    assert "this is a folder" in refused(outcome, out)


def test_a_folder_of_interviews_is_converted(run, tmp_path, out):
    for number in (301, 300):
        folder = tmp_path / "corpus" / f"{number}_P"
        folder.mkdir(parents=True)
        (folder / f"{number}_TRANSCRIPT.csv").write_text(
            f"start_time\tstop_time\tspeaker\tvalue\n1\t2\tParticipant\t{SAID}\n", encoding="utf-8"
        )
    corpus = tmp_path / "corpus"
    outcome = run("convert", corpus, "--format", "daic-woz", "--out", out)
    assert "add --start" in refused(outcome, out)
    outcome = run("convert", corpus, "--format", "daic-woz", "--out", out, "--start", AT)
    assert outcome.exit_code == 0
    assert [each.user_id for each in read_chats(out)] == ["300", "301"]


def test_a_late_mistake_leaves_no_output_and_keeps_the_old(convert, out):
    out.write_text("old", encoding="utf-8")
    content = lines(*(openai(thread=f"c{number}") for number in range(50)), openai(role="x"))
    outcome = convert(content, "openai-chat", "--force")
    assert "line 51" in outcome.stderr
    assert out.read_text(encoding="utf-8") == "old"
    assert [each.name for each in out.parent.iterdir()] == ["out.jsonl"]


def test_nothing_is_overwritten_without_force(convert, out):
    out.write_text("old", encoding="utf-8")
    outcome = convert(lines(openai()), "openai-chat")
    assert outcome.exit_code == 1
    assert "it exists already; add --force" in outcome.stderr
    assert out.read_text(encoding="utf-8") == "old"
    assert convert(lines(openai()), "openai-chat", "--force").exit_code == 0
    assert len(list(read_chats(out))) == 1


def test_a_file_can_be_converted_onto_itself(run, tmp_path):
    path = tmp_path / "chats.jsonl"
    path.write_text(lines({**canonical(), "extra": 1}), encoding="utf-8")
    outcome = run("convert", path, "--format", "chats", "--out", path, "--force")
    assert outcome.exit_code == 0
    assert json.loads(path.read_text(encoding="utf-8")) == canonical()


def test_an_output_that_cannot_be_written_ends_with_one_sentence(run, tmp_path):
    source = tmp_path / "in.jsonl"
    source.write_text(lines(openai()), encoding="utf-8")
    for place in (tmp_path, source / "x" / "out.jsonl"):
        outcome = run("convert", source, "--format", "openai-chat", "--out", place)
        assert outcome.exit_code == 1
        assert outcome.stderr.count("\n") == 1


def test_flags_become_options(convert, out):
    content = table(
        ("who", "thread", "speaker", "text", "at"),
        (1, 1, "Pat", "hello", "2025-05-27 17:00"),
        (1, 1, "Coach", "hi", "2025-05-27 17:01"),
        (1, 1, "Chorus", "oh", "2025-05-27 17:02"),
    )
    flags = [
        *("--column", "user_id=who", "--column", "conversation_id = thread"),
        *("--column", "role=speaker", "--column", "content=text", "--column", "timestamp=at"),
        *("--role", "PAT=user", "--role", "coach=assistant", "--role", "*=skip"),
        *("--timezone", "Europe/Berlin", "--json"),
    ]
    outcome = convert(content, "csv", *flags)
    assert json.loads(outcome.stdout) == {
        "format": "csv",
        "kind": "chats",
        "written": 1,
        "left_out": {"turns of speakers to skip": 1},
        "assumed": {},
    }
    assert "1  turns of speakers to skip" in outcome.stderr
    record = json.loads(out.read_text(encoding="utf-8"))
    assert record["messages"][0]["timestamp"] == AT


def test_a_naive_start_is_read_in_the_time_zone_given(convert, out):
    content = lines({**openai(at=None), "created": None})
    flags = ("--start", "2025-05-27 17:00")
    assert convert(content, "openai-chat", *flags).exit_code == 2
    outcome = convert(content, "openai-chat", *flags, "--timezone", "Europe/Berlin")
    assert "1  times of turns, one second apart from the conversation's start" in outcome.stderr
    assert json.loads(out.read_text(encoding="utf-8"))["messages"][0]["timestamp"] == AT


@pytest.mark.parametrize(
    ("name", "flags", "problem"),
    [
        ("csv", ("--instrument", "phq-9"), "--instrument is of no use with --format csv"),
        ("fhir", ("--start", AT), "--start is of no use with --format fhir"),
        ("daic-woz", ("--timezone", "UTC"), "--timezone is of no use"),
        ("labels", ("--role", "a=user"), "--role is of no use"),
        ("csv", ("--column", "name=x"), "which has: user_id, conversation_id"),
        ("chats", ("--column", "name=x"), "which has: none"),
        ("csv", ("--column", "role"), "write it as NAME=VALUE"),
        ("csv", ("--column", "role=a", "--column", "role=b"), "role is given twice"),
        ("csv", ("--role", "a=boss"), "ROLE is user, assistant, skip"),
        ("csv", ("--timezone", "Mars/Base"), "the time zone is not known"),
        ("csv", ("--start", "soon"), "the time is not ISO 8601"),
        ("fhir", ("--instrument", "phq-2"), "is not one of"),
        ("word", (), "is not one of"),
    ],
)
def test_wrong_usage_ends_with_2(convert, name, flags, problem):
    outcome = convert("", name, *flags)
    assert outcome.exit_code == 2
    assert problem in " ".join(outcome.stderr.split())


def test_the_help_lists_every_format(run):
    outcome = run("convert", "--help")
    assert all(f"  {name} " in outcome.stdout for name in FORMATS)


def test_the_installed_command_ends_without_a_traceback(tmp_path):
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text(lines(openai(role=CANARY)), encoding="utf-8")
    command = Path(sys.executable).with_name("sottovoce")
    done = subprocess.run(
        [command, "convert", source, "--format", "openai-chat", "--out", out],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"Error: {source}, line 1, field messages[1].role: ")
    assert done.stderr.count("\n") == 1
    assert not out.exists()
