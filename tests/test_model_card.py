import dataclasses
import json

import pytest
from tests import made

from sottovoce.estimator import Estimator
from sottovoce.evaluation import evaluate
from sottovoce.model_card import write_model_card


@pytest.fixture
def card(tmp_path, tiny_run):
    def write(*, simulated=False, rows=60, **changes):
        estimator = Estimator.from_pretrained(tiny_run)
        artefact = dataclasses.replace(
            estimator.artefact, settings=dataclasses.replace(estimator.settings, **changes)
        )
        totals, estimates, users = made.cohort(rows)
        evaluation = evaluate(totals, estimates, users, instrument="phq-9")
        path = tmp_path / "MODEL_CARD.md"
        write_model_card(path, Estimator(artefact), evaluation, simulated=simulated)
        return path.read_text("utf-8"), evaluation

    return write


def test_the_card_of_a_run_shows_the_run(tiny_run):
    card = (tiny_run / "MODEL_CARD.md").read_text("utf-8")
    estimator = Estimator.from_pretrained(tiny_run)
    best, *_ = choices = estimator.artefact.body.choices
    assert f"# {estimator.model_id}\n" in card
    assert (
        f"mean of {len(choices)} ridge regressions: layer {best.layer}, mean, {best.penalty:g}; "
        in card
    )
    assert "24 people, 24 windows." in card
    mae = json.loads((tiny_run / "metrics.json").read_text())["out_of_fold"]["metrics"]["mae"]
    assert f"| mae | {mae['value']:.2f} [{mae['lower']:.2f}, {mae['upper']:.2f}]" in card


def test_the_card_begins_with_front_matter(card):
    text, _ = card()
    opening, matter, _ = text.split("---\n", 2)
    assert opening == ""
    assert "library_name: sottovoce" in matter
    assert "tags: [depression-severity, phq-9, simulated-data-no]" in matter


def test_every_metric_is_a_row(card):
    text, evaluation = card()
    for key, figure in evaluation.figures.items():
        assert f"| {key} | {figure.text()} |" in text


def test_a_metric_that_could_not_be_computed_says_why(card):
    text, evaluation = card(rows=5)
    assert not evaluation.figures["mae"].computed
    assert "| mae | not computed: too few people (5, at least 10 are needed) |" in text


def test_simulated_people_are_called_simulated(card):
    note = "**Simulated people; never evidence of clinical accuracy.**"
    text, _ = card(simulated=True)
    assert note in text
    assert "simulated-data-yes" in text
    assert note not in card(simulated=False)[0]


def test_the_card_says_that_it_never_diagnoses(card):
    text, _ = card()
    assert "it never diagnoses" in text
    assert "cannot clear suicide risk" in text


@pytest.mark.parametrize(
    ("backbone", "shown"),
    [
        ("/home/somebody/models/mine", "| backbone | mine ("),
        ("Qwen/Qwen3.5-27B", "| backbone | Qwen/Qwen3.5-27B ("),
        ("smollm2-135m", "| backbone | smollm2-135m ("),
    ],
)
def test_a_backbone_is_named_without_the_machine_it_lay_on(card, tiny_run, backbone, shown):
    settings = Estimator.from_pretrained(tiny_run).settings
    text, _ = card(backbone=dataclasses.replace(settings.backbone, name=backbone))
    assert shown in text
    assert "/home" not in text


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("remove", "removed"),
        ("flag", "kept and counted"),
        ("exclude", "window excluded"),
    ],
)
def test_what_becomes_of_leaks_is_said(card, tiny_run, policy, said):
    rules = dataclasses.replace(Estimator.from_pretrained(tiny_run).rules, leaks=policy)
    assert f"| questionnaire wording in the chat | {said} |" in card(rules=rules)[0]


def test_the_card_of_a_fine_tuning_says_what_was_trained(tuned_run):
    card = (tuned_run / "MODEL_CARD.md").read_text("utf-8")
    estimator = Estimator.from_pretrained(tuned_run)
    assert f"# {estimator.model_id}\n" in card
    assert "| body | LoRA of rank 4 (" in card
    assert "a head on the user_mean state for the total, huber loss |" in card
    assert "neither the study's weights nor its data" in card
    assert "When to stop was chosen by other people" in card
    assert "probe" not in card


def test_the_card_of_a_probe_says_that_it_is_not_the_study_s_model(card):
    text, _ = card()
    assert "a frozen backbone and a linear probe, not the study's fine-tuned 27B model" in text
    assert "These people chose layer and penalty." in text
