"""The model card of an evaluation: what one run found out about a model, whoever made it.

Owns its sentences and its figures in the form that the Hugging Face hub reads (`model-index`).
Does not compute, nor know how the model was made.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sottovoce.card import UNTESTED, Card, front_matter, table, write_card
from sottovoce.datasets import Dataset
from sottovoce.evaluation import Evaluation, Robustness, Suite
from sottovoce.evaluation.record import auc_key, metric_title
from sottovoce.metrics import Figure
from sottovoce.report import Report
from sottovoce.report.markdown import plain

_PURPOSE = """## Intended use
By people who are trained to judge it, beside a questionnaire and a conversation: to follow groups
of people over time, to find out whom to ask next, to study.

## Not for
Diagnosis, decisions without a person, judging risk of suicide or self-harm, insurance, work or
school, and people or languages other than those it was tested on."""

HUB_METRICS = {"r": "pearsonr", "spearman": "spearmanr"}
"""Key of a metric to the name that the Hugging Face hub has for it, where that is another; its
`mae` and ours are one. An AUC is `roc_auc` there, and its cut-off an argument."""

HUB_TASK = "text-classification"
"""The hub has no task for a number from a text; transformers files heads of one output here."""


def write_evaluation_card(path: Path, report: Report, dataset: Dataset | None = None) -> Path:
    """Write the card of a model as one evaluation found it, whoever made the model.

    Parameters
    ----------
    path
        Where it goes; what stands there is replaced.
    report
        The evaluation, and what was done beside it.
    dataset
        What it is on, where that is known; `datasheet` describes it.

    Returns
    -------
    Path
        The file.
    """
    found = report.evaluation
    used, model = found.instrument, _model_name(report)
    what = (
        f"Estimates the {used.title} total ({used.minimum}-{used.maximum} points) of a person "
        f"from what they wrote. This card says how it did on {plain(_data_name(report, dataset))}; "
        "what it is made of, the card of its training says."
    )
    simulated = report.simulated or (dataset is not None and dataset.simulated)
    if simulated:
        what += "\n\n**Simulated people; never evidence of clinical accuracy.**"
    middle = "\n\n".join((_PURPOSE, *_sections(report, dataset)))
    limits = [UNTESTED.format(""), ""]
    told = (*report.limits, *(() if dataset is None else dataset.remarks))
    limits += [f"- {plain(each)}" for each in dict.fromkeys(told)]
    matter = front_matter(used.key, simulated=simulated)
    if index := _model_index(model, report, dataset):
        matter["model-index"] = index
    write_card(path, Card(plain(model), what, middle, "\n".join(limits)), matter)
    return path


def _sections(report: Report, dataset: Dataset | None) -> Iterator[str]:
    found = report.evaluation
    counted = _counted(found, _data_name(report, dataset))
    yield _section("Results", counted, "", *_figures(found))
    if found.cut_offs:
        yield _section("Telling cases apart", *_cut_offs(found))
    if found.groups:
        yield _section("By group", *_groups(found))
    if report.suite is not None:
        yield _section("Leaks and shortcuts", *_checks(report.suite))
    if report.robustness is not None:
        yield _section("Disturbed texts", *_shifts(report.robustness))
    if commands := report.provenance.commands:
        listed = (each.replace("```", "") for each in commands)
        yield _section("How to repeat it", "```console", *listed, "```")


def _section(title: str, *lines: str) -> str:
    return "\n".join((f"## {title}", *lines))


def _counted(found: Evaluation, data: str) -> str:
    settings = found.settings
    said = f"{found.n_people} people, {found.n_rows} questionnaires of {plain(data)}; "
    said += f"{found.n_scored} scored, {found.n_abstained} abstained"
    if found.abstentions:
        said += f" ({', '.join(f'{n} {plain(why)}' for why, n in found.abstentions.items())})"
    return f"{said}. {settings.level:.0%} intervals over people."


def _figures(found: Evaluation) -> list[str]:
    rows = [(metric_title(key), figure.text()) for key, figure in found.figures.items()]
    return table(("metric", "value"), rows)


def _cut_offs(found: Evaluation) -> list[str]:
    rows = [
        (f"≥ {row.cut_off}", f"{row.positives} of {row.n}", row.auc.text())
        for row in found.cut_offs
    ]
    return table(("cut-off", "cases", "AUC"), rows)


def _groups(found: Evaluation) -> list[str]:
    wanted = ("fnr", "mae", "bias", auc_key(found.instrument.screening_cut_off))
    keys = [key for key in wanted if any(key in r.figures for t in found.groups for r in t.rows)]
    rows = []
    for cut in found.groups:
        for row in cut.rows:
            told = {} if row.people is None else row.figures
            people = f"under {found.settings.minimum}" if row.people is None else str(row.people)
            cells = [told[key].text() if key in told else "–" for key in keys]
            rows.append((f"{cut.column}: {row.label}", people, *cells))
    return table(("group", "people", *map(metric_title, keys)), rows)


def _checks(suite: Suite) -> list[str]:
    rows = [(check.title, check.status, check.why) for check in suite.checks]
    return table(("check", "found", "why"), rows)


def _shifts(robustness: Robustness) -> list[str]:
    rows = [
        (each.title, str(each.n), each.figures["moved"].text() if each.figures else "not done")
        for each in robustness.shifts
    ]
    return table(("what was done", "rows", "mean change of the estimate, points"), rows)


def _model_name(report: Report) -> str:
    """Give the model's id, or the report's title where nobody or several made the estimates."""
    models = report.evaluation.model_ids
    return models[0] if len(models) == 1 else report.title


def _data_name(report: Report, dataset: Dataset | None) -> str:
    return dataset.title if dataset is not None else report.cohort or "the data of this run"


def _model_index(model: str, report: Report, dataset: Dataset | None) -> list[dict[str, Any]]:
    """Give the figures that could be computed in the hub's form; nothing where there is none."""
    found = report.evaluation
    figures = {key: each for key, each in found.figures.items() if not key.startswith("auc_")}
    metrics = [_metric(key, figure, found) for key, figure in figures.items() if figure.computed]
    for row in found.cut_offs:
        if row.auc.computed:
            named = {"cut_off": row.cut_off, "positives": row.positives}
            metrics.append(_metric(f"auc_{row.cut_off}", row.auc, found, named))
    if not metrics:
        return []
    name = _data_name(report, dataset)
    kind = dataset.name if dataset is not None else name.lower().replace(" ", "-")
    data = {"type": kind, "name": name}
    if dataset is not None and dataset.parts:
        data["split"] = "test"
    task = {"type": HUB_TASK, "name": f"{found.instrument.title} total from conversation"}
    return [{"name": model, "results": [{"task": task, "dataset": data, "metrics": metrics}]}]


def _metric(
    key: str, figure: Figure, found: Evaluation, named: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Give a figure as the hub has it; interval and n are its arguments."""
    known = "roc_auc" if key.startswith("auc_") else HUB_METRICS.get(key, key)
    told: dict[str, Any] = {**(named or {}), "n": figure.n}
    if figure.lower is not None:
        told |= {"lower": figure.lower, "upper": figure.upper, "level": found.settings.level}
    return {"type": known, "value": figure.value, "name": metric_title(key), "args": told}
