"""Trackers that show a training while it runs: TensorBoard, Weights & Biases, MLflow.

Owns which figures leave the training, under which names, and where they go; accelerate has the
writers. Does not know the loop (`finetune`), people or text: nothing but its figures is given on.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

from sottovoce.errors import MissingExtraError, require
from sottovoce.progress import Advance, Figures

Tracker = Literal["tensorboard", "wandb", "mlflow"]
"""As transformers' `report_to` calls them."""

COMMANDS: dict[Tracker, str] = {
    "tensorboard": "pip install 'sottovoce[tracking]'",
    "wandb": "pip install wandb",
    "mlflow": "pip install mlflow",
}
"""What brings each; the last two are no extra, since their own settings decide where data goes."""

PROJECT = "sottovoce"
"""Name of the project (wandb) or experiment (mlflow); the recipe's own name stays here."""


@contextmanager
def tracked(trackers: Sequence[Tracker], folder: Path, advance: Advance) -> Iterator[Advance]:
    """Give a callback that passes on what it hears and logs the figures in it.

    Parameters
    ----------
    trackers
        Where to; none logs nothing.
    folder
        Of the run; TensorBoard's files lie in `tensorboard/`. The others write where their own
        settings and environment variables say.
    advance
        Hears everything.

    Raises
    ------
    MissingExtraError
        If a tracker's package is not installed.
    """
    with ExitStack() as stack:
        opened = [_open(name, folder / name) for name in dict.fromkeys(trackers)]
        for tracker in opened:
            tracker.start()
            stack.callback(tracker.finish)

        def told(done: int, total: int | None, figures: Figures | None = None) -> None:
            advance(done, total, figures)
            if figures is None:
                return
            for tracker in opened:
                # steps begin anew with each training, and wandb drops those that are not higher
                step = None if tracker.name == "wandb" else figures["step"]
                tracker.log(_scalars(figures), step=step)

        yield told


def _open(name: Tracker, logs: Path) -> Any:
    """Give accelerate's tracker, not started."""
    what = f"finetune.report_to: {name}"
    require("accelerate", what=what, extra="models")
    from accelerate import PartialState
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS, filter_trackers

    PartialState()  # without it accelerate's own log raises
    if not filter_trackers([name], logs):
        raise MissingExtraError(what, COMMANDS[name])
    kind = LOGGER_TYPE_TO_CLASS[name]
    return kind("", logs) if kind.requires_logging_directory else kind(PROJECT)


def _scalars(figures: Figures) -> dict[str, float]:
    """Give what was measured, under the training's name."""
    return {
        f"{figures['job']}/{name}": value
        for name, value in figures.items()
        if name not in ("job", "epoch", "step") and value is not None
    }
