"""`sottovoce self-train`: a recipe's stages become a run folder. Owns the command and its table."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sottovoce.cli.console import (
    EXISTING_FILE,
    example,
    force_option,
    free_path,
    json_option,
    next_step,
    print_json,
    progress_bar,
    stdout,
)
from sottovoce.errors import require

if TYPE_CHECKING:
    from sottovoce.self_train import SelfTrained


@click.command(
    "self-train",
    epilog=example(
        "sottovoce self-train recipes/self-train-small.yaml --out runs/self-train",
        "sottovoce self-train my-recipe.yaml --out runs/mine --json | jq '.rows[].metrics.mae'",
    ),
)
@click.argument("recipe", type=EXISTING_FILE)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Run folder.")
@force_option
@json_option
def self_train(recipe: Path, out: Path, force: bool, as_json: bool) -> None:
    """Train in stages by RECIPE: questionnaires, an annotator's labels, relabelling, ensemble.

    Pseudolabels are calibrated on people who have a questionnaire and an annotation, weighted by
    how sure they are, and used only as far as they make the error of held-out people less. Test
    people, and texts like theirs, are never labelled or trained on. Each stage is a row of the
    table: MAE, r and AUC on the people who are tested, with paired differences.

    The folder holds every stage with its model and pseudolabels in stages/, the last stage's
    model, ablation.json with every metric, predictions.jsonl, report.html and MODEL_CARD.md. A
    run that was killed goes on after its last finished stage when the same command is run again.
    """
    from sottovoce.curriculum import read_curriculum
    from sottovoce.self_train import self_train as run

    for module in ("matplotlib", "jinja2"):
        require(module, what="the report", extra="report")
    read_curriculum(recipe)
    free_path(out, force=force)
    with progress_bar("Stages") as advance:
        done = run(recipe, out, advance)
    if as_json:
        print_json({"run": str(out), "model_id": done.scorer.model_id, **done.ablation.as_dict()})
    else:
        _print_table(done)
    next_step(f"sottovoce score chats.jsonl --model {shlex.quote(str(out))} --out scores.jsonl")


def _print_table(done: "SelfTrained") -> None:
    from rich import box
    from rich.table import Table

    from sottovoce.evaluation.record import auc_key

    ablation, console = done.ablation, stdout()
    trained = ablation.rows[0].made_of["n_questionnaires"]
    screening = auc_key(ablation.instrument.screening_cut_off)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0)
    table.add_column("stage")
    for title in ("pseudo", "MAE", "r", screening.replace("auc_", "AUC ≥ "), "Δ MAE"):
        table.add_column(title, justify="right")
    for row in ablation.rows:
        figures = [row.figures[key] for key in ("mae", "r", screening)]
        cells = [f"{each.number()} {each.interval()}".strip() for each in figures]
        gap = row.to_before.get("mae")
        table.add_row(
            row.name,
            str(row.made_of["n_pseudolabels"]),
            *cells,
            f"{gap.number(sign=True)} {gap.interval(sign=True)}".strip() if gap else "",
        )
    console.print(table)
    console.print(
        f"Δ MAE: to the stage before, paired; tested on {ablation.n} questionnaires of "
        f"{ablation.n_people} people, trained on those of {trained}."
    )
    for row in ablation.rows:
        for note in row.notes:
            console.print(f"{row.name}: {note}.", soft_wrap=True, markup=False)
