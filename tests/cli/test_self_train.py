import json

import pytest
import yaml
from tests import recipes, taught, tiny

from sottovoce.annotations import write_annotations
from sottovoce.conversations import conversation_record, response_record, write_json_lines


@pytest.fixture
def people(tmp_path, tiny_qwen):
    """Training people, and others who are at once pool and, by other words, tested."""
    recipes.write_people(tmp_path)
    pool = [
        tiny.window(f"q{number}", [f"word {number} {each}" * 9 for each in range(6)])
        for number in range(12)
    ]
    write_json_lines(
        tmp_path / "pool.jsonl", (conversation_record(tiny.conversation(each)) for each in pool)
    )
    test = [
        tiny.window(
            f"t{number}", [f"other {number} {each}" * 9 for each in range(6)], float(number)
        )
        for number in range(12)
    ]
    write_json_lines(
        tmp_path / "test.jsonl", (conversation_record(tiny.conversation(each)) for each in test)
    )
    write_json_lines(tmp_path / "tested.jsonl", (response_record(each.label) for each in test))
    said = [taught.annotation(f"q{number}", number * 2.0) for number in range(9)]
    write_annotations(tmp_path / "annotations.jsonl", said)
    (tmp_path / "member.yaml").write_text(yaml.safe_dump(recipes.recipe(tiny_qwen)), "utf-8")
    section = {
        "members": ["member.yaml"],
        "pool": {"chats": "pool.jsonl", "annotations": "annotations.jsonl"},
        "test": {"chats": "test.jsonl", "labels": "tested.jsonl"},
        "stages": ["ground_truth", "annotator"],
        "duplicates": 1.0,
        "trust": [1],
    }
    recipe = tmp_path / "self.yaml"
    recipe.write_text(yaml.safe_dump({"name": "made-up", "self_training": section}), "utf-8")
    return tmp_path


def test_the_ablation_is_printed_with_what_has_to_be_known(run, people):
    outcome = run("self-train", people / "self.yaml", "--out", people / "run")
    assert outcome.exit_code == 0
    assert "ground_truth" in outcome.stdout
    assert "AUC ≥ 10" in outcome.stdout
    assert "annotator: 3 of 12 people of the pool have no annotation." in outcome.stdout
    assert outcome.stderr.splitlines()[-1] == (
        f"Next: sottovoce score chats.jsonl --model {people / 'run'} --out scores.jsonl"
    )
    refused = run("self-train", people / "self.yaml", "--out", people / "run")
    assert refused.exit_code == 1
    assert "add --force" in refused.stderr
    again = run("self-train", people / "self.yaml", "--out", people / "run", "--force", "--json")
    printed = json.loads(again.stdout)
    kept = json.loads((people / "run" / "ablation.json").read_text("utf-8"))
    assert printed["rows"] == kept["rows"]


def test_a_recipe_of_another_form_is_one_sentence(run, people):
    outcome = run("self-train", people / "member.yaml", "--out", people / "run")
    assert outcome.exit_code == 1
    assert "the key self_training is missing" in outcome.stderr
