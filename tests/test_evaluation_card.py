from dataclasses import replace

import pytest
import yaml
from huggingface_hub import EvalResult, ModelCard
from huggingface_hub.repocard_data import eval_results_to_model_index
from tests import corpora, made

from sottovoce.datasets import open_dataset
from sottovoce.evaluation import Check, Robustness, Shift, Suite, evaluate
from sottovoce.evaluation_card import write_evaluation_card
from sottovoce.metrics import Figure
from sottovoce.report import Report

NASTY = "a|b <script> *x*\n# no"


@pytest.fixture(scope="module")
def report():
    return made.report()


@pytest.fixture
def card(tmp_path):
    def write(report, dataset=None):
        return write_evaluation_card(tmp_path / "MODEL_CARD.md", report, dataset)

    return write


def results(path) -> list[EvalResult]:
    return ModelCard.load(path).data.eval_results


def test_the_hub_reads_the_figures_as_they_were_measured(card, report):
    found = results(card(report, open_dataset("bundled")))
    by_name = {each.metric_name: each for each in found}
    mae = report.evaluation.figures["mae"]
    read = by_name["Mean absolute error (points)"]
    assert (read.metric_type, read.metric_value) == ("mae", mae.value)
    assert read.metric_args == {"n": mae.n, "lower": mae.lower, "upper": mae.upper, "level": 0.95}
    assert by_name["Pearson r"].metric_type == "pearsonr"
    assert (read.dataset_type, read.dataset_name) == ("bundled", "dialogues (simulated)")
    assert (read.dataset_split, read.task_type) == ("test", "text-classification")


def test_every_cut_off_is_an_auc_with_its_cases(card, report):
    aucs = [each for each in results(card(report)) if each.metric_type == "roc_auc"]
    rows = [row for row in report.evaluation.cut_offs if row.auc.computed]
    assert [each.metric_args["cut_off"] for each in aucs] == [row.cut_off for row in rows]
    assert [each.metric_args["positives"] for each in aucs] == [row.positives for row in rows]
    assert [each.metric_value for each in aucs] == [row.auc.value for row in rows]


def test_what_the_hub_would_write_again_is_the_same(card, report):
    path = card(report)
    data = ModelCard.load(path).data
    matter = yaml.safe_load(path.read_text("utf-8").split("---\n")[1])
    assert eval_results_to_model_index(data.model_name, data.eval_results) == matter["model-index"]
    assert matter["tags"] == ["depression-severity", "phq-9", "simulated-data-yes"]


def test_the_body_has_use_figures_groups_and_limits(card, report):
    text = card(report).read_text("utf-8")
    titles = [line for line in text.splitlines() if line.startswith("## ")]
    assert titles == [
        "## Intended use",
        "## Not for",
        "## Results",
        "## Telling cases apart",
        "## By group",
        "## How to repeat it",
        "## Limits",
    ]
    assert "it never diagnoses" in text
    assert "60 people, 60 questionnaires of made-up people; 54 scored, 6 abstained" in text
    assert "| rare: few | under 10 | – | – | – |" in text
    assert "| gender: woman | 40 | " in text
    assert "- The people are few." in text
    assert "**Simulated people; never evidence of clinical accuracy.**" in text


def test_checks_and_disturbances_are_shown_where_they_were_made(card, report):
    suite = Suite((Check("length", "Length alone", "warn", "r .30 by length alone"),))
    moved = Robustness((Shift("typos", "Typing errors", 9, 0, {"moved": Figure(0.7, n=9)}),))
    text = card(replace(report, suite=suite, robustness=moved)).read_text("utf-8")
    assert "| Length alone | warn | r .30 by length alone |" in text
    assert "| Typing errors | 9 | 0.70 (n = 9) |" in text


def test_remarks_of_the_data_are_limits_and_simulated_data_are_called_so(card, report, tmp_path):
    data = open_dataset("dep-wor", corpora.dep_wor(tmp_path, ("0.0", "25.0", "3")))
    text = card(replace(report, simulated=False), data).read_text("utf-8")
    assert "simulated-data-no" in text
    assert "- The questions ask about depression and worry" in text
    simulated = card(replace(report, simulated=False), open_dataset("bundled"))
    assert "simulated-data-yes" in simulated.read_text("utf-8")


def test_text_of_the_caller_stays_in_its_place(card, report):
    text = card(replace(report, cohort=NASTY, limits=(NASTY,))).read_text("utf-8")
    assert "<script>" not in text.partition("\n# ")[2]
    assert "\n# no" not in text
    assert results(card(replace(report, cohort=NASTY)))[0].dataset_name == NASTY


def test_estimates_of_nobody_or_of_several_are_called_after_the_report(card):
    totals, estimates, users = made.cohort(20)
    plain = evaluate(totals, [each.score for each in estimates], users, instrument="phq-9")
    assert "\n# Somebody's scores\n" in card(Report("Somebody's scores", plain)).read_text("utf-8")


def test_figures_that_could_not_be_computed_are_not_in_the_index(card):
    totals, estimates, users = made.cohort(5)
    few = Report("Five people", evaluate(totals, estimates, users, instrument="phq-9"))
    text = card(few).read_text("utf-8")
    assert "model-index" not in text
    assert "not computed: too few people" in text
