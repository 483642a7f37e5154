"""The page docs/formats.md: its files are written and its commands run."""

import json
import re
import shlex
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sottovoce.estimates import estimate_record, read_scores
from sottovoce.readers import FORMATS

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
BLOCK = re.compile(r"```(?P<kind>\w+)(?: (?P<name>\S+))?\n(?P<text>.*?)```\n", re.DOTALL)


def test_every_command_of_the_page_runs_on_the_files_of_the_page(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    row = {"user_id": "ana", "conversation_id": "c", "role": "user", "content": "I slept."}
    columns = {name: [value] for name, value in row.items()} | {"timestamp": [1748360948]}
    pq.write_table(pa.table(columns), "messages.parquet")
    tried = set()
    for block in BLOCK.finditer(PAGE.read_text(encoding="utf-8")):
        text = block["text"]
        if block["kind"] != "console":
            path = Path(block["name"])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            continue
        program, *arguments = shlex.split(text.replace("\\\n", " "))
        force = ["--force"] if arguments[0] == "convert" else []
        outcome = run(*arguments, *force)
        assert program == "sottovoce"
        assert (outcome.exit_code, "Error" in outcome.stderr) == (0, False), text
        tried |= {arguments[arguments.index("--format") + 1]} if force else set()
    assert {*tried, "labels"} == set(FORMATS)


def test_the_scores_of_the_page_have_every_key_and_are_estimates(tmp_path):
    (text,) = (
        block["text"]
        for block in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))
        if block["name"] == "scores.jsonl"
    )
    path = tmp_path / "scores.jsonl"
    path.write_text(text, encoding="utf-8")
    written = [estimate_record(each) for each in read_scores(path)]
    assert written == [json.loads(line) for line in text.splitlines()]
    assert [each["abstained"] for each in written] == [False, True]


def test_the_page_has_a_section_for_every_format():
    headings = re.findall(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {name for line in headings for name in line.split(" and ")} == set(FORMATS)
