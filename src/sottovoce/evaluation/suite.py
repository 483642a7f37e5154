"""What a leak and shortcut suite found, and how far estimates move when texts are disturbed.

Owns the records and their JSON form. Does not compute anything: `shortcuts` and `robustness` do.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sottovoce.evaluation.record import figures_dict
from sottovoce.metrics import Figure

Status = Literal["pass", "warn", "fail"]
STATUSES: tuple[Status, ...] = ("pass", "warn", "fail")
"""From good to bad."""


@dataclass(frozen=True, slots=True)
class Check:
    """One way in which a good result may be a false one.

    Parameters
    ----------
    key
        Short name, as files and `--json` use it.
    title
        What was looked at, as a table shows it.
    status
        ``pass``, ``warn`` (also: could not be looked at) or ``fail``.
    why
        One sentence with the numbers that decided.
    figures
        Those numbers, by name.
    """

    key: str
    title: str
    status: Status
    why: str
    figures: Mapping[str, Figure] = field(default_factory=dict, hash=False)

    def as_dict(self) -> dict[str, Any]:
        """Give the check as JSON can hold it."""
        named = {"key": self.key, "title": self.title, "status": self.status, "why": self.why}
        return {**named, "figures": figures_dict(self.figures)}


@dataclass(frozen=True, slots=True)
class Suite:
    """All checks of one model on one data set, in the order in which tables show them."""

    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()

    @property
    def worst(self) -> Status:
        """The worst status among the checks; pass where there is none."""
        found = {check.status for check in self.checks}
        return next((each for each in reversed(STATUSES) if each in found), "pass")

    def as_dict(self) -> dict[str, Any]:
        """Give the suite as JSON can hold it."""
        checks = [check.as_dict() for check in self.checks]
        return {"worst": self.worst, "checks": checks, "notes": list(self.notes)}


@dataclass(frozen=True, slots=True)
class Shift:
    """How far estimates of the same people move when their texts are disturbed in one way.

    Parameters
    ----------
    key, title
        Short name, and what was done, as a table shows it.
    n, abstained
        Rows that were disturbed, and on how many of them the model then abstains.
    figures
        ``moved`` (mean absolute change, points), ``change`` (mean change, points; above 0: the
        estimate rises), ``crossed`` (share that changes sides of the screening cut-off),
        ``mae_change`` (MAE disturbed minus undisturbed, paired).
    note
        What a reader should know of it, or why it was not done; None where there is nothing.
    """

    key: str
    title: str
    n: int
    abstained: int
    figures: Mapping[str, Figure] = field(default_factory=dict, hash=False)
    note: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give the row as JSON can hold it."""
        named = {"key": self.key, "title": self.title, "n": self.n, "abstained": self.abstained}
        return {**named, **figures_dict(self.figures), "note": self.note}


@dataclass(frozen=True, slots=True)
class Robustness:
    """All disturbances of one model on one data set."""

    shifts: tuple[Shift, ...]
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Give the table as JSON can hold it."""
        return {"shifts": [each.as_dict() for each in self.shifts], "notes": list(self.notes)}
