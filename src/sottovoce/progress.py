"""How long work tells how far it is: a callback, so that no layer knows a progress bar.

Owns the callback's form, and the few words in which a training tells its figures. Does not know
who listens.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

Figures = Mapping[str, Any]
"""What was measured on the way: the record of one step or epoch of a training (`finetune`)."""


class Advance(Protocol):
    """Called with the number of things done, of all things where it is known, and any figures."""

    def __call__(self, done: int, total: int | None, figures: Figures | None = None, /) -> None:
        """Hear how far the work is."""


def silent(_done: int, _total: int | None, _figures: Figures | None = None) -> None:
    """Ignore progress; the default everywhere."""


Stage = Callable[[str], AbstractContextManager[Advance]]
"""Opens a progress bar with a label."""


def quiet(_label: str) -> AbstractContextManager[Advance]:
    """Open no bar; the default where there are several stages."""
    return nullcontext(silent)


def part(number: int, count: int, advance: Advance) -> Advance:
    """Give the callback of one of several parts of like size, which tells the whole.

    Examples
    --------
    >>> part(1, 2, lambda done, total, figures: print(done, total))(3, 10)
    13 20
    """

    def told(done: int, total: int | None, figures: Figures | None = None) -> None:
        size = total or 0
        advance(number * size + done, count * size, figures)

    return told


class Course:
    """A training's figures so far, in a few words.

    Examples
    --------
    >>> course = Course()
    >>> for loss in (0.5, 0.4):
    ...     said = course.told({"job": "final", "epoch": 1, "step": 1, "loss": loss})
    >>> said
    'final, epoch 1: loss 0.450'
    """

    def __init__(self) -> None:
        self._job, self._epoch, self._losses, self._error = "", 0, list[float](), ""

    def told(self, figures: Figures) -> str:
        """Hear a record; give the mean loss of its epoch so far and the last validation MAE."""
        if figures["job"] != self._job:
            self._error = ""
        if (figures["job"], figures["epoch"]) != (self._job, self._epoch):
            self._job, self._epoch, self._losses = figures["job"], figures["epoch"], []
        if "loss" in figures:
            self._losses.append(figures["loss"])
        if figures.get("validation_mae") is not None:
            self._error = f", validation MAE {figures['validation_mae']:.2f}"
        mean = sum(self._losses) / max(len(self._losses), 1)
        return f"{self._job}, epoch {self._epoch}: loss {mean:.3f}{self._error}"
