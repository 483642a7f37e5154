"""`sottovoce train`: a recipe becomes a run folder. Owns the command; the work is `assembly`'s."""

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
    told_by_first,
)

if TYPE_CHECKING:
    from sottovoce.train import Run


@click.command(
    epilog=example(
        "sottovoce train recipes/smollm2-probe.yaml --out runs/probe",
        "sottovoce train recipes/minilm-full.yaml --out runs/minilm",
        "sottovoce train my-recipe.yaml --out runs/mine --json | jq .metrics.mae",
    )
)
@click.argument("recipe", type=EXISTING_FILE)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Run folder.")
@force_option
@json_option
def train(recipe: Path, out: Path, force: bool, as_json: bool) -> None:
    """Train an estimator or an ensemble by RECIPE and keep everything needed to repeat it.

    The folder holds the recipe, environment.json, data.json, the model, out-of-fold
    predictions.jsonl, metrics.json, report.html and MODEL_CARD.md; after fine-tuning also
    metrics.jsonl, step by step; finetune.report_to in the recipe also sends these figures to
    TensorBoard, W&B or MLflow. A fine-tuning that was killed goes on when the same command is
    run again. A recipe with the key ensemble names the recipes of its members; the run of each is
    kept in members/.

    Started by torchrun, several processes train together, and only the first one writes and
    speaks.
    """
    from sottovoce.assembly import assemble
    from sottovoce.parallel import processes, started
    from sottovoce.roster import read_any

    with told_by_first(started()):
        read_any(recipe)
        with processes() as world:
            with world.alike():
                if world.first:
                    free_path(out, force=force)
            with progress_bar("Training") as advance:
                run = assemble(recipe, out, advance)
        _tell(run, as_json=as_json)


def _tell(run: "Run", *, as_json: bool) -> None:
    evaluation, out = run.evaluation, run.folder
    if as_json:
        print_json(
            {
                "run": str(out),
                "model_id": run.estimator.model_id,
                "metrics": evaluation.as_dict()["metrics"],
            }
        )
    else:
        stdout().print(
            f"{run.estimator.model_id}: {evaluation.n_people} people; "
            f"{run.estimator.summary}; out of fold "
            + ", ".join(
                f"{key} {evaluation.figures[key].text()}"
                for key in ("mae", "r")
                if evaluation.figures[key].computed
            ),
            soft_wrap=True,
        )
    next_step(f"sottovoce score chats.jsonl --model {shlex.quote(str(out))} --out scores.jsonl")
