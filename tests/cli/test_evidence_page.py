"""The page docs/evidence.md: its recipe is trained and its commands run."""

import json
import re
import shlex
from pathlib import Path

from tests import recipes

from sottovoce.conversations import read_json_lines
from sottovoce.settings import READ_DEPTHS, ReaderSettings

TEXT = (Path(__file__).parents[2] / "docs" / "evidence.md").read_text("utf-8")
BLOCK = re.compile(r"```(?P<kind>\w+)(?: (?P<name>\S+))?\n(?P<text>.*?)```\n", re.DOTALL)


def test_every_command_of_the_page_runs_on_its_recipe(run, tmp_path, monkeypatch, tiny_qwen):
    monkeypatch.chdir(tmp_path)
    recipes.write_people(tmp_path)
    recipes.write_annotated(tmp_path)
    ran, shown = [], []
    for block in BLOCK.finditer(TEXT):
        if block["kind"] == "yaml":
            recipe = block["text"].replace("smollm2-135m", str(tiny_qwen))
            Path(block["name"]).write_text(recipe, "utf-8")
        elif block["kind"] == "jsonl":
            shown += [json.loads(line) for line in block["text"].splitlines()]
        else:
            program, *words = shlex.split(block["text"])
            outcome = run(*words)
            assert (program, outcome.exit_code) == ("sottovoce", 0), outcome.stderr
            ran.append(words[0])
    assert ran == ["train", "score"]
    written = [row for _, row in read_json_lines(tmp_path / "evidence.jsonl")]
    assert len(written) == recipes.PEOPLE
    quoted = [row for row in written if row["evidence"]]
    for row in (*shown, quoted[0]):
        assert list(row) == list(written[0])
        assert len(row["profile"]) == len(written[0]["profile"])
        assert list(row["evidence"][0]) == ["item", "level", "timestamp", "quote"]


def test_the_defaults_of_the_page_are_those_of_the_settings():
    (recipe,) = (block["text"] for block in BLOCK.finditer(TEXT) if block["kind"] == "yaml")
    assert f"penalty: {ReaderSettings().penalty:g}\n" in recipe
    assert f"folds: {ReaderSettings().n_folds} " in recipe
    told = "depths of {}, {} and {}".format(*(f"{each:g}".lstrip("0") for each in READ_DEPTHS))
    assert told in recipe
