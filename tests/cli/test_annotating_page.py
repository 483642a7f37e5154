"""The page docs/annotating.md: its commands run against a scripted server, its costs add up."""

import json
import re
import shlex
from pathlib import Path

import pytest
from tests import annotating

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "annotating.md").read_text("utf-8")
MEASURED = ROOT / "benchmarks" / "results" / "annotation_tokens.json"
BLOCK = re.compile(r"```(?P<kind>\w+)(?: (?P<name>\S+))?\n(?P<text>.*?)```\n", re.DOTALL)
LOCAL = "http://localhost:8000"


def rows():
    return {row["name"]: row for row in json.loads(MEASURED.read_text())["rows"]}


def test_every_command_of_the_page_runs_on_its_files(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    annotating.set_keys(monkeypatch)
    said = {"item": 3, "level": 2, "quote": "I lay awake until four again", "trap": None}
    ran = 0
    with annotating.serving() as service:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", service.url)
        service.script = lambda call: annotating.Said(annotating.answer(call.key, evidence=[said]))
        for block in BLOCK.finditer(TEXT):
            if block["kind"] == "jsonl":
                Path(block["name"]).write_text(block["text"], encoding="utf-8")
            elif block["kind"] == "console":
                program, *words = shlex.split(block["text"].replace(LOCAL, service.url))
                outcome = run(*words, "--engine", "patterns")
                assert (program, outcome.exit_code) == ("sottovoce", 0), outcome.stderr
                ran += 1
        assert (ran, len(service.calls)) == (4, 4)


def test_the_costs_of_the_page_follow_from_what_was_measured():
    read = sum(rows()[name]["mean"] for name in ("prompt", "schema", "transcript"))
    written = rows()["answer, without reasoning"]["mean"]
    table = re.findall(
        r"^\| Claude \w+ [\d.]+ \| (\d+) \| (\d+) \| ([\d,]+) \| (\d) \| (\d+) \| (\d+) \|$",
        TEXT,
        re.MULTILINE,
    )
    assert len(table) == 8
    for row in table:
        price_in, price_out, reasoning, samples, single, batches = (
            int(cell.replace(",", "")) for cell in row
        )
        cost = 3000 * samples * (read * price_in + (written + reasoning) * price_out) / 1e6
        assert single == pytest.approx(cost, abs=0.5)
        assert batches == pytest.approx(cost / 2, abs=0.5)


def test_the_measured_numbers_of_the_page_are_those_of_the_benchmark():
    found = rows()
    transcript, answer = found["transcript"], found["answer, without reasoning"]
    assert f"prompt {found['prompt']['mean']:.0f} tokens" in TEXT
    assert f"schema {found['schema']['mean']:.0f}" in TEXT
    assert f"transcript {transcript['mean']:,.0f} on average" in TEXT
    assert f"({transcript['least']} to {transcript['most']:,})" in TEXT
    assert f"answer {answer['mean']:.0f} ({answer['least']} to {answer['most']};" in TEXT


def test_the_constants_of_the_forecast_are_those_of_the_benchmark():
    from sottovoce.annotate.budget import EXPECTED_ANSWER

    assert round(rows()["answer, without reasoning"]["mean"]) == EXPECTED_ANSWER
    assert rows()["estimated input over counted"]["mean"] == pytest.approx(1, abs=0.02)
    assert rows()["upper limit of input over counted"]["least"] > 1
