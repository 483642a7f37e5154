import json

import pytest
from tests import tuning


@pytest.fixture
def model(tiny_qwen, tmp_path):
    return tuning.untrained_estimator(tiny_qwen).save_pretrained(tmp_path / "model")


def test_an_export_is_told_in_one_line_and_names_the_command_that_serves_it(run, model, tmp_path):
    outcome = run("export", model, "--out", tmp_path / "out")
    assert outcome.exit_code == 0
    (line,) = outcome.stdout.splitlines()
    record = json.loads((tmp_path / "out" / "sottovoce.json").read_text("utf-8"))
    assert line.startswith(f"{record['model_id']}: a score is the answer +")
    assert outcome.stderr.splitlines()[-1].startswith(f"Next: vllm serve {tmp_path / 'out'} ")


def test_json_is_the_record(run, model, tmp_path):
    outcome = run("export", model, "--out", tmp_path / "out", "--json")
    record = json.loads((tmp_path / "out" / "sottovoce.json").read_text("utf-8"))
    assert json.loads(outcome.stdout) == record | {"out": str(tmp_path / "out")}


def test_what_stands_there_is_kept_unless_it_is_forced(run, model, tmp_path):
    assert run("export", model, "--out", tmp_path / "out").exit_code == 0
    again = run("export", model, "--out", tmp_path / "out")
    assert (again.exit_code, again.stdout) == (1, "")
    assert "it exists already; add --force" in again.stderr
    assert run("export", model, "--out", tmp_path / "out", "--force").exit_code == 0


def test_a_model_that_cannot_be_expressed_is_one_sentence(run, tiny_run, tmp_path):
    outcome = run("export", tiny_run, "--out", tmp_path / "out")
    assert outcome.exit_code == 1
    assert outcome.stderr == (
        f"Error: {tiny_run}: cannot be written as a classifier: a probe reads inner layers; "
        "fine-tune a backbone instead\n"
    )
