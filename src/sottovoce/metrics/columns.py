"""Columns of numbers: the one gate through which data enters a metric.

Owns what makes columns unusable and the words for it. Does not know any metric.
"""

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import ArrayLike

from sottovoce.errors import DataError
from sottovoce.metrics.figure import Floats

LARGEST = 1e9
"""A number beyond this is no score of any questionnaire; refusing it also keeps squares and
products of the metrics far from overflow."""

SPREAD = 1e-9
"""Relative spread below which a column counts as constant: seven digits above the rounding of
float64 (2e-16), nine below one point."""


def floats(values: ArrayLike | Sequence[object]) -> Floats:
    """Give the values as a flat float64 array; None becomes NaN, which `problem` then reports.

    Raises
    ------
    DataError
        If a value is not a number or there is more than one dimension.
    """
    try:
        array = np.asarray(cast("ArrayLike", values), dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError("a value is not a number", fix="give numbers, one per row") from None
    if array.ndim != 1:
        raise DataError(f"the values have {array.ndim} dimensions", fix="give one number per row")
    return array


def problem(*columns: Floats) -> str | None:
    """Say why no metric can be computed on these columns, or None when one can.

    Raises
    ------
    DataError
        If the columns differ in length: rows would be paired wrongly.
    """
    if len({len(column) for column in columns}) > 1:
        lengths = ", ".join(str(len(column)) for column in columns)
        raise DataError(f"the columns have {lengths} rows", fix="give the same rows in each")
    if len(columns[0]) == 0:
        return "there are no rows"
    with np.errstate(invalid="ignore"):
        bad = ~np.logical_and.reduce([np.abs(column) <= LARGEST for column in columns])
    if bad.any():
        return f"{int(bad.sum())} of {len(bad)} rows hold a value that is not a finite number"
    return None


def constant(column: Floats) -> bool:
    """Say whether a column holds one value only, up to rounding."""
    return bool(np.ptp(column) <= SPREAD * max(1.0, float(np.abs(column).max())))
