"""Calling people cases at a threshold: the questionnaire's own, and one that others chose.

Owns where a threshold comes from: never from the rows that are judged. Does not know the metrics'
arithmetic.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from sottovoce.conversations import located, read_json_lines
from sottovoce.errors import DataError, describe
from sottovoce.evaluation.predictions import Predictions
from sottovoce.evaluation.record import ThresholdRow, Validation
from sottovoce.evaluation.table import Table
from sottovoce.instruments import Instrument
from sottovoce.metrics import Figure, npv, ppv, sensitivity, specificity, youden
from sottovoce.metrics.auc import no_auc
from sottovoce.metrics.columns import floats, problem

NO_VALIDATION = "no validation people were given"

SHARES: dict[str, Callable[..., Figure]] = {
    "sensitivity": sensitivity,
    "specificity": specificity,
    "ppv": ppv,
    "npv": npv,
}


@dataclass(frozen=True, slots=True)
class _Choice:
    """A threshold and how it came about; `reason` says why there is none."""

    chosen: str
    threshold: float | None
    reason: str | None = None


def thresholds(table: Table) -> tuple[ThresholdRow, ...]:
    """Judge the screening cut-off itself, and the threshold that validation people chose."""
    own = float(table.instrument.screening_cut_off)
    choices = (_Choice("the questionnaire's own cut-off", own), _chosen(table))
    return tuple(_row(table, choice) for choice in choices)


def check_validation(validation: Validation | None, users: Sequence[Hashable]) -> None:
    """Raise DataError if validation columns differ in length or a judged person is in them."""
    if validation is None:
        return
    lengths = {len(validation.totals), len(validation.scores)}
    if validation.users:
        lengths.add(len(validation.users))
    if len(lengths) > 1:
        raise DataError(
            "the columns have different lengths",
            field="validation",
            fix="give one total and one score per row",
        )
    if both := len(set(validation.users) & set(users)):
        raise DataError(
            f"{both} of the validation people are among the people who are judged",
            field="validation",
            fix="choose the threshold on other people",
        )


def read_validation(path: str | Path, instrument: Instrument) -> Validation:
    """Read a pairs.jsonl that `sottovoce evaluate` wrote for validation people.

    Raises
    ------
    DataError
        With file, line and field, at the first line that is not such a pair.
    """
    totals: list[float] = []
    scores: list[float | None] = []
    users: list[str] = []
    for line, record in read_json_lines(path):
        try:
            total, score, user = _read_pair(record, instrument)
        except DataError as error:
            raise located(error, path, line) from None
        totals.append(total)
        scores.append(score)
        users.append(user)
    return Validation(tuple(totals), tuple(scores), tuple(users))


def _read_pair(record: object, instrument: Instrument) -> tuple[float, float | None, str]:
    """Give total, score and person of one line of a pairs.jsonl."""
    if not isinstance(record, dict):
        raise DataError(f"this is {describe(record)}", fix="give a pairs.jsonl")
    if record.get("instrument") != instrument.key:
        raise DataError(
            f"the pair is not of {instrument.key}",
            field="instrument",
            fix="give pairs of the same questionnaire",
        )
    total, score, user = (record.get(name) for name in ("total", "score", "user_id"))
    for name, value, known in (
        ("user_id", user, isinstance(user, str)),
        ("total", total, _number(total)),
        ("score", score, score is None or _number(score)),
    ):
        if not known:
            raise DataError(
                f"it is {describe(value)}",
                field=name,
                fix="give a pairs.jsonl that sottovoce evaluate wrote",
            )
    return cast("tuple[float, float | None, str]", (total, score, user))


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _chosen(table: Table) -> _Choice:
    """Choose a threshold by Youden's J on the validation people."""
    validation = table.settings.validation
    if validation is None:
        return _Choice("Youden's J on validation people", None, NO_VALIDATION)
    scores = Predictions.of(validation.scores)
    pairs = zip(validation.totals, scores.score, scores.abstained, strict=True)
    used = [(total, score) for total, score, out in pairs if total is not None and not out]
    chosen = f"Youden's J on {len(used)} validation rows"
    total, score = (floats([pair[side] for pair in used]) for side in (0, 1))
    positive = (total >= table.instrument.screening_cut_off).astype(float)
    reason = problem(total, score) or no_auc(positive, score)
    if len(used) < table.settings.minimum:
        reason = f"{len(used)} rows, at least {table.settings.minimum} are needed"
    if reason:
        return _Choice(chosen, None, f"no threshold from the validation people ({reason})")
    return _Choice(chosen, youden(positive, score))


def _row(table: Table, choice: _Choice) -> ThresholdRow:
    cut_off, rows = table.instrument.screening_cut_off, table.everybody
    reason = choice.reason or table.stopped(rows)
    if choice.threshold is None or reason:
        missing = Figure.missing(reason or "", n=int(table.scored.sum()))
        figures = dict.fromkeys(SHARES, missing)
        return ThresholdRow(choice.chosen, cut_off, choice.threshold, {}, figures)
    positive, called = table.positive(cut_off), table.called(choice.threshold)
    found = {key: table.measure(metric, rows, positive, called) for key, metric in SHARES.items()}
    used = table.scored
    case, said = positive[used] != 0, called[used] != 0
    counts = {
        "tp": int((case & said).sum()),
        "fp": int((~case & said).sum()),
        "fn": int((case & ~said).sum()),
        "tn": int((~case & ~said).sum()),
    }
    return ThresholdRow(choice.chosen, cut_off, choice.threshold, counts, found)
