"""Whether a model that takes a planted leak is caught, and an honest one is not.

A MiniLM probe is trained on 200 bundled, simulated people and examined on 120: as they are, with
the person's words read alone and with both sides read; with a score spoken in one chat of five;
and with a companion that names severity. The leaks are planted: nothing here is about real people.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console

from benchmarks.shared import options, show
from sottovoce import bundled
from sottovoce.backbones import Backbone, load_backbone
from sottovoce.cohort import Window, WindowRules, build_cohort
from sottovoce.conversations import Role
from sottovoce.estimator import Estimator
from sottovoce.evaluation import Check, Evaluation, Suite, evaluate
from sottovoce.instruments import PHQ_9
from sottovoce.metrics import Figure
from sottovoce.model_input import Rendering
from sottovoce.settings import BackboneSettings, EstimatorSettings, ProbeSettings
from sottovoce.shortcuts import Background, examine
from sottovoce.shortcuts.verdict import TITLES
from sottovoce.trial import Trial

SHARE = 0.2
SPOKEN = (
    "I filled in the PHQ-9 again, it says {total} points, {band}.",
    "My PHQ-9 score was {total} this time, so that is {band}.",
    "By the way the PHQ-9 came out at {total} today: {band}.",
)
TOLD = (
    "From what you write this sounds {band} to me.",
    "I would call that {band}.",
    "Taken together that is {band}, I think.",
)
"""The companion's, as somebody would say it who had seen the result."""

EVERY = 4
"""A companion that names severity does so in every fourth of its turns."""

SAMPLE = 60
"""People who are read again; a small backbone reads them in seconds."""

Plant = Callable[[Window, random.Random], Window]


def spoken_score(window: Window, drawn: random.Random) -> Window:
    """Let the person say the total at the end of one of their messages."""
    own = [at for at, each in enumerate(window.messages) if each.role == "user"]
    return _adding(window, [drawn.choice(own)], SPOKEN, drawn)


def told_severity(window: Window, drawn: random.Random) -> Window:
    """Let the companion name the severity in every fourth of its turns."""
    turns = [at for at, each in enumerate(window.messages) if each.role == "assistant"]
    return _adding(window, turns[::EVERY], TOLD, drawn)


def planted(windows: Sequence[Window], plant: Plant, share: float, seed: int) -> tuple[Window, ...]:
    """Plant a leak in a share of the windows, drawn by seed."""
    drawn = random.Random(seed)
    return tuple(plant(each, drawn) if drawn.random() < share else each for each in windows)


def _adding(
    window: Window, places: Sequence[int], phrases: Sequence[str], drawn: random.Random
) -> Window:
    messages = list(window.messages)
    for at in places:
        band = PHQ_9.band(window.total).name
        said = drawn.choice(phrases).format(total=f"{window.total:g}", band=band)
        messages[at] = replace(messages[at], content=f"{messages[at].content} {said}")
    return replace(window, messages=tuple(messages))


@dataclass(frozen=True)
class Case:
    """A cohort and whose messages a model of it reads."""

    name: str
    roles: tuple[Role, ...]
    plant: Plant | None = None
    share: float = 1.0


CASES = (
    Case("honest", ("user",)),
    Case("score spoken in 20%", ("user",), spoken_score, SHARE),
    Case("both sides read", ("user", "assistant")),
    Case("companion names severity", ("user", "assistant"), told_severity),
    Case("companion names severity, not read", ("user",), told_severity),
)


def trial_of(case: Case) -> Trial:
    """Give the bundled people with the leak planted in training and test."""
    rules = WindowRules(leaks="flag")

    def people(split: bundled.Split, seed: int) -> tuple[Window, ...]:
        said, labels = bundled.conversations(split), bundled.labels(split)
        windows = build_cohort(said, labels, rules, PHQ_9).windows
        return planted(windows, case.plant, case.share, seed) if case.plant else windows

    return Trial(PHQ_9, people("test", 1), people("train", 0), simulated=True)


def examined(case: Case, backbone: Backbone) -> tuple[Suite, Evaluation]:
    """Train a probe on the training people, examine it on the test people, and judge it there."""
    trial = trial_of(case)
    settings = EstimatorSettings(
        rules=WindowRules(leaks="flag"),
        rendering=Rendering(case.roles, "plain"),
        backbone=BackboneSettings(backbone.name),
        probe=ProbeSettings(poolings=("mean",)),
    )
    estimator = Estimator.fit(trial.training, settings, backbone=backbone).estimator
    estimates = estimator.score(trial.test)
    suite = examine(trial, estimator, estimates, Background(trial.training, sample=SAMPLE))
    return suite, evaluate(trial.totals, estimates, trial.users, instrument=PHQ_9)


def table(cases: Mapping[str, tuple[Suite, Evaluation]]) -> list[dict[str, Any]]:
    """Give a row for each check, and under them the figures that decided or tell the price."""
    rows: list[dict[str, Any]] = []
    for key, title in TITLES.items():
        found = {
            name: check.status
            for name, (suite, _) in cases.items()
            for check in suite.checks
            if check.key == key
        }
        rows.append({"name": title, **found})
    for label, figure_of in FIGURES.items():
        row: dict[str, Any] = {"name": label}
        for name, (suite, evaluation) in cases.items():
            figure = figure_of({check.key: check for check in suite.checks}, evaluation)
            if figure is not None and figure.value is not None:
                row[name] = figure.value
                row[f"{name}_ci"] = None if figure.lower is None else [figure.lower, figure.upper]
        rows.append(row)
    return rows


FIGURES: Mapping[str, Callable[[Mapping[str, Check], Evaluation], Figure | None]] = {
    "MAE": lambda _checks, evaluation: evaluation.figures["mae"],
    "r": lambda _checks, evaluation: evaluation.figures["r"],
    "r with a person who only says OK": lambda checks, _: checks["companion_alone"].figures.get(
        "r"
    ),
    "companion's share of an estimate": lambda checks, _: checks["companion_swapped"].figures.get(
        "share"
    ),
    "error without mentions, minus that with them": lambda checks, _: checks[
        "mentions"
    ].figures.get("mae_change"),
}


def main() -> None:
    """Print the table."""
    given = options(__doc__ or "")
    backbone = load_backbone("minilm-l6-v2")
    cases = {}
    for case in CASES:
        cases[case.name] = examined(case, backbone)
        Console(stderr=True).print(f"{case.name}: examined", style="dim")
    rows = table(cases)
    title = f"Planted leaks, MiniLM probe, 200 simulated people, 120 tested, {SAMPLE} read again"
    show("leaks", title, rows, given)


if __name__ == "__main__":
    main()
