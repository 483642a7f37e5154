"""What a caller puts into a report.

Owns the records. Does not know how they are drawn (`page`, `charts`).
"""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version

from sottovoce import __version__
from sottovoce.ablation import Ablation
from sottovoce.estimates import Estimate
from sottovoce.evaluation import Comparison, Evaluation, Pairing, Robustness, Suite


@dataclass(frozen=True, slots=True)
class Example:
    """One person shown in the report.

    The text is printed as it is given. Give words of simulated people, or of people who agreed to
    be shown; never of anybody else.

    Parameters
    ----------
    label
        What the person is called on the page.
    passages
        A few of their sentences, each a paragraph.
    estimate
        What the model says.
    total
        Their questionnaire total in points, where known.
    note
        One more sentence, for example on what makes this person hard.
    """

    label: str
    passages: tuple[str, ...]
    estimate: Estimate
    total: float | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Provenance:
    """What is needed to make the same report again.

    Parameters
    ----------
    versions
        Package to version.
    commands
        The commands, in order.
    made_at
        When, timezone-aware; None leaves the time out, so that the file can be compared.
    details
        Anything else worth recording, name to value: checksums, hardware.
    """

    versions: Mapping[str, str] = field(default_factory=dict, hash=False)
    commands: tuple[str, ...] = ()
    made_at: datetime | None = None
    details: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a report can show; a section without content does not appear.

    Parameters
    ----------
    title
        The page's heading.
    evaluation
        The model in question.
    cohort
        Name of the cohort.
    simulated
        Whether its people are invented; a banner then says so.
    comparison, predictor_notes
        Other predictors on the same rows, and predictor name to a remark on it.
    ablation
        Stages of the training on the same rows.
    suite
        What was done to find out whether the result is a false one.
    robustness
        How far estimates move when texts are disturbed.
    pairing
        How estimates and questionnaires were paired.
    period
        First and last questionnaire.
    examples
        People to show.
    limits
        Limits beyond those that every report states.
    provenance
        How to repeat it.
    """

    title: str
    evaluation: Evaluation
    cohort: str | None = None
    simulated: bool = False
    comparison: Comparison | None = None
    predictor_notes: Mapping[str, str] = field(default_factory=dict, hash=False)
    ablation: Ablation | None = None
    suite: Suite | None = None
    robustness: Robustness | None = None
    pairing: Pairing | None = None
    period: tuple[datetime, datetime] | None = None
    examples: tuple[Example, ...] = ()
    limits: tuple[str, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)


def installed_versions(*packages: str) -> dict[str, str]:
    """Give the versions of Python, Sottovoce, numpy and the named packages, where installed."""
    found = {"python": platform.python_version(), "sottovoce": __version__}
    for package in ("numpy", *packages):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
