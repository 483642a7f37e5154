"""The page: a report's sections laid out by templates into one self-contained HTML file.

Owns the head of the page and the environment of the templates. Does not know what a section says;
text from the caller is escaped by the templates.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sottovoce.errors import require
from sottovoce.report.checklists import Checklist
from sottovoce.report.content import Report
from sottovoce.report.outline import sections
from sottovoce.report.results import lead
from sottovoce.report.section import Section

TEMPLATES = Path(__file__).parent / "templates"


def write_report(path: str | Path, report: Report, checklists: Sequence[Checklist] = ()) -> Path:
    """Write a report as one HTML file that needs no network.

    Parameters
    ----------
    path
        Where the file goes; what stands there is replaced.
    report
        What it shows.
    checklists
        Reporting checklists to show with it.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    MissingExtraError
        If matplotlib or jinja2 is not installed.
    """
    text = page(report, sections(report, checklists))
    path = Path(path)
    unfinished = path.with_name(path.name + ".partial")
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def page(report: Report, shown: Sequence[Section]) -> str:
    """Lay sections out as a page."""
    jinja2 = require("jinja2", what="writing the report", extra="report")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["chance"] = chance
    context: dict[str, Any] = {
        "report": report,
        "sections": shown,
        "lead": lead(report.evaluation),
        "facts": _facts(report),
        "running": css_text(" · ".join((report.title, *report.evaluation.model_ids))),
    }
    text: str = environment.get_template("report.html.j2").render(**context)
    return text


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


def css_text(text: str) -> str:
    """Write text so that it can stand between quotes in a style sheet, whatever is in it."""
    return "".join(
        each if each.isascii() and each.isalnum() else f"\\{ord(each):06x}" for each in text
    )


def chance(probability: float) -> str:
    """Write a probability in whole per cent; one that rounds to certainty is not certain."""
    if round(100 * probability) in (0, 100) and 0 < probability < 1:
        return "< 1%" if probability < 0.5 else "> 99%"
    return f"{probability:.0%}"
