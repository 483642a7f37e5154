"""Tiny backbones fine-tuned in a second: settings, examples and jobs for tests."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tests import tiny

from sottovoce.adapter import named_weights, trainable
from sottovoce.artefact import Artefact
from sottovoce.backbones import Backbone, load_backbone
from sottovoce.conformal import PredictiveDistribution
from sottovoce.estimator import Estimator
from sottovoce.head import Head, new_parameters
from sottovoce.instruments import PHQ_9
from sottovoce.jobs import Examples, Job
from sottovoce.model_input import Rendering, tokenizer_fingerprint
from sottovoce.settings import (
    BackboneSettings,
    EstimatorSettings,
    FinetuneSettings,
    HeadSettings,
    LoraSettings,
    ScheduleSettings,
)
from sottovoce.tuned import TunedBody

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


def even(method: str, sharding: str = "none", **changes: Any) -> FinetuneSettings:
    """Give settings without chance: no dropout, and batches of 5, so that 16 windows leave one."""
    fields = {"epochs": 2, "batch_size": 5, "lora": LoraSettings(dropout=0.0)} | changes
    return finetune_settings(method, sharding=sharding, **fields)


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


def disturbed(model: Any) -> dict[str, Any]:
    """Move every trained weight, and give copies of them by name."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for each in named_weights(model).values():
            each.add_(torch.randn(each.shape, generator=generator) * 0.05)
    return {name: each.detach().numpy().copy() for name, each in named_weights(model).items()}


def untrained_estimator(
    folder: Path, method: str = "lora", head: HeadSettings | None = None, **backbone: Any
) -> Estimator:
    """Give an estimator whose weights and head were moved at random instead of trained."""
    head = head or HeadSettings(pooling="last")
    settings = replace(
        settings_for(folder, method, head=head), backbone=BackboneSettings(str(folder), **backbone)
    )
    loaded = load_backbone(str(folder), **backbone)
    with trainable(loaded.model, settings.finetune) as model:
        weights = disturbed(model)
    totals, generator = [3.0, 9.0, 12.0, 20.0], np.random.default_rng(0)
    scaled = Head.on(PHQ_9, totals, head.outputs, head.loss)
    parameters = {
        name: generator.normal(0, 0.1, each.shape).astype(np.float32)
        for name, each in new_parameters(scaled, loaded.hidden_size, totals).items()
    }
    lora = settings.finetune.lora if method == "lora" else None
    body = TunedBody(lora, scaled, head.pooling, PACE.batch_tokens, parameters, weights)
    fingerprints = {
        "backbone": loaded.fingerprint,
        "tokenizer": tokenizer_fingerprint(loaded.tokenizer),
        "rendering": settings.rendering.fingerprint,
    }
    distribution = PredictiveDistribution.from_residuals(generator.normal(0, 4, 40))
    return Estimator(Artefact(settings, body, distribution, fingerprints, {"people": 4}))
