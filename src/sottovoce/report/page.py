"""The page: a report's content laid out by a template into one self-contained HTML file.

Owns which section appears and the sentences with numbers in them. Does not compute metrics; text
from the caller is escaped by the template.
"""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from sottovoce.errors import require
from sottovoce.evaluation import Evaluation
from sottovoce.evaluation.record import auc_key, metric_title
from sottovoce.metrics import Figure
from sottovoce.report import charts
from sottovoce.report.content import Example, Report
from sottovoce.report.forest import predictors
from sottovoce.report.gauge import gauge

TEMPLATES = Path(__file__).parent / "templates"

PANELS = {
    "mae": "MAE (points), lower is better",
    "r": "Pearson r, higher is better",
}
"""Metric to the title of its figure in the comparison of predictors."""

LIMITS = (
    (
        "An estimate supports a clinician; it is never a diagnosis, and it replaces neither a "
        "questionnaire nor a conversation."
    ),
    (
        "A total cannot clear suicide risk: a low estimate says nothing about safety. Risk "
        "language needs its own, faster path."
    ),
    (
        "The figures hold for people and conversations like those of this cohort. Another app, "
        "language or population needs an evaluation of its own."
    ),
    "The questionnaire itself is a noisy yardstick: part of every error here is its own.",
)
"""What every report says, whatever it found."""


def write_report(path: str | Path, report: Report) -> Path:
    """Write a report as one HTML file that needs no network.

    Parameters
    ----------
    path
        Where the file goes; what stands there is replaced.
    report
        What it shows.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    MissingExtraError
        If matplotlib or jinja2 is not installed.
    """
    jinja2 = require("jinja2", what="writing the report", extra="report")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    drawn = {name: jinja2.utils.markupsafe.Markup(svg) for name, svg in _drawings(report).items()}
    text = environment.get_template("report.html.j2").render(**_context(report), drawn=drawn)
    path = Path(path)
    unfinished = path.with_name(path.name + ".partial")
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def _context(report: Report) -> dict[str, Any]:
    evaluation = report.evaluation
    return {
        "report": report,
        "evaluation": evaluation,
        "level": f"{evaluation.settings.level:.0%}",
        "screening": auc_key(evaluation.instrument.screening_cut_off),
        "lead": _lead(evaluation),
        "tiles": _tiles(evaluation),
        "facts": _facts(report),
        "title_of": metric_title,
        "limits": (*LIMITS, *report.limits),
        "people_of": _people,
        "chances": _chances,
    }


def _drawings(report: Report) -> dict[str, str]:
    """Draw the figures that have something to show."""
    evaluation, points = report.evaluation, report.evaluation.points
    errors = [row.figures["mae"] for row in evaluation.bands]
    covered = [row.figures["coverage"] for row in evaluation.bands if "coverage" in row.figures]
    curve = [row.coverage for row in evaluation.calibration]
    wanted: list[tuple[str, bool, Callable[[], str]]] = [
        (
            "scatter",
            points is not None,
            lambda: "" if points is None else charts.scatter(evaluation, points),
        ),
        ("error", _any(errors), lambda: charts.error_by_band(evaluation)),
        (
            "auc",
            _any([row.auc for row in evaluation.cut_offs]),
            lambda: charts.auc_by_cut_off(evaluation),
        ),
        ("calibration", len(curve) > 1 and _any(curve), lambda: charts.calibration(evaluation)),
        ("coverage", _any(covered), lambda: charts.coverage_by_band(evaluation)),
    ]
    comparison = report.comparison
    if comparison is not None:
        shown = _any([row.figures["mae"] for row in comparison.rows])
        for key, title in PANELS.items():
            draw = partial(predictors, comparison, key, title)
            wanted.append((f"predictors-{key}", shown, draw))
    drawn = {name: draw() for name, present, draw in wanted if present}
    for number, example in enumerate(report.examples):
        name = f"person-{number}"
        drawn[name] = gauge(example, evaluation.instrument, name)
    return drawn


def _any(figures: list[Figure]) -> bool:
    return any(figure.computed for figure in figures)


def _lead(evaluation: Evaluation) -> str:
    """Give the result in one sentence."""
    error, used = evaluation.figures["mae"], evaluation.instrument
    if error.value is None:
        return f"The error could not be computed: {error.reason}."
    bounds = ""
    if error.lower is not None and error.upper is not None:
        level = f"{evaluation.settings.level:.0%}"
        bounds = f" ({level} interval {error.lower:.1f} to {error.upper:.1f})"
    return (
        f"On average an estimate lies {error.value:.1f} points{bounds} from the {used.title} "
        f"total that the person reported, on a scale from {used.minimum} to {used.maximum} "
        f"(n = {error.n})."
    )


def _tiles(evaluation: Evaluation) -> list[tuple[str, Figure]]:
    """Choose the four figures that open the report."""
    screening = evaluation.instrument.screening_cut_off
    chosen = {
        "mae": "Mean absolute error, points",
        "r": "Pearson r",
        auc_key(screening): f"AUC at ≥ {screening}",
    }
    if evaluation.coverage is not None:
        chosen["coverage"] = f"Coverage of {evaluation.coverage:.0%} intervals"
    return [
        (title, evaluation.figures[key])
        for key, title in chosen.items()
        if key in evaluation.figures
    ]


def _facts(report: Report) -> list[tuple[str, str]]:
    """Say what was evaluated, in pairs of name and value."""
    evaluation = report.evaluation
    facts = []
    if evaluation.model_ids:
        facts.append(("Model", ", ".join(evaluation.model_ids)))
    if report.cohort:
        facts.append(("Cohort", report.cohort))
    facts.append(("Questionnaire", evaluation.instrument.title))
    facts.append(("People", str(evaluation.n_people)))
    facts.append(("Estimates scored", f"{evaluation.n_scored} of {evaluation.n_rows}"))
    if report.period is not None:
        first, last = (_day(moment) for moment in report.period)
        facts.append(("Questionnaires filled in", first if first == last else f"{first} to {last}"))
    if report.provenance.made_at is not None:
        facts.append(("Report made", _day(report.provenance.made_at)))
    return facts


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"


def _chances(example: Example) -> list[tuple[int, str]]:
    return [(cut, _chance(chance)) for cut, chance in sorted(example.estimate.p_at_least.items())]


def _chance(chance: float) -> str:
    """Write a probability in whole per cent; one that rounds to certainty is not certain."""
    if round(100 * chance) in (0, 100) and 0 < chance < 1:
        return "< 1%" if chance < 0.5 else "> 99%"
    return f"{chance:.0%}"
