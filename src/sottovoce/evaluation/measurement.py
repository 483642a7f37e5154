"""One set of estimates held against questionnaires: overall, by severity, cut-off and group.

Owns which metric is computed on which rows. Does not know the metrics' arithmetic (`metrics`) nor
how rows were paired (`pairing`).
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sottovoce.errors import DataError
from sottovoce.evaluation.groups import cut_column
from sottovoce.evaluation.predictions import UNSAID, Predictions, Scores
from sottovoce.evaluation.record import (
    DEFAULT,
    BandRow,
    CalibrationRow,
    CutOffRow,
    Evaluation,
    GroupRow,
    GroupTable,
    Settings,
)
from sottovoce.evaluation.table import Rows, Table, every_cut_off
from sottovoce.instruments import Instrument
from sottovoce.instruments import instrument as find_instrument
from sottovoce.metrics import (
    Figure,
    coverage,
    resample_people,
    width,
)
from sottovoce.metrics.columns import floats

Totals = Sequence[float | None] | NDArray[Any]


def evaluate(
    y_true: Totals,
    estimates: Scores | Predictions,
    users: Sequence[Hashable],
    groups: Mapping[str, Sequence[object]] | None = None,
    *,
    instrument: str | Instrument,
    settings: Settings = DEFAULT,
) -> Evaluation:
    """Judge estimates, from whatever model, against questionnaire totals.

    Parameters
    ----------
    y_true
        Questionnaire totals in points, length n; None where there is none (counted, not used).
    estimates
        Estimates, or plain scores in points (None is an abstention), or `Predictions`; length n.
    users
        Whose each row is, length n: the bootstrap draws people.
    groups
        Column name to one value per row, for tables by group.
    instrument
        The questionnaire, by key or as data.
    settings
        Resamples, seed, level, and the smallest number of people that is shown.

    Returns
    -------
    Evaluation
        Every figure with its interval and n, or "not computed" with the reason. A number that is
        not finite anywhere makes every metric "not computed": nothing is dropped in silence.

    Raises
    ------
    DataError
        If the columns differ in length or a total lies outside the instrument's range.

    Examples
    --------
    >>> totals, people = list(range(20)), [f"p{number}" for number in range(20)]
    >>> result = evaluate(totals, [total + 1.0 for total in totals], people, instrument="phq-9")
    >>> result.figures["mae"].text(), result.figures["auc_10"].number()
    ('1.00 [1.00, 1.00] (n = 20)', '1.00')
    """
    used = instrument if isinstance(instrument, Instrument) else find_instrument(instrument)
    predictions = Predictions.of(estimates)
    given: list[object] = list(y_true)
    _check(given, predictions, {"users": users, **(groups or {})}, used)
    labelled = np.array([total is not None for total in given], dtype=bool)
    owners = [user for user, keep in zip(users, labelled, strict=True) if keep]
    draws = resample_people(
        owners, count=settings.resamples, seed=settings.seed, level=settings.level
    )
    total = floats([each for each in given if each is not None])
    table = Table(used, total, predictions.take(labelled), draws, settings)
    tables, notes = _groups(table, groups or {}, labelled)
    everybody = np.ones(len(total), dtype=bool)
    return Evaluation(
        instrument=used,
        model_ids=predictions.model_ids,
        settings=settings,
        n_rows=len(total),
        n_people=draws.people,
        n_unlabelled=int((~labelled).sum()),
        abstentions=dict(Counter(reason or UNSAID for reason in table.unscored(everybody))),
        coverage=table.nominal,
        figures=table.headline(everybody),
        bands=tuple(_bands(table)),
        cut_offs=tuple(_cut_offs(table)),
        calibration=tuple(_calibration(table)),
        groups=tables,
        notes=notes,
        points=table.points(),
    )


def _check(
    totals: Sequence[object],
    predictions: Predictions,
    columns: Mapping[str, Sequence[object]],
    used: Instrument,
) -> None:
    lengths = {"totals": len(totals), "estimates": len(predictions)}
    lengths |= {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        different = ", ".join(f"{count} {name}" for name, count in lengths.items())
        raise DataError(f"the columns have different lengths: {different}", fix="give one per row")
    if others := [key for key in predictions.instruments if key != used.key]:
        raise DataError(
            f"some estimates are of {', '.join(others)} and the evaluation is of {used.key}",
            field="instrument",
            fix="evaluate one instrument at a time",
        )
    given = floats([total for total in totals if total is not None])
    for total in given[np.isfinite(given)]:
        used.check_total(float(total))


def _bands(table: Table) -> list[BandRow]:
    finite = np.isfinite(table.total)
    inside = np.clip(np.where(finite, table.total, 0), table.instrument.minimum, None)
    names = np.array([table.instrument.band(float(total)).name for total in inside], dtype=object)
    rows = []
    for band in table.instrument.bands:
        chosen = finite & (names == band.name)
        if chosen.any():
            abstained = int((chosen & table.predictions.abstained).sum())
            figures = table.errors(chosen)
            rows.append(
                BandRow(band.name, band.lower, band.upper, int(chosen.sum()), abstained, figures)
            )
    return rows


def _cut_offs(table: Table) -> list[CutOffRow]:
    everybody = np.ones(len(table.total), dtype=bool)
    used = table.total[table.scored]
    return [
        CutOffRow(cut_off, int((used >= cut_off).sum()), len(used), table.cut(cut_off, everybody))
        for cut_off in every_cut_off(table.instrument)
    ]


def _calibration(table: Table) -> list[CalibrationRow]:
    """Observed against nominal coverage wherever the caller gave intervals."""
    everybody = np.ones(len(table.total), dtype=bool)
    curves = dict(table.predictions.curves)
    own = table.nominal
    lower, upper = table.predictions.lower, table.predictions.upper
    if own is not None and lower is not None and upper is not None:
        curves.setdefault(own, (lower, upper))
    return [
        CalibrationRow(
            nominal,
            table.measure(coverage, everybody, table.total, low, high),
            table.measure(width, everybody, low, high),
        )
        for nominal, (low, high) in sorted(curves.items())
    ]


def _groups(
    table: Table, groups: Mapping[str, Sequence[object]], labelled: Rows
) -> tuple[tuple[GroupTable, ...], tuple[str, ...]]:
    tables, notes = [], []
    for name, values in groups.items():
        kept = [value for value, keep in zip(values, labelled, strict=True) if keep]
        column = cut_column(name, kept)
        if isinstance(column, str):
            notes.append(f"No table by {column}.")
            continue
        cells = np.array(column.cells, dtype=object)
        rows = tuple(_group(table, label, cells == label) for label in column.order)
        tables.append(GroupTable(name, column.note, rows))
    return tuple(tables), tuple(notes)


def _group(table: Table, label: str, rows: Rows) -> GroupRow:
    people = table.people(rows)
    if people < table.settings.minimum:
        hidden = Figure.missing(f"suppressed: fewer than {table.settings.minimum} people")
        return GroupRow(label, None, None, dict.fromkeys(table.headline(rows), hidden))
    abstained = int((rows & table.predictions.abstained).sum())
    return GroupRow(label, people, abstained, table.headline(rows))
