"""What a recipe takes before anything is rented: parameters, memory, tokens, steps, hours, cost.

Owns the work to be done and the sentences about it. Does not know how weights are counted
(`blueprint`) nor the arithmetic of memory (`memory`). A throughput is never invented: without a
measured one there are no hours and no cost.

References
----------
Kaplan et al. 2020, Scaling laws for neural language models, arXiv:2001.08361, section 2.1: a token
takes 2 operations a parameter forward, 4 backward; embeddings and attention's square left out.
"""

import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sottovoce.draft import Case, Drafts, changes
from sottovoce.errors import DataError
from sottovoce.memory import Device, Memory
from sottovoce.recipe import Recipe, read_recipe
from sottovoce.settings import EstimatorSettings
from sottovoce.train import load_cohort

GIGABYTE = 1e9

USABLE = 0.9
"""Share of a GPU's memory that may be planned for. Ours, not measured: the rest is for the CUDA
context, the libraries' workspaces and fragmentation, which are in no part."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the planner knows besides the recipe.

    Parameters
    ----------
    device
        What is to be trained on.
    gpu_memory
        GB (10^9 bytes) of one GPU; None asks not whether it fits.
    tokens_per_second
        Measured, of all GPUs together, trained (for a probe or a reader: read).
    price
        Of one GPU for an hour.
    people, tokens_per_person
        To train on, and tokens of a window on average; None counts the recipe's people, and
        takes `input.max_tokens` as the most that a window can have.
    """

    device: Device = field(default_factory=Device)
    gpu_memory: float | None = None
    tokens_per_second: float | None = None
    price: float | None = None
    people: int | None = None
    tokens_per_person: float | None = None

    def __post_init__(self) -> None:
        for name in "gpu_memory tokens_per_second price people tokens_per_person".split():
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise DataError("it must be above 0", field=name, fix="correct it")
        if self.device.gpus < 0:
            raise DataError("it must be 0 (a CPU) or more", field="gpus", fix="correct it")


@dataclass(frozen=True, slots=True)
class Work:
    """What is done with the data, at most: stopping early takes less.

    Parameters
    ----------
    windows, windows_source
        How many there are and how that is known.
    tokens_per_window, tokens_source
        On average, or at most, and how that is known.
    trainings
        How often is trained: folds, and once on everybody.
    epochs, steps
        Of each training; steps of all trainings together.
    tokens_per_epoch
        Of the last training, which makes the estimator.
    tokens
        That are trained on (for a probe or a reader: read) in all.
    operations
        Floating-point operations for them.
    """

    windows: int
    windows_source: str
    tokens_per_window: float
    tokens_source: str
    trainings: int
    epochs: int
    steps: int
    tokens_per_epoch: int
    tokens: int
    operations: float


@dataclass(frozen=True, slots=True)
class Plan:
    """A recipe worked out; every number says where it comes from.

    Parameters
    ----------
    recipe, backbone, source
        Names, and where the backbone's configuration was found.
    method
        `probe`, `reader`, `lora` or `full`.
    parameters, trained
        Of the backbone; and trained, head included.
    device, memory
        What it runs on and what it takes there.
    gpu_memory, fits
        GB of a GPU, and whether the total stays below `USABLE` of it; None when not asked.
    work
        What is done.
    hours, cost
        None without a measured throughput, or a price.
    said
        Sentences: what does not fit, what to change, what to measure, what is left out.
    """

    recipe: str
    backbone: str
    source: str
    method: str
    parameters: int
    trained: int
    device: Device
    memory: Memory
    gpu_memory: float | None
    fits: bool | None
    work: Work
    hours: float | None
    cost: float | None
    said: tuple[str, ...]

    @property
    def record(self) -> dict[str, Any]:
        """As JSON values."""
        values = asdict(self)
        values["memory"] = {
            "bytes": self.memory.parts,
            "total": self.memory.total,
            "on_host": self.memory.untouched if self.memory.on_host else 0,
        }
        return values


def plan(recipe_file: str | Path, request: Request | None = None) -> Plan:
    """Work a recipe out without its weights and without a GPU.

    Raises
    ------
    RecipeError, ModelError, DataError
        In one sentence each, of the recipe, its backbone's configuration or its data.
    """
    recipe_file, request = Path(recipe_file), request or Request()
    recipe = read_recipe(recipe_file)
    folder = recipe_file.parent
    case = _case(recipe, folder, request.device)
    drafts = Drafts(recipe.architecture, folder)
    made, memory = drafts.blueprint(case), drafts.memory(case)
    work = _work(recipe, folder, case, drafts, request)
    speed, gpus = request.tokens_per_second, request.device.gpus
    hours = None if speed is None else work.tokens / speed / 3600
    cost = None if hours is None or request.price is None else hours * request.price * gpus
    limit = None if request.gpu_memory is None else request.gpu_memory * GIGABYTE * USABLE
    said = [] if limit is None else _about_fitting(case, drafts, limit)
    said += _about_frozen(case, made.hidden_size, work)
    return Plan(
        recipe=recipe.name,
        backbone=recipe.backbone.name,
        source=made.source,
        method=case.method,
        parameters=made.backbone.numbers,
        trained=made.trained.numbers + drafts.head(case),
        device=case.device,
        memory=memory,
        gpu_memory=request.gpu_memory,
        fits=None if limit is None else memory.total <= limit,
        work=work,
        hours=hours,
        cost=cost,
        said=(*said, *_notes(case, request)),
    )


def _case(recipe: Recipe, folder: Path, device: Device) -> Case:
    """Put the recipe on the device; what the device leaves open is as the recipe says."""
    settings = recipe.settings_in(folder)
    used, sharding = settings.finetune, device.sharding
    if sharding is None:
        sharding = used.sharding if used is not None and device.gpus > 1 else "none"
    packed = device.four_bit or settings.backbone.quantization is not None
    return Case(settings, replace(device, sharding=sharding, four_bit=packed))


def _work(recipe: Recipe, folder: Path, case: Case, drafts: Drafts, request: Request) -> Work:
    if request.people is not None:
        windows, windows_source = request.people, "given, one window a person"
    else:
        windows = len(load_cohort(recipe, folder).windows)
        windows_source = f"counted in {recipe.data.chats}"
    if request.tokens_per_person is not None:
        tokens, tokens_source = request.tokens_per_person, "given"
    else:
        tokens, tokens_source = float(recipe.input.max_tokens), "at most, by input.max_tokens"
    trained = _trained_windows(windows, case.settings)
    used = case.settings.finetune
    epochs = used.schedule.epochs if used else 1
    size = used.schedule.batch_size if used else windows
    total = round(sum(trained) * tokens * epochs)
    return Work(
        windows,
        windows_source,
        tokens,
        tokens_source,
        trainings=len(trained),
        epochs=epochs,
        steps=sum(math.ceil(each / size) for each in trained) * epochs if used else 0,
        tokens_per_epoch=round(trained[-1] * tokens),
        tokens=total,
        operations=float(total) * _operations(case, drafts)
        + 2.0 * windows * tokens * drafts.blueprint(case).lower,
    )


def _trained_windows(windows: int, settings: EstimatorSettings) -> list[int]:
    """Give how many windows each training has, after its fold and its validation people."""
    used = settings.finetune
    if used is None:
        return [windows]  # everybody is read once; the folds share what was read
    kept = 1 - 1 / used.n_folds
    shares = [kept] if used.calibration == "held_out" else [kept] * used.n_folds + [1.0]
    stops = 1 / round(1 / used.validation_share) if used.validation_share else 0.0
    return [max(1, round(windows * share * (1 - stops))) for share in shares]


def _operations(case: Case, drafts: Drafts) -> int:
    """Operations for one token."""
    made, used = drafts.blueprint(case), case.settings.finetune
    frozen = made.backbone.numbers - made.embeddings - made.lower
    if used is None:
        return 2 * frozen
    again = 2 * frozen if used.schedule.gradient_checkpointing else 0
    if used.method == "full":
        return 6 * frozen + again
    return 4 * frozen + 6 * made.adapters.numbers + again  # no gradient of frozen weights


def _about_fitting(case: Case, drafts: Drafts, limit: float) -> list[str]:
    memory = drafts.memory(case)
    if memory.total <= limit:
        return []
    part, size = max(memory.parts.items(), key=lambda each: each[1])
    said = [
        f"It does not fit: {_gb(memory.total)} are needed, {_gb(limit)} can be planned for "
        f"({USABLE:.0%} of the memory); the largest part is {part}, {_gb(size)}."
    ]
    together = case
    for label, change in changes(case):
        alone = drafts.memory(change(case)).total
        said.append(
            f"With {label}: {_gb(alone)}, {'fits' if alone <= limit else 'not enough alone'}."
        )
        together = change(together)
    least = drafts.memory(together).total
    if least > limit:
        said.append(
            f"All of these together need {_gb(least)}: take GPUs with more memory, more of them "
            "with finetune.sharding fsdp, a smaller input.max_tokens, or a smaller backbone."
        )
    return said


def _about_frozen(case: Case, hidden_size: int, work: Work) -> list[str]:
    used = case.settings.finetune
    if used is None or not used.frozen_layers:
        return []
    size = work.windows * work.tokens_per_window * hidden_size * (2 if case.device.autocast else 4)
    return [
        f"The {used.frozen_layers} frozen blocks read each text once; what they give is kept "
        f"beside this memory, {_gb(round(size))} for {work.windows} windows."
    ]


def _notes(case: Case, request: Request) -> list[str]:
    said = []
    if request.tokens_per_second is None:
        done = "trained" if case.settings.finetune else "read"
        said.append(
            f"Hours and cost need a measured throughput: run a few steps on that hardware, divide "
            f"the tokens {done} by the seconds, and give it as --tokens-per-second."
        )
    elif request.price is None and case.device.gpus:
        said.append("The cost needs --price-per-gpu-hour.")
    used = case.settings.finetune
    if used is not None and case.device.sharding != used.sharding and case.device.gpus > 1:
        said.append(f"The recipe has to say finetune.sharding: {case.device.sharding} for this.")
    if case.device.gpus > 1 and used is None:
        said.append(f"A {case.method} is read by one process: more GPUs make it no faster.")
    return said


def _gb(size: float) -> str:
    return f"{size / GIGABYTE:,.2f} GB"
