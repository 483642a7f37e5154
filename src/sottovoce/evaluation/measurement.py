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
from sottovoce.evaluation.certainty import risk_coverage
from sottovoce.evaluation.disparity import group_tables
from sottovoce.evaluation.headline import cut, errors, headline
from sottovoce.evaluation.predictions import UNSAID, Predictions, Scores
from sottovoce.evaluation.probabilities import calibrated
from sottovoce.evaluation.record import (
    DEFAULT,
    BandRow,
    CalibrationRow,
    CutOffRow,
    Evaluation,
    Settings,
)
from sottovoce.evaluation.table import Rows, Table, every_cut_off
from sottovoce.evaluation.threshold import check_validation, thresholds
from sottovoce.instruments import Instrument
from sottovoce.instruments import instrument as find_instrument
from sottovoce.metrics import coverage, resample_people, width
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
        Resamples, seed, level, the smallest number of people that is shown, and the people on whom
        a threshold is chosen.

    Returns
    -------
    Evaluation
        Every figure with its interval and n, or "not computed" with the reason. A number that is
        not finite anywhere makes every metric "not computed": nothing is dropped in silence. Groups
        of too few people are suppressed, and so is a group from which they could be worked out.

    Raises
    ------
    DataError
        If the columns differ in length, a total lies outside the instrument's range, or somebody
        who is judged is also one of the validation people.

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
    check_validation(settings.validation, owners)
    total = floats([each for each in given if each is not None])
    draws = resample_people(
        owners, count=settings.resamples, seed=settings.seed, level=settings.level
    )
    table = Table(used, total, predictions.take(labelled), draws, settings)
    return _judged(table, labelled, groups or {})


def _judged(table: Table, labelled: Rows, groups: Mapping[str, Sequence[object]]) -> Evaluation:
    """Fill every table of the evaluation."""
    tables, notes = group_tables(table, groups, labelled)
    figures = headline(table)
    return Evaluation(
        instrument=table.instrument,
        model_ids=table.predictions.model_ids,
        settings=table.settings,
        n_rows=len(table.total),
        n_people=table.resamples.people,
        n_unlabelled=int((~labelled).sum()),
        abstentions=dict(Counter(reason or UNSAID for reason in table.unscored(table.everybody))),
        coverage=table.nominal,
        figures=figures,
        bands=tuple(_bands(table)),
        cut_offs=tuple(_cut_offs(table)),
        calibration=tuple(_calibration(table)),
        groups=tables,
        notes=notes,
        thresholds=thresholds(table),
        reliability=calibrated(table),
        risk_coverage=risk_coverage(table, figures),
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
            figures = errors(table, chosen)
            rows.append(
                BandRow(band.name, band.lower, band.upper, int(chosen.sum()), abstained, figures)
            )
    return rows


def _cut_offs(table: Table) -> list[CutOffRow]:
    used = table.total[table.scored]
    return [
        CutOffRow(
            cut_off, int((used >= cut_off).sum()), len(used), cut(table, cut_off, table.everybody)
        )
        for cut_off in every_cut_off(table.instrument)
    ]


def _calibration(table: Table) -> list[CalibrationRow]:
    """Observed against nominal coverage wherever the caller gave intervals."""
    curves = dict(table.predictions.curves)
    own = table.nominal
    lower, upper = table.predictions.lower, table.predictions.upper
    if own is not None and lower is not None and upper is not None:
        curves.setdefault(own, (lower, upper))
    return [
        CalibrationRow(
            nominal,
            table.measure(coverage, table.everybody, table.total, low, high),
            table.measure(width, table.everybody, low, high),
        )
        for nominal, (low, high) in sorted(curves.items())
    ]
