import json
import shutil
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file
from tests import recipes, tiny

from sottovoce import estimator
from sottovoce.assembly import assemble
from sottovoce.conversations import (
    Conversation,
    QuestionnaireResponse,
    conversation_record,
    read_json_lines,
    response_record,
    write_json_lines,
)
from sottovoce.errors import DataError
from sottovoce.estimates import read_scores, total_dropped
from sottovoce.estimator import Estimator
from sottovoce.explanation import LEAST_LEVEL
from sottovoce.train import train

CANARY = "xylophonist"


def lines(outcome):
    assert outcome.exit_code == 0, outcome.stderr
    return [json.loads(line) for line in outcome.stdout.splitlines()]


def said(user, number, days, *, messages=6):
    """Give one of a person's conversations, so many days from noon."""
    whole = tiny.window(user, (tiny.SAYINGS * 2)[number : number + messages]).messages
    moved = tuple(
        type(each)(each.role, each.content, each.timestamp + timedelta(days=days)) for each in whole
    )
    return Conversation(user, f"{user}-{number}", moved)


@pytest.fixture
def chats(tmp_path):
    def write(*conversations):
        path = tmp_path / "chats.jsonl"
        write_json_lines(path, map(conversation_record, conversations))
        return path

    return write


@pytest.fixture
def labels(tmp_path):
    def write(*moments, instrument="phq-9"):
        path = tmp_path / "labels.jsonl"
        responses = [
            QuestionnaireResponse(user, instrument, tiny.NOON + timedelta(days=days), 9)
            for user, days in moments
        ]
        write_json_lines(path, map(response_record, responses))
        return path

    return write


@pytest.fixture
def score(run, tiny_run):
    """Give ``score(chats, "--at", labels)``, by the tiny run unless another model is named."""

    def invoke(path, *arguments):
        model = [] if "--model" in arguments else ["--model", tiny_run]
        return run("score", path, *model, *arguments)

    return invoke


def test_every_person_gets_a_line_in_the_order_of_the_file(score, tiny_run):
    chats = tiny_run.parent / "chats.jsonl"
    found = lines(score(chats))
    assert [each["user_id"] for each in found] == [f"p{n:02d}" for n in range(recipes.PEOPLE)]
    for each in found:
        assert not each["abstained"]
        assert each["lower"] <= each["score"] <= each["upper"]
        assert list(each["p_at_least"]) == ["5", "10", "15", "20"]
        assert each["model_id"] == Estimator.from_pretrained(tiny_run).model_id


def test_the_counts_and_the_next_command_stand_on_stderr(score, tiny_run, chats):
    path = chats(said("ada", 1, 0), said("ben", 2, 0, messages=1))
    outcome = score(path)
    model_id = Estimator.from_pretrained(tiny_run).model_id
    assert outcome.stderr.splitlines()[-2:] == [
        f"1 scored, 1 abstained ({model_id}). An estimate is not a diagnosis.",
        "Next: sottovoce evaluate scores.jsonl LABELS --out evaluation",
    ]


def test_the_newest_window_is_read_unless_questionnaires_say_when(score, chats, labels):
    path = chats(said("ada", 1, -40), said("ada", 2, -1), said("ben", 3, 0))
    newest = lines(score(path))
    ends = {each["user_id"]: datetime.fromisoformat(each["window_end"]) for each in newest}
    last = {user: said(user, n, days).messages[-1].timestamp for user, n, days in
            (("ada", 2, -1), ("ben", 3, 0))}  # fmt: skip
    assert ends == {user: moment + timedelta(seconds=1) for user, moment in last.items()}
    at = lines(score(path, "--at", labels(("ada", 0), ("ada", -39), ("ben", 1))))
    assert [(each["user_id"], each["window_end"][:10]) for each in at] == [
        ("ada", "2025-02-03"),
        ("ada", "2025-03-14"),
        ("ben", "2025-03-15"),
    ]
    assert at[0]["score"] != at[1]["score"]
    assert at[1]["score"] == newest[0]["score"]


def test_what_is_said_after_a_questionnaire_never_reaches_its_estimate(score, chats, labels):
    at = labels(("ada", 0))
    alone = lines(score(chats(said("ada", 1, -1)), "--at", at))
    followed = lines(score(chats(said("ada", 1, -1), said("ada", 2, 1)), "--at", at))
    assert alone == followed


def test_interleaved_conversations_are_one_person(score, chats):
    apart = [said("ada", 1, -2), said("ben", 2, -2), said("ada", 3, -1), said("ben", 4, -1)]
    together = [apart[0], apart[2], apart[1], apart[3]]
    assert lines(score(chats(*apart))) == lines(score(chats(*together)))
    backwards = lines(score(chats(*reversed(together))))
    assert [each["user_id"] for each in backwards] == ["ben", "ada"]
    assert backwards[::-1] == lines(score(chats(*together)))


@pytest.mark.parametrize(
    ("conversation", "reason"),
    [
        (said("ada", 1, 0, messages=2), "2 user messages in the window, 5 are needed"),
        (
            Conversation("ada", "1", tiny.window("ada", ["I am fine."] * 6).messages),
            "18 user words in the window, 45 are needed",
        ),
    ],
)
def test_too_little_conversation_abstains_with_a_reason(score, chats, conversation, reason):
    (found,) = lines(score(chats(conversation)))
    assert (found["abstained"], found["reason"]) == (True, reason)
    assert found["score"] is found["lower"] is found["upper"] is found["band"] is None
    assert found["p_at_least"] == {}


def test_the_coverage_of_the_interval_can_be_chosen(score, chats):
    path = chats(said("ada", 1, 0))
    widths = {}
    for coverage in (0.5, 0.8):
        (found,) = lines(score(path, "--coverage", coverage))
        assert found["coverage"] == coverage
        widths[coverage] = found["upper"] - found["lower"]
    assert 0 < widths[0.5] < widths[0.8]


def test_people_who_said_nothing_at_all_get_a_line_too(score, chats, tmp_path):
    path, out = chats(Conversation("ada", "1", ()), said("ben", 2, 0)), tmp_path / "scores.jsonl"
    assert score(path, "--out", out).exit_code == 0
    ada, ben = read_scores(out)
    assert (ada.user_id, ada.abstained, ben.abstained) == ("ada", True, False)
    assert ada.reason == "the person's conversations hold no message"
    assert ada.window_start is ada.window_end is ada.dropped is None
    assert len(lines(score(chats(Conversation("ada", "1", ()))))) == 1


def test_what_the_token_budget_left_unread_is_counted(run, chats, tiny_qwen, tmp_path):
    recipes.write_people(tmp_path)
    both = {"roles": ["user", "assistant"], "layout": "turns", "max_tokens": 110}
    model = train(recipes.write_recipe(tmp_path, tiny_qwen, input=both), tmp_path / "run").folder
    data = json.loads((model / "data.json").read_text("utf-8"))["dropped"]
    kept = list(read_scores(model / "predictions.jsonl"))
    assert data == total_dropped(each.dropped for each in kept)
    assert data["windows"] == recipes.PEOPLE
    path, out = chats(said("ada", 1, 0), said("ben", 2, 0, messages=1)), tmp_path / "scores.jsonl"
    outcome = run("score", path, "--model", model, "--out", out, "--json")
    ada, ben = read_scores(out)
    lost = json.loads(outcome.stdout)["dropped"]
    assert lost == total_dropped([ada.dropped])
    assert lost["assistant_messages"] == 6  # all of them, before any of the person's
    assert 0 < lost["user_messages"] < 6
    assert ben.dropped is None
    assert "Windows longer than the model's token budget: 1; messages not read: " in outcome.stderr


@pytest.mark.parametrize("coverage", [0, 1, -0.5, "most"])
def test_a_coverage_that_is_none_is_wrong_usage(score, chats, coverage):
    outcome = score(chats(said("ada", 1, 0)), "--coverage", coverage)
    assert (outcome.exit_code, outcome.stdout) == (2, "")


def test_a_file_of_scores_holds_the_lines_of_stdout(score, chats, labels, tmp_path):
    path, out = (
        chats(said("ada", 1, 0), said("bén", 2, 0)),
        tmp_path / "new folder" / "scores.jsonl",
    )
    printed = lines(score(path))
    at = labels(("ada", 1), ("bén", 1))
    outcome = score(path, "--out", out)
    assert (outcome.exit_code, outcome.stdout) == (0, "")
    assert [record for _, record in read_json_lines(out)] == printed
    assert f"Next: sottovoce evaluate '{out}' LABELS --out evaluation" in outcome.stderr
    assert len(list(read_scores(out))) == 2
    assert f"'{out}' {at} --out" in score(path, "--at", at, "--out", out, "--force").stderr


def test_json_prints_the_counts_and_needs_a_file(score, chats, tmp_path, tiny_run):
    path, out = chats(said("ada", 1, 0), said("ben", 2, 0, messages=1)), tmp_path / "scores.jsonl"
    outcome = score(path, "--json")
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert "needs --out" in outcome.stderr
    assert json.loads(score(path, "--json", "--out", out).stdout) == {
        "estimates": 2,
        "scored": 1,
        "abstained": 1,
        "dropped": total_dropped([]),
        "model_id": Estimator.from_pretrained(tiny_run).model_id,
        "out": str(out),
    }


def test_nothing_is_overwritten_unless_it_is_forced(score, chats, tmp_path):
    path, out = chats(said("ada", 1, 0)), tmp_path / "scores.jsonl"
    out.write_text("mine")
    outcome = score(path, "--out", out)
    assert outcome.exit_code == 1
    assert "it exists already; add --force" in outcome.stderr
    assert out.read_text() == "mine"
    assert score(path, "--out", out, "--force").exit_code == 0
    assert len(list(read_scores(out))) == 1


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_folder_is_no_output(score, chats, tmp_path, force):
    (tmp_path / "scores").mkdir()
    outcome = score(chats(said("ada", 1, 0)), "--out", tmp_path / "scores", *force)
    assert outcome.exit_code == 1
    assert "this is a folder; name a file in it" in outcome.stderr
    assert list((tmp_path / "scores").iterdir()) == []


def test_a_broken_line_leaves_no_file(score, chats, tmp_path):
    path = chats(said("ada", 1, 0))
    with path.open("a") as stream:
        stream.write(f'{{"user_id": "{CANARY}", "messages": "{CANARY}"}}\n')
    outcome = score(path, "--out", tmp_path / "scores.jsonl")
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert "chats.jsonl, line 2, field messages: it is text of 11 characters" in outcome.stderr
    assert CANARY not in outcome.output
    assert {each.name for each in tmp_path.iterdir()} == {"chats.jsonl"}


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_run_that_fails_half_way_leaves_what_was_there(
    score, chats, tmp_path, monkeypatch, force
):
    path, out = chats(said("ada", 1, 0), said("ben", 2, 0)), tmp_path / "scores.jsonl"
    if force:
        out.write_text("mine")
    monkeypatch.setattr("sottovoce.stream.PEOPLE_AT_ONCE", 1)
    once, passed = Estimator.explain, []

    def twice(self, windows, **options):
        passed.append(windows)
        if len(passed) == 2:
            raise DataError("the second cannot be read", fix="read the first")
        return once(self, windows, **options)

    monkeypatch.setattr(Estimator, "explain", twice)
    outcome = score(path, "--out", out, *force)
    assert outcome.exit_code == 1
    assert "the second cannot be read" in outcome.stderr
    assert (out.read_text() if force else out.exists()) == ("mine" if force else False)
    assert not list(tmp_path.glob("*.partial"))


def test_nobody_to_score_is_an_error_and_leaves_no_file(score, chats, labels, tmp_path):
    path, out = chats(said("ada", 1, 0)), tmp_path / "scores.jsonl"
    outcome = score(path, "--at", labels(("cy", 0)), "--out", out)
    assert outcome.exit_code == 1
    assert "nobody in it could be given a window" in outcome.stderr
    assert not out.exists()


def test_a_missing_file_ends_with_one_sentence(score, tmp_path):
    outcome = score(tmp_path / "absent.jsonl")
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert "absent.jsonl: the file cannot be read" in outcome.stderr


def test_the_installed_command_prints_pure_json_lines(tiny_run, chats):
    done = subprocess.run(
        [
            Path(sys.executable).with_name("sottovoce"),
            "score",
            chats(said("ada", 1, 0), said("ben", 2, 0, messages=1)),
            "--model",
            tiny_run,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert [json.loads(line)["user_id"] for line in done.stdout.splitlines()] == ["ada", "ben"]
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def reader(tmp_path_factory, tiny_qwen):
    """A run of an evidence reader, and one of an ensemble with a probe and the reader."""
    folder = tmp_path_factory.mktemp("reader")
    recipes.write_people(folder)
    recipes.write_annotated(folder)
    members = {"probe": {"on": tiny_qwen}, "reader": {"on": tiny_qwen} | recipes.READER}
    whole = assemble(recipes.write_ensemble(folder, members), folder / "both").folder
    return whole / "members" / "reader", whole


@pytest.mark.parametrize("which", [0, 1])
def test_an_evidence_reader_quotes_what_its_estimates_rest_on(
    score, chats, reader, tmp_path, which
):
    path = chats(said("ada", 0, 0), said("ben", 2, 0, messages=1), said("cy", 3, 0))
    evidence = tmp_path / "new folder" / "evidence.jsonl"
    found = lines(score(path, "--model", reader[which], "--evidence", evidence))
    rows = [row for _, row in read_json_lines(evidence)]
    assert [each["user_id"] for each in rows] == ["ada", "cy"]  # nobody of whom nothing is scored
    shared = ("user_id", "instrument", "window_start", "window_end", "model_id")
    scored = [each for each in found if not each["abstained"]]
    assert found == lines(score(path, "--model", reader[which]))
    for line, row in zip(scored, rows, strict=True):
        assert list(row) == [*shared, "profile", "evidence"]
        assert [row[key] for key in shared] == [line[key] for key in shared]
        assert len(row["profile"]) == 9
        assert all(0 <= points <= 3 for points in row["profile"])
        items = [each["item"] for each in row["evidence"]]
        assert items == sorted(set(items))
        for each in row["evidence"]:
            assert list(each) == ["item", "level", "timestamp", "quote"]
            assert each["level"] >= LEAST_LEVEL
            assert each["quote"] in tiny.SAYINGS
        assert tiny.SAYINGS[0] in [each["quote"] for each in row["evidence"]]


def test_what_a_person_said_stands_in_the_evidence_alone(score, chats, reader, tmp_path):
    path, out = chats(said("ada", 0, 0)), tmp_path / "scores.jsonl"
    evidence = tmp_path / "evidence.jsonl"
    outcome = score(path, "--model", reader[0], "--out", out, "--evidence", evidence, "--json")
    assert json.loads(outcome.stdout)["evidence"] == str(evidence)
    for saying in tiny.SAYINGS:
        assert saying not in outcome.output + out.read_text("utf-8")


def test_evidence_and_scores_come_from_one_reading(score, chats, reader, tmp_path, monkeypatch):
    read, real = [], estimator.message_states

    def watched(backbone, inputs, *rest):
        read.append(len(inputs))
        return real(backbone, inputs, *rest)

    monkeypatch.setattr(estimator, "message_states", watched)
    monkeypatch.setattr("sottovoce.stream.PEOPLE_AT_ONCE", 2)
    path = chats(*(said(user, 0, 0) for user in ("ada", "ben", "cy")))
    lines(score(path, "--model", reader[0], "--evidence", tmp_path / "evidence.jsonl"))
    assert read == [2, 1]


def test_each_questionnaire_s_window_has_its_own_evidence(score, chats, labels, reader, tmp_path):
    path, at = chats(said("ada", 0, -40), said("ada", 3, -1)), labels(("ada", 0), ("ada", -39))
    evidence = tmp_path / "evidence.jsonl"
    found = lines(score(path, "--at", at, "--model", reader[0], "--evidence", evidence))
    rows = [row for _, row in read_json_lines(evidence)]
    assert [each["window_end"] for each in rows] == [each["window_end"] for each in found]
    times = [{each["timestamp"] for each in row["evidence"]} for row in rows]
    assert all(times)
    assert not times[0] & times[1]


def test_a_body_without_evidence_is_refused_before_anything_is_read(score, tmp_path):
    evidence = tmp_path / "evidence.jsonl"
    outcome = score(tmp_path / "absent.jsonl", "--evidence", evidence)
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert "gives no evidence: its body is no evidence reader; leave --evidence" in outcome.stderr
    assert outcome.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_evidence_is_not_overwritten_unless_it_is_forced(score, chats, reader, tmp_path):
    path, evidence = chats(said("ada", 0, 0)), tmp_path / "evidence.jsonl"
    evidence.write_text("mine")
    asked = (path, "--model", reader[0], "--evidence", evidence)
    outcome = score(*asked)
    assert outcome.exit_code == 1
    assert "evidence.jsonl: it exists already; add --force" in outcome.stderr
    assert evidence.read_text() == "mine"
    assert score(*asked, "--force").exit_code == 0
    assert len(list(read_json_lines(evidence))) == 1
    assert score(*asked, "--out", evidence, "--force").exit_code == 2


def test_a_run_that_fails_half_way_leaves_no_evidence(score, chats, reader, tmp_path, monkeypatch):
    path, real = chats(said("ada", 0, 0), said("ben", 2, 0)), Estimator.explain
    monkeypatch.setattr("sottovoce.stream.PEOPLE_AT_ONCE", 1)

    def once(self, windows, **options):
        if windows[0].user_id == "ben":
            raise DataError("the second cannot be read", fix="read the first")
        return real(self, windows, **options)

    monkeypatch.setattr(Estimator, "explain", once)
    outcome = score(path, "--model", reader[0], "--evidence", tmp_path / "evidence.jsonl")
    assert outcome.exit_code == 1
    assert {each.name for each in tmp_path.iterdir()} == {"chats.jsonl"}


def rewritten(**changes):
    def change(model):
        record = json.loads((model / "estimator.json").read_text())
        (model / "estimator.json").write_text(json.dumps(record | changes))

    return change


def with_rendering(model):
    record = json.loads((model / "estimator.json").read_text())
    record["settings"]["rendering"]["layout"] = "turns"
    (model / "estimator.json").write_text(json.dumps(record))


def with_rules(model):
    record = json.loads((model / "estimator.json").read_text())
    record["settings"]["rules"]["min_user_messages"] = 1
    (model / "estimator.json").write_text(json.dumps(record))


def with_body(model):
    record = json.loads((model / "estimator.json").read_text())
    record["body"]["choices"][0]["penalty"] = 7.0
    (model / "estimator.json").write_text(json.dumps(record))


def with_senseless_rules(model):
    record = json.loads((model / "estimator.json").read_text())
    record["settings"]["rules"]["look_back_days"] = -1
    (model / "estimator.json").write_text(json.dumps(record))


def with_instrument(model):
    record = json.loads((model / "estimator.json").read_text())
    record["settings"]["instrument"] = 9
    (model / "estimator.json").write_text(json.dumps(record))


def without_settings(model):
    record = json.loads((model / "estimator.json").read_text())
    del record["settings"]
    (model / "estimator.json").write_text(json.dumps(record))


def with_tensors(model):
    tensors = load_file(model / "estimator.safetensors")
    tensors["probe.weights"] = tensors["probe.weights"] + 1
    save_file(tensors, model / "estimator.safetensors")


def written(name, content):
    return lambda model: (model / name).write_bytes(content)


def without(name):
    return lambda model: (model / name).unlink()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (without("estimator.json"), "estimator.json is missing"),
        (without("estimator.safetensors"), "estimator.safetensors is missing"),
        (written("estimator.json", b"{"), "estimator.json is damaged"),
        (written("estimator.json", b"\xff\xfe"), "estimator.json is damaged"),
        (written("estimator.json", b"[" * 5000), "estimator.json is damaged"),
        (written("estimator.safetensors", b"no tensors"), "estimator.safetensors is damaged"),
        (written("estimator.json", b"[]"), "the estimator has format None"),
        (rewritten(format_version=2), "the estimator has format 2, this version reads format 1"),
        (with_tensors, "the set of weights is not the one that the estimator was trained with"),
        (with_rendering, "the rendering is not the one that the estimator was trained with"),
        (with_rules, "the record is not the one that the estimator was trained with"),
        (with_body, "the record is not the one that the estimator was trained with"),
        (rewritten(body={"kind": "probe", "choices": []}), "the record is not"),
        (rewritten(body={"kind": "oracle"}), "the estimator's record is incomplete ('oracle')"),
        (with_senseless_rules, "the estimator's record does not hold together"),
        (with_instrument, "the estimator's record is incomplete"),
        (without_settings, "the estimator's record is incomplete ('settings')"),
    ],
)
def test_a_damaged_model_is_refused_with_a_sentence_that_says_what(
    score, chats, tiny_run, tmp_path, damage, sentence
):
    model = shutil.copytree(tiny_run / "model", tmp_path / "model")
    damage(model)
    outcome = score(chats(said("ada", 1, 0)), "--model", model, "--out", tmp_path / "scores.jsonl")
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert sentence in outcome.stderr
    assert outcome.stderr.count("\n") == 1
    assert not (tmp_path / "scores.jsonl").exists()


@pytest.fixture(scope="module")
def movable(tmp_path_factory, tiny_qwen):
    """A run whose backbone stands in a folder of its own, to be exchanged."""
    folder = tmp_path_factory.mktemp("movable")
    recipes.write_people(folder)
    shutil.copytree(tiny_qwen, folder / "backbone")
    return train(recipes.write_recipe(folder, "backbone"), folder / "run").folder


@pytest.fixture
def backbone(movable, tiny_qwen):
    folder = movable.parent / "backbone"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(tiny_qwen, folder)


def test_other_backbone_weights_are_refused(score, chats, movable, backbone, tmp_path):
    other = tiny.save_qwen(tmp_path / "other", seed=5)
    shutil.copyfile(other / "model.safetensors", backbone / "model.safetensors")
    outcome = score(chats(said("ada", 1, 0)), "--model", movable)
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert "the set of backbone weights is not the one that the" in outcome.stderr


def test_another_tokenizer_is_refused(score, chats, movable, backbone):
    whole = json.loads((backbone / "tokenizer.json").read_text("utf-8"))
    whole["model"]["merges"] = whole["model"]["merges"][:5]
    (backbone / "tokenizer.json").write_text(json.dumps(whole), "utf-8")
    outcome = score(chats(said("ada", 1, 0)), "--model", movable)
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert "the tokenizer is not the one that the estimator was trained with" in outcome.stderr


def test_a_backbone_that_is_gone_is_named(score, chats, movable, backbone):
    shutil.rmtree(backbone)
    outcome = score(chats(said("ada", 1, 0)), "--model", movable)
    assert outcome.exit_code == 1
    assert f"{backbone}: no such folder" in outcome.stderr


def test_a_whole_model_scores_after_its_backbone_is_back(score, chats, movable):
    assert len(lines(score(chats(said("ada", 1, 0)), "--model", movable))) == 1
