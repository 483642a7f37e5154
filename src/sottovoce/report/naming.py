"""What tables call metrics where room is short, and which metrics stand together.

Owns these words. Does not know any table.
"""

from collections.abc import Iterable

from sottovoce.evaluation.record import metric_title
from sottovoce.metrics import Figure
from sottovoce.report.table import Column

FURTHER = "Further"
FAMILIES = {
    "Error": ("mae", "mae_all", "rmse", "bias", "error_slope", "crps"),
    "Agreement": ("r", "spearman", "ccc", "r_corrected", "slope", "r2", "qwk"),
    "Telling cases apart": ("auc", "fnr", "sensitivity", "specificity", "ppv", "npv"),
    "Calibration": ("coverage", "width", "ece", "brier"),
    "Abstaining": ("aurc",),
}
"""Families of metrics to their keys, without a cut-off; what is in none of them is `FURTHER`."""

SHORT = {
    "mae": "MAE",
    "mae_all": "MAE with abstained",
    "rmse": "RMSE",
    "bias": "Bias",
    "r": "r",
    "spearman": "Spearman r",
    "ccc": "CCC",
    "r_corrected": "r, corrected",
    "slope": "Slope",
    "error_slope": "Slope of error",
    "r2": "R²",
    "qwk": "QWK",
    "crps": "CRPS",
    "fnr": "Missed cases",
    "ppv": "PPV",
    "npv": "NPV",
    "ece": "ECE",
    "brier": "Brier",
    "aurc": "AURC",
    "coverage": "Coverage",
    "width": "Width",
}
"""Key of a metric to the head of its column."""


SIGNED = ("bias", "error_slope")
"""Metrics with a direction, which are told with their sign."""


def short_title(key: str) -> str:
    """Give the head of a metric's column."""
    return SHORT.get(key) or metric_title(key)


def metric_column(key: str) -> Column:
    """Give the column of a metric."""
    return Column(key, short_title(key), "signed" if key in SIGNED else "number")


def difference_column(key: str, suffix: str, title: str) -> Column:
    """Give the column of a metric's differences."""
    return Column(f"{key}_{suffix}", f"{short_title(key)}, {title}", "difference")


def family(key: str) -> str:
    """Give the family of a metric."""
    plain = key.partition("_")[0] if key.startswith("auc_") else key
    return next((name for name, keys in FAMILIES.items() if plain in keys), FURTHER)


def by_family(keys: Iterable[str]) -> list[str]:
    """Sort metrics by family, each family in its own order."""
    order = [*FAMILIES, FURTHER]
    return sorted(keys, key=lambda key: order.index(family(key)))


def people(count: int) -> str:
    """Write a number of people."""
    return "1 person" if count == 1 else f"{count} people"


def any_computed(figures: Iterable[Figure]) -> bool:
    """Whether there is something to draw."""
    return any(figure.computed for figure in figures)
