"""`sottovoce demo`: the main job on the bundled people. Owns the command and its table."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich import box
from rich.table import Table

from sottovoce.cli.console import (
    example,
    force_option,
    free_path,
    json_option,
    next_step,
    print_json,
    progress_bar,
    stdout,
)

if TYPE_CHECKING:
    from sottovoce.evaluation import Comparison, Evaluation

COLUMNS = {"mae": "MAE", "rmse": "RMSE", "r": "r", "auc_10": "AUC ≥10"}


@click.command(epilog=example("sottovoce demo", "sottovoce demo --out demo --json"))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="Folder for scores.jsonl, demo.json and the report with its figures and tables.",
)
@force_option
@json_option
def demo(out: Path, force: bool, as_json: bool) -> None:
    """Score the bundled test people, compare with baselines, write a report.

    The people are simulated: 120 who had no part in training, their chats read by the small
    estimator that comes with the package, held against the questionnaires they filled in.
    """
    free_path(out, force=force)
    from sottovoce.demo import run_demo

    result = run_demo(out, progress_bar)
    if as_json:
        print_json(result.as_dict())
    else:
        _print(result.comparison, result.evaluation)
        stdout().print(f"Report: {result.report}", soft_wrap=True)
    next_step("sottovoce score chats.jsonl --out scores.jsonl")


def _print(comparison: "Comparison", evaluation: "Evaluation") -> None:
    console = stdout()
    console.print(
        f"{comparison.n_people} simulated test people, PHQ-9 totals; 95% bootstrap intervals over "
        "people.",
        soft_wrap=True,
    )
    console.print(_scores_table(comparison))
    console.print(_differences_table(comparison))
    covered, wide = evaluation.figures["coverage"], evaluation.figures["width"]
    console.print(
        f"Interval of {comparison.reference}: nominal coverage {evaluation.coverage:.0%}, "
        f"observed {covered.text()}, mean width {wide.number(1)} points; "
        f"{evaluation.n_abstained} abstained.",
        soft_wrap=True,
    )
    console.print(
        "Simulated people: good for comparing methods, never evidence of clinical accuracy.",
        soft_wrap=True,
    )


def _scores_table(comparison: "Comparison") -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("predictor", no_wrap=True)
    for title in COLUMNS.values():
        table.add_column(title)
    for row in comparison.rows:
        cells = []
        for key in COLUMNS:
            figure = row.figures[key]
            cells.append(f"{figure.number()} {figure.interval()}".strip())
        table.add_row(row.name, *cells, style="bold" if row.name == comparison.reference else "")
    return table


def _differences_table(comparison: "Comparison") -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column(f"minus {comparison.reference}", no_wrap=True)
    table.add_column("difference in MAE")
    table.add_column("difference in r")
    for row in comparison.rows:
        if row.name != comparison.reference:
            cells = [
                f"{row.differences[key].number(sign=True)} "
                f"{row.differences[key].interval(sign=True)}".strip()
                for key in ("mae", "r")
            ]
            table.add_row(row.name, *cells)
    return table
