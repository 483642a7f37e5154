"""The sections on whether a result can be trusted: leaks and shortcuts, disturbed texts, groups.

Owns their words and tables. Does not compute or judge anything (`evaluation`).
"""

from collections.abc import Mapping

from sottovoce.evaluation import Evaluation, Gap, GroupTable, Robustness
from sottovoce.evaluation.record import METRIC_TITLES, metric_title
from sottovoce.evaluation.suite import STATUSES, Suite
from sottovoce.report import forest
from sottovoce.report.content import Report
from sottovoce.report.naming import difference_column, metric_column, short_title
from sottovoce.report.results import level_of
from sottovoce.report.section import Abreast, Block, Drawing, Heading, Section, Words
from sottovoce.report.table import Cell, Column, Row, Table, file_names

FIRST = ("fnr", "mae", "bias", "r")
"""What a table by group begins with: the missed cases, then the errors."""

SECOND_RANK = ("rmse", "width", "spearman", "ccc", "r_corrected", "slope", "r2", "qwk", "crps")
"""Metrics that are told of everybody and would make a table by group unreadable."""


def suite(report: Report) -> Section | None:
    """Give what was done to find out whether the result is a false one."""
    found = report.suite
    if found is None or not found.checks:
        return None
    counts = [sum(check.status == each for check in found.checks) for each in STATUSES]
    told = ", ".join(f"{count} {name}" for count, name in zip(counts, STATUSES, strict=True))
    rows = tuple(
        Row(check.title, (check.status, check.why), key=check.key) for check in found.checks
    )
    columns = (Column("status", "Finding", "status"), Column("why", "Why", "text"))
    caption = f"{len(found.checks)} checks: {told}. A warning is also what could not be looked at."
    title = "Leaks and shortcuts"
    blocks: list[Block] = [
        Words(
            "Could a good result be a false one? Each row looks for one way in which a model can "
            "be right for a wrong reason, or in which the test can give the answers away."
        ),
        Table("leaks", title, caption, "Looked at", columns, rows, "words"),
        *_numbers(found, level_of(report.evaluation)),
        *(Words(note, quiet=True) for note in found.notes),
    ]
    return Section("leaks", title, title, tuple(blocks))


def _numbers(found: Suite, level: str) -> list[Table]:
    """Give the figures behind the checks, which their sentences round."""
    rows = tuple(
        Row(_named(key), (figure, figure.n), group=check.title, key=f"{check.key}.{key}")
        for check in found.checks
        for key, figure in check.figures.items()
    )
    if not rows:
        return []
    columns = (Column("value", "Value"), Column("n", "n"))
    title, caption = "The numbers behind the checks", f"Figures that decided, {level} intervals."
    return [Table("leaks-numbers", title, caption, "Figure", columns, rows, "inline", folded=True)]


def _named(key: str) -> str:
    """Name a figure by what tables call it, or by its key in words."""
    known = key in METRIC_TITLES or key.startswith("auc_")
    return metric_title(key) if known else key.replace("_", " ")


SHIFTS = {
    "moved": Column("moved", "Mean size of change"),
    "change": Column("change", "Mean change", "difference"),
    "crossed": Column("crossed", "Cross the cut-off"),
    "mae_change": Column("mae_change", "MAE, change", "difference"),
}
"""Figure of a disturbance to its column."""


def robustness(report: Report) -> Section | None:
    """Give how far estimates move when texts are disturbed."""
    found, level = report.robustness, level_of(report.evaluation)
    if found is None or not found.shifts:
        return None
    drawn = any(
        figure.computed
        for row in found.shifts
        for key, figure in row.figures.items()
        if key in ("moved", "change")
    )
    told = (
        f"How far estimates of the same people move, in points ({level} intervals). Above 0 the "
        "mean change raises the estimate."
    )
    blocks: list[Block] = [
        Words(
            "How far does an estimate move when the text changes in a way that should not matter?"
        ),
        *([Abreast((Drawing(forest.shifts(found), told),))] if drawn else []),
        _shifts(found, report.evaluation),
        *(Words(note, quiet=True) for note in found.notes),
    ]
    title = "Does a small change of the text move it?"
    return Section("robustness", title, "Disturbed texts", tuple(blocks))


def _shifts(found: Robustness, evaluation: Evaluation) -> Table:
    keys = [key for key in SHIFTS if any(key in row.figures for row in found.shifts)]
    rows = tuple(
        Row(
            row.title,
            (row.n, row.abstained, *(row.figures.get(key) for key in keys)),
            (row.note,) if row.note else (),
            key=row.key,
        )
        for row in found.shifts
    )
    caption = (
        f"Change of the estimate in points, {level_of(evaluation)} intervals beneath; the cut-off "
        f"is {evaluation.instrument.screening_cut_off}. n: rows whose text was changed; "
        "abstained: those that the model then does not score. Bold: the interval leaves out 0."
    )
    columns = (Column("n", "n"), Column("abstained", "Abstained"), *(SHIFTS[key] for key in keys))
    return Table("robustness", "Disturbed texts", caption, "Disturbance", columns, rows)


def groups(report: Report) -> Section | None:
    """Give the metrics within groups of people and the gaps between them."""
    evaluation = report.evaluation
    if not evaluation.groups:
        return None
    level, least = level_of(evaluation), evaluation.settings.minimum
    caution = (
        "The p values of the gaps are adjusted for how many gaps were looked at (Holm)."
        if _has_gaps(evaluation)
        else "Differences between groups are not tested here: with this many comparisons some "
        "will look large by chance."
    )
    words = (
        "Does the model serve everybody alike? The same metrics within groups, with "
        f"{level} intervals. Groups of fewer than {least} people are suppressed. {caution}"
    )
    blocks: list[Block] = [Words(words), *_gaps(evaluation)]
    names = file_names("groups", [table.column for table in evaluation.groups])
    for name, table in zip(names, evaluation.groups, strict=True):
        blocks += _group_table(table, name, evaluation)
    blocks += [Words(note, quiet=True) for note in evaluation.notes]
    return Section("groups", "Groups of people", "Groups", tuple(blocks))


def _group_table(table: GroupTable, name: str, evaluation: Evaluation) -> list[Block]:
    shown = [row for row in table.rows if row.people is not None]
    hidden = [row for row in table.rows if row.people is None]
    blocks: list[Block] = [Heading(table.column)]
    if shown:
        keys = _group_keys(list(shown[0].figures))
        note = f"; {table.note}" if table.note else ""
        rows = tuple(
            Row(row.label, (row.people, row.abstained, *(row.figures[key] for key in keys)))
            for row in shown
        )
        columns = (
            Column("people", "People"),
            Column("abstained", "Abstained"),
            *map(metric_column, keys),
        )
        caption = f"By {table.column}, with {level_of(evaluation)} intervals{note}."
        blocks.append(Table(name, f"Groups by {table.column}", caption, "Group", columns, rows))
    if hidden:
        why = next(iter(hidden[0].figures.values())).reason or ""
        listed = "; ".join(row.label for row in hidden)
        blocks.append(Words(f"{why.capitalize()}. These are: {listed}.", quiet=True))
    return blocks


def _group_keys(keys: list[str]) -> list[str]:
    """Choose the metrics of a table by group, the missed cases first."""
    kept = [key for key in keys if key not in SECOND_RANK]
    return sorted(kept, key=lambda key: FIRST.index(key) if key in FIRST else len(FIRST))


def _has_gaps(evaluation: Evaluation) -> bool:
    return any(row.gaps for table in evaluation.groups for row in table.rows)


def _gaps(evaluation: Evaluation) -> list[Block]:
    """Give how far each group is from everybody else, drawn and as a table."""
    keys = dict.fromkeys(
        key for table in evaluation.groups for row in table.rows for key in row.gaps
    )
    if not keys:
        return []
    level = level_of(evaluation)
    told = (
        f"The group minus everybody else, with {level} intervals; diamonds: adjusted p below "
        f"{1 - evaluation.settings.level:.2g}."
    )
    drawn = [
        Drawing(forest.gaps(evaluation, key, f"{short_title(key)}, gap to the rest"), told)
        for key in keys
        if forest.gaps_of(evaluation, key)
    ]
    columns = [
        column
        for key in keys
        for column in (
            difference_column(key, "gap", "gap"),
            Column(f"{key}_p", "p", "p", 3),
            Column(f"{key}_p_adjusted", "p, adjusted", "p", 3),
        )
    ]
    rows = tuple(
        Row(row.label, _gap_cells(row.gaps, list(keys)), group=table.column)
        for table in evaluation.groups
        for row in table.rows
        if row.gaps
    )
    title = "Gaps to everybody else"
    caption = (
        f"The group minus everybody else, with its {level} interval beneath. Bold: the interval "
        "leaves out 0, before any adjustment."
    )
    table = Table("groups-gaps", title, caption, "Group", tuple(columns), rows)
    return [Heading(title), *([Abreast(tuple(drawn))] if drawn else []), table]


def _gap_cells(gaps: Mapping[str, Gap], keys: list[str]) -> tuple[Cell, ...]:
    found: list[Cell] = []
    for key in keys:
        gap = gaps.get(key)
        found += [None] * 3 if gap is None else [gap.difference, gap.p, gap.adjusted]
    return tuple(found)
