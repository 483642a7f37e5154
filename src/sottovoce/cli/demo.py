"""`sottovoce demo`: the main job on the bundled people. Owns the command and its table."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sottovoce.cli.console import (
    example,
    force_option,
    free_report_folder,
    json_option,
    next_step,
    print_json,
    progress_bar,
    stdout,
)
from sottovoce.cli.side_by_side import print_comparison

if TYPE_CHECKING:
    from sottovoce.evaluation import Comparison, Evaluation


@click.command(epilog=example("sottovoce demo", "sottovoce demo --out demo --json"))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="Folder for scores.jsonl, benchmark.json and the report with its figures and tables.",
)
@force_option
@json_option
def demo(out: Path, force: bool, as_json: bool) -> None:
    """Score the bundled test people, compare with baselines, write a report.

    The people are simulated: 120 who had no part in training, their chats read by the small
    estimator that comes with the package, held against the questionnaires they filled in.
    """
    free_report_folder(out, force=force)
    from sottovoce.demo import run_demo

    result = run_demo(out, progress_bar)
    if as_json:
        print_json(result.as_dict())
    else:
        _print(result.ladder.comparison, result.evaluation)
        stdout().print(f"Report: {result.report}", soft_wrap=True)
    next_step("sottovoce score chats.jsonl --out scores.jsonl")


def _print(comparison: "Comparison", evaluation: "Evaluation") -> None:
    console = stdout()
    console.print(
        f"{comparison.n_people} simulated test people, PHQ-9 totals; 95% bootstrap intervals over "
        "people.",
        soft_wrap=True,
    )
    print_comparison(comparison)
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
