"""Tiny backbones fine-tuned in a second: settings, examples and jobs for tests."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tests import tiny

from sottovoce.backbones import Backbone
from sottovoce.instruments import PHQ_9
from sottovoce.jobs import Examples, Job
from sottovoce.model_input import Rendering
from sottovoce.settings import (
    BackboneSettings,
    EstimatorSettings,
    FinetuneSettings,
    ScheduleSettings,
)

RENDERING = Rendering(("user", "assistant"), "turns")
PACE = ScheduleSettings(
    epochs=3,
    learning_rate=1e-2,
    head_learning_rate=1e-2,
    batch_size=8,
    batch_tokens=512,
    checkpoint_steps=2,
)


def finetune_settings(method: str = "lora", **changes: Any) -> FinetuneSettings:
    """Give settings that learn in three epochs; a change of the pace goes by the pace's name."""
    pace = {name: changes.pop(name) for name in list(changes) if hasattr(PACE, name)}
    rate = {"learning_rate": 1e-3} if method == "full" else {}
    schedule = replace(PACE, **(rate | pace))
    fields = {"method": method, "schedule": schedule, "n_folds": 3} | changes
    return FinetuneSettings(**fields)


def settings_for(folder: Path, method: str = "lora", **changes: Any) -> EstimatorSettings:
    return EstimatorSettings(
        backbone=BackboneSettings(str(folder)),
        rendering=RENDERING,
        finetune=finetune_settings(method, **changes),
    )


def examples(backbone: Backbone, n: int = 24) -> Examples:
    windows = tiny.labelled_windows(n)
    inputs = tiny.rendered(backbone, windows, RENDERING)
    totals = np.array([each.total for each in windows])
    return Examples(inputs, totals, np.full((n, len(PHQ_9.items)), np.nan), np.ones(n))


def job(n: int = 24, folder: Path | None = None, **changes: Any) -> Job:
    """Give a job of n people: two thirds to train on, the rest to stop it and to score."""
    rows = np.arange(n)
    parts = {"training": rows[: n * 2 // 3], "validation": rows[n * 2 // 3 : n * 5 // 6]}
    fields = {"name": "final", "held_out": rows[n * 5 // 6 :], "seed": 5, "folder": folder}
    return Job(**(parts | fields | changes))
