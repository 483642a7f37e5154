"""The sections that account for the rest: people shown, who is counted, limits, checklists, origin.

Owns their words and tables. Does not fill in a checklist (`checklists`).
"""

from collections.abc import Mapping, Sequence

from sottovoce.report.checklists import Checklist
from sottovoce.report.content import Report
from sottovoce.report.gauge import gauge
from sottovoce.report.naming import people
from sottovoce.report.results import level_of
from sottovoce.report.section import (
    Block,
    Commands,
    Drawing,
    People,
    Points,
    Section,
    Words,
)
from sottovoce.report.table import Column, Row, Table, slug

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

FEW = {1: "One person", 2: "Two people", 3: "Three people"}
OPEN = "for the authors"


def persons(report: Report) -> Section | None:
    """Show a few people."""
    if not report.examples:
        return None
    used, count = report.evaluation.instrument, len(report.examples)
    items = tuple(
        (example, Drawing(gauge(example, used, f"person-{number}")))
        for number, example in enumerate(report.examples, 1)
    )
    return Section(
        "people", FEW.get(count) or people(count), "People", (People(items, used.title),)
    )


def accounting(report: Report) -> Section:
    """Say who is counted, and who is not and why."""
    evaluation, pairing = report.evaluation, report.pairing
    sentences = [
        f"{evaluation.n_rows} questionnaires of {people(evaluation.n_people)} are paired with an "
        f"estimate; {evaluation.n_scored} of the estimates carry a score and "
        f"{evaluation.n_abstained} abstained.",
        "Metrics rest on the scored ones"
        + (
            ", so they say nothing about the people on whom the model abstained."
            if evaluation.n_abstained
            else "."
        ),
    ]
    if evaluation.n_unlabelled:
        sentences.append(
            f"{evaluation.n_unlabelled} rows have no questionnaire total and are not used."
        )
    if evaluation.n_people < evaluation.n_rows:
        sentences.append("Some people have more than one row; intervals resample people, not rows.")
    blocks: list[Block] = [Words(" ".join(sentences))]
    counts: list[tuple[str, Mapping[str, int]]] = [("Abstained", evaluation.abstentions)]
    if pairing is not None:
        blocks.append(
            Words(
                "A questionnaire is held against that person's latest estimate that ends before "
                f"it, at most {pairing.look_back_days:g} days earlier."
            )
        )
        counts.append(("Questionnaires without an estimate", pairing.unmatched_labels))
        counts.append(("Estimates without a questionnaire", pairing.unmatched_scores))
    blocks += [_reasons(title, reasons) for title, reasons in counts if reasons]
    if not evaluation.groups:  # else they stand beside the tables by group
        blocks += [Words(note, quiet=True) for note in evaluation.notes]
    return Section("accounting", "Who is counted, and who is not", "Who is counted", tuple(blocks))


def _reasons(title: str, reasons: Mapping[str, int]) -> Table:
    rows = tuple(Row(reason, (count,)) for reason, count in reasons.items())
    return Table(slug(title), title, title, "Reason", (Column("count", "Count"),), rows, "narrow")


def limits(report: Report) -> Section:
    """List what the figures do not say."""
    return Section("limits", "Limits", "Limits", (Points((*LIMITS, *report.limits)),))


def reporting(checklists: Sequence[Checklist]) -> Section | None:
    """Give the reporting checklists, each folded until it is opened."""
    if not checklists:
        return None
    words = Words(
        "What do reviewers ask of a paper on such a model, and what of it does this run answer? "
        "An open item is for the authors: it is never made up."
    )
    return Section(
        "checklists",
        "Reporting checklists",
        "Checklists",
        (words, *map(checklist_table, checklists)),
    )


def checklist_table(checklist: Checklist) -> Table:
    """Give a checklist as a table: answered items and open ones, with the count."""
    rows = tuple(
        Row(
            row.number,
            (row.asks, "open" if row.answer is None else "answered", row.answer or OPEN),
            group=row.section,
            marked=row.answer is None,
        )
        for row in checklist.rows
    )
    return Table(
        f"checklist-{slug(checklist.key)}",
        f"{checklist.title}: {checklist.counted}",
        checklist.citation,
        "Item",
        (
            Column("asks", "Asks for", "text"),
            Column("state", "State", "word"),
            Column("answer", "This run", "text"),
        ),
        rows,
        "words",
        folded=True,
    )


def provenance(report: Report) -> Section:
    """Say how to repeat the report."""
    made, settings = report.provenance, report.evaluation.settings
    level = level_of(report.evaluation)
    blocks: list[Block] = [
        Words(
            f"Intervals at level {level} are over people: the bootstrap with {settings.resamples} "
            f"resamples and seed {settings.seed}, or the metric's own where it has one. Metrics "
            f"need at least {settings.minimum} people."
        )
    ]
    if made.commands:
        blocks.append(Commands(made.commands))
    records = [*made.versions.items(), *made.details.items()]
    if records:
        rows = tuple(Row(name, (value,)) for name, value in records)
        title, columns = "Versions and settings", (Column("value", "Value", "text"),)
        blocks.append(Table("versions", title, title, "Name", columns, rows, "narrow"))
    return Section("provenance", "Provenance", "Provenance", tuple(blocks))
