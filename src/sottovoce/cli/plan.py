"""`sottovoce plan`: what a recipe takes before it runs. Owns the command and its table."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sottovoce.cli.console import (
    EXISTING_FILE,
    example,
    json_option,
    next_step,
    print_json,
    stdout,
)

if TYPE_CHECKING:
    from sottovoce.plan import Plan
    from sottovoce.settings import Sharding

ABOVE_ZERO = click.FloatRange(min=0, min_open=True)


@click.command(
    epilog=example(
        "sottovoce plan recipes/minilm-full.yaml --gpus 0",
        "sottovoce plan recipes/smollm2-lora.yaml --gpu-memory 24 --people 3000 \\\n"
        "    --tokens-per-person 900 --tokens-per-second 20000 --price-per-gpu-hour 2",
    )
)
@click.argument("recipe", type=EXISTING_FILE)
@click.option(
    "--gpus", type=click.IntRange(0), default=1, show_default=True, help="How many; 0 is a CPU."
)
@click.option("--gpu-memory", type=ABOVE_ZERO, help="GB of one GPU: says whether it fits.")
@click.option(
    "--sharding",
    type=click.Choice(["none", "fsdp"]),
    help="Every GPU holds everything, or a piece.  [default: as the recipe's finetune.sharding]",
)
@click.option(
    "--four-bit",
    is_flag=True,
    help="As if the recipe said backbone.quantization: nf4 (QLoRA).  [default: as the recipe says]",
)
@click.option(
    "--tokens-per-second", type=ABOVE_ZERO, help="Measured, of all GPUs together: gives hours."
)
@click.option("--price-per-gpu-hour", type=ABOVE_ZERO, help="Gives the cost, in your currency.")
@click.option("--people", type=click.IntRange(1), help="Instead of counting the recipe's people.")
@click.option("--tokens-per-person", type=ABOVE_ZERO, help="Average; otherwise input.max_tokens.")
@json_option
def plan(  # noqa: PLR0913, PLR0917 (click fills in one an option)
    recipe: Path,
    gpus: int,
    gpu_memory: float | None,
    sharding: "Sharding | None",
    four_bit: bool,
    tokens_per_second: float | None,
    price_per_gpu_hour: float | None,
    people: int | None,
    tokens_per_person: float | None,
    as_json: bool,
) -> None:
    """Work out what RECIPE takes: parameters, memory, tokens, steps, hours and cost.

    Needs the backbone's configuration, not its weights: a folder, a wheel, the hub's cache, or
    numbers under `architecture` in the recipe. Hours and cost are given only for a throughput
    that was measured.
    """
    from sottovoce.memory import Device
    from sottovoce.plan import Request
    from sottovoce.plan import plan as work_out

    request = Request(
        Device(gpus, sharding, four_bit),
        gpu_memory,
        tokens_per_second,
        price_per_gpu_hour,
        people,
        tokens_per_person,
    )
    made = work_out(recipe, request)
    if as_json:
        print_json(made.record)
    else:
        _show(made)
    if made.fits is not False:
        launch = f"torchrun --standalone --nproc-per-node {gpus} --no-python " if gpus > 1 else ""
        told = f"{shlex.quote(str(recipe))} --out runs/{shlex.quote(recipe.stem)}"
        next_step(f"{launch}sottovoce train {told}")
    else:
        next_step(f"change {shlex.quote(str(recipe))} and plan again")


def _show(made: "Plan") -> None:
    from rich.table import Table

    where = "one GPU" if made.device.gpus else "a CPU"
    table = Table()
    table.add_column(f"memory of {where}")
    table.add_column("GB", justify="right")
    for name, size in made.memory.parts.items():
        table.add_row(name, f"{size / 1e9:,.3f}")
    table.add_row("total", f"{made.memory.total / 1e9:,.3f}", style="bold")
    out = stdout()
    for line in _lines(made):
        out.print(line, soft_wrap=True, markup=False)
    out.print(table)
    for sentence in made.said:
        out.print(sentence, soft_wrap=True, markup=False)


def _lines(made: "Plan") -> list[str]:
    work, share = made.work, made.trained / made.parameters
    lines = [
        f"{made.backbone}: {made.parameters:,} parameters; from {made.source}",
        f"{made.method}: {made.trained:,} trained ({share:.2%})",
        f"{work.windows:,} windows ({work.windows_source}) of {work.tokens_per_window:,.0f} tokens "
        f"({work.tokens_source})",
        f"{work.trainings} trainings of up to {work.epochs} epochs: {work.steps:,} steps, "
        f"{work.tokens:,} tokens ({work.tokens_per_epoch:,} an epoch), "
        f"{work.operations:.2e} operations",
    ]
    if made.memory.on_host and made.memory.untouched:
        lines.append(
            f"{made.memory.untouched / 1e9:,.3f} GB of the host's memory keep the published weights"
        )
    if made.hours is not None:
        cost = "" if made.cost is None else f", cost {made.cost:,.2f}"
        lines.append(f"{made.hours:,.2f} hours{cost}")
    if made.fits:
        lines.append(f"It fits in {made.gpu_memory:g} GB.")
    return lines
