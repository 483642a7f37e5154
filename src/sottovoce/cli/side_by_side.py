"""Predictors side by side as terminal tables, for every command that compares them.

Owns the two tables. Does not know which predictors there are.
"""

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from sottovoce.cli.console import stdout

if TYPE_CHECKING:
    from sottovoce.evaluation import Comparison
    from sottovoce.metrics import Figure

TITLES = {"mae": "MAE", "rmse": "RMSE", "r": "r"}

LONG_NAME = 17
"""Letters of a predictor's name beside which four figures with intervals fit into 100 columns."""


def print_comparison(comparison: "Comparison") -> None:
    """Print every predictor with intervals, and the paired differences to the reference."""
    console = stdout()
    console.print(_scores_table(comparison))
    console.print(_differences_table(comparison))


def valued(figure: "Figure", *, sign: bool = False, between: str = " ") -> str:
    """Write a figure with its interval in one cell; a dash where there is none."""
    return f"{figure.number(sign=sign)}{between}{figure.interval(sign=sign)}".strip()


def _scores_table(comparison: "Comparison") -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("predictor", no_wrap=True)
    keys = list(comparison.rows[0].figures)
    for key in keys:
        table.add_column(TITLES.get(key) or f"AUC ≥{key.removeprefix('auc_')}")
    longest = max(len(row.name) for row in comparison.rows)
    between = " " if longest <= LONG_NAME else "\n"
    for row in comparison.rows:
        cells = [valued(row.figures[key], between=between) for key in keys]
        table.add_row(row.name, *cells, style="bold" if row.name == comparison.reference else "")
    return table


def _differences_table(comparison: "Comparison") -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column(f"minus {comparison.reference}", no_wrap=True)
    table.add_column("difference in MAE")
    table.add_column("difference in r")
    for row in comparison.rows:
        if row.name != comparison.reference:
            cells = [valued(row.differences[key], sign=True) for key in ("mae", "r")]
            table.add_row(row.name, *cells)
    return table
