"""The sections that set predictors side by side: others on the same rows, stages of a training.

Owns their words and tables. Does not compute differences (`evaluation`, `ablation`).
"""

from sottovoce.ablation import Ablation, AblationRow
from sottovoce.evaluation import Comparison
from sottovoce.evaluation.record import auc_key
from sottovoce.report import forest
from sottovoce.report.content import Report
from sottovoce.report.naming import any_computed, difference_column, metric_column, people
from sottovoce.report.results import level_of
from sottovoce.report.section import Abreast, Block, Drawing, Section, Words
from sottovoce.report.table import Cell, Column, Row, Table, file_names

PANELS = {
    "mae": "MAE (points), lower is better",
    "r": "Pearson r, higher is better",
}
"""Metric to the title of its figure; their differences stand in the table."""

CLEAR = "Bold: the interval of the difference leaves out 0."


def comparison(report: Report) -> Section | None:
    """Give the predictors on the same rows."""
    found = report.comparison
    if found is None:
        return None
    left_out = (
        f"; {found.n_left_out} on which one of them abstained are left out"
        if found.n_left_out
        else ""
    )
    words = (
        f"Is it better than simpler ways? All predictors on the same {found.n} questionnaires of "
        f"{people(found.n_people)}{left_out}. Differences are paired: both predictors on the same "
        "resamples of people. A negative difference in MAE and a positive one in r mean better "
        f"than {found.reference}."
    )
    blocks: list[Block] = [Words(words)]
    if any_computed(row.figures["mae"] for row in found.rows):
        told = (
            f"{level_of(report.evaluation)} intervals, n = {found.n}; in colour: {found.reference}."
        )
        drawn = [
            Drawing(forest.predictors(found, key, title), told) for key, title in PANELS.items()
        ]
        blocks.append(Abreast(tuple(drawn)))
    blocks.append(_predictors(found, report))
    return Section("comparison", "Predictors compared", "Predictors compared", tuple(blocks))


def _predictors(found: Comparison, report: Report) -> Table:
    keys = list(found.rows[0].figures)
    columns = [metric_column(key) for key in keys]
    columns += [difference_column(key, "difference", "difference") for key in PANELS]
    rows = []
    for row in found.rows:
        gaps: list[Cell] = [row.differences.get(key, "reference") for key in PANELS]
        remarks = [report.predictor_notes.get(row.name, "")]
        remarks += [f"abstained on {row.abstained}"] if row.abstained else []
        rows.append(
            Row(
                row.name,
                (*(row.figures[key] for key in keys), *gaps),
                tuple(filter(None, remarks)),
                marked=row.name == found.reference,
            )
        )
    caption = (
        f"Value with its {level_of(report.evaluation)} interval beneath; n = {found.n} in each "
        f"cell. {CLEAR}"
    )
    return Table(
        "predictors", "Predictors compared", caption, "Predictor", tuple(columns), tuple(rows)
    )


def ablation(report: Report) -> Section | None:
    """Give the stages of the training on the same rows."""
    found = report.ablation
    if found is None:
        return None
    words = (
        f"What did each stage of the training add? Every stage on the same {found.n} "
        f"questionnaires of {people(found.n_people)}. Differences are paired: both stages on the "
        "same resamples of people. A negative difference in MAE and a positive one in r mean "
        "better. A pseudolabel is no questionnaire: none of these people has one, and no error is "
        "measured on one."
    )
    level = level_of(report.evaluation)
    blocks = (Words(words), _stages(found, level), _stage_cut_offs(found, level))
    return Section("ablation", "Stages of the training", "Stages", blocks)


def _stages(found: Ablation, level: str) -> Table:
    keys = ("mae", "rmse", "r", auc_key(found.instrument.screening_cut_off))
    columns = (
        Column("n_questionnaires", "Questionnaires"),
        Column("n_pseudolabels", "Pseudolabels"),
        Column("effective_n", "Effective n", digits=0),
        *map(metric_column, keys),
        difference_column("mae", "to_before", "to the stage before"),
        difference_column("mae", "to_first", "to the first"),
        difference_column("r", "to_first", "to the first"),
    )
    rows = tuple(
        Row(
            row.name,
            (
                row.made_of["n_questionnaires"],
                row.made_of["n_pseudolabels"],
                float(row.made_of["effective_n"]),
                *(row.figures[key] for key in keys),
                *_gaps(row),
            ),
            row.notes,
        )
        for row in found.rows
    )
    caption = f"Value with its {level} interval beneath; n = {found.n} in each cell. {CLEAR}"
    return Table("stages", "Stages of the training", caption, "Stage", columns, rows)


def _gaps(row: AblationRow) -> tuple[Cell, ...]:
    if not row.to_before:
        return ("first",) * 3
    return row.to_before["mae"], row.to_first["mae"], row.to_first["r"]


def _stage_cut_offs(found: Ablation, level: str) -> Table:
    """Give a row a cut-off and a column a stage: there are many more cut-offs than stages."""
    names = [row.name for row in found.rows]
    keys = [each.replace("-", "_") for each in file_names("auc", names)]
    columns = tuple(map(Column, keys, names))
    rows = tuple(
        Row(f"≥ {key.removeprefix('auc_')}", tuple(row.figures[key] for row in found.rows), key=key)
        for key in found.cut_off_keys
    )
    title = "AUC of each stage at every cut-off"
    caption = f"{title}, with its {level} interval; n = {found.n}."
    return Table("stages-cut-offs", title, caption, "Total", columns, rows, "inline", folded=True)
