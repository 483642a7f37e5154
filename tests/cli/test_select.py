import json

from tests import made

from sottovoce.conversations import write_json_lines
from sottovoce.estimates import estimate_record


def scores_in(folder):
    people = [made.estimate(f"p{number}", number * 2.0) for number in range(12)]
    path = folder / "scores.jsonl"
    write_json_lines(path, map(estimate_record, people))
    return path


def test_the_list_has_one_person_a_line_for_the_annotator_to_read(run, tmp_path):
    out = tmp_path / "people.jsonl"
    outcome = run("select", scores_in(tmp_path), "--n", 5, "--out", out)
    assert outcome.exit_code == 0
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert len(rows) == 5
    assert all(set(row) == {"user_id"} for row in rows)
    assert "5 people chosen." in outcome.stdout
    assert outcome.stderr.splitlines()[-1] == (
        f"Next: sottovoce annotate chats.jsonl --only {out} --annotator anthropic:MODEL "
        "--out annotations.jsonl"
    )


def test_json_is_one_object_with_the_bands_before_and_after(run, tmp_path):
    out = tmp_path / "people.jsonl"
    outcome = run("select", scores_in(tmp_path), "--n", 5, "--out", out, "--json")
    printed = json.loads(outcome.stdout)
    assert printed["n"] == 5
    assert sum(row["expected"] for row in printed["bands"]) > 4.9
    assert "p3" not in outcome.stdout


def test_nothing_is_overwritten_and_several_instruments_are_refused(run, tmp_path):
    out = tmp_path / "people.jsonl"
    out.write_text("")
    assert run("select", scores_in(tmp_path), "--n", 5, "--out", out).exit_code == 1
    both = tmp_path / "both.jsonl"
    other = made.estimate("z", 3.0, instrument="gad-7")
    write_json_lines(both, map(estimate_record, [made.estimate("a", 3.0), other]))
    outcome = run("select", both, "--n", 5, "--out", tmp_path / "x.jsonl")
    assert "there are scores of 2 instruments" in outcome.stderr
