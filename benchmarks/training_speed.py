"""Fine-tuning against the plain transformers Trainer: trained user tokens a second, side by side.

One model, one set of windows of the bundled cohort, one batch size, one number of steps, in one
process and in turns. The Trainer draws windows at random and pads each batch to its longest, which
is its default; ours groups windows by length and cuts a batch to the token budget. A second pair
trains the upper blocks only: ours reads the frozen ones once, the Trainer at every step.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.shared import examples_of, options, show
from sottovoce import bundled
from sottovoce.adapter import attach
from sottovoce.backbones import Backbone, load_backbone
from sottovoce.finetune import finetune
from sottovoce.instruments import PHQ_9
from sottovoce.jobs import Job
from sottovoce.model_input import ModelInput, Renderer
from sottovoce.recipe import read_recipe
from sottovoce.settings import FinetuneSettings
from sottovoce.train import load_cohort

N_WINDOWS, BATCH, N_TURNS = 16, 8, 2
"""Windows of the cohort's length mix, windows of a step, and how often one epoch is timed."""

SHORT = 10
"""Blocks of the first pair: a third of the model, so that two cores are done in minutes."""


def windows_read(backbone: Backbone, recipe: Any) -> tuple[list[ModelInput], np.ndarray[Any, Any]]:
    """Render every fifth or so training window, shortest to longest, and give their totals."""
    cohort = load_cohort(recipe, bundled.CHATS.parent)
    renderer = Renderer.of(backbone.tokenizer, recipe.settings.rendering, backbone.max_length)
    rendered = [renderer.render(each) for each in cohort.windows]
    order = np.argsort([each.n_tokens for each in rendered], kind="stable")
    places = order[np.linspace(0, len(order) - 1, N_WINDOWS).round().astype(int)]
    return [rendered[place] for place in places], cohort.totals[places]


def user_tokens(inputs: Sequence[ModelInput]) -> int:
    """Count the person's own tokens, which are what the head learns from."""
    return sum(
        span.end - span.start
        for each in inputs
        for segment in each.segments
        for span in segment.spans
        if span.role == "user"
    )


def ours(
    backbone: Backbone, inputs: list[ModelInput], totals: Any, settings: FinetuneSettings
) -> Callable[[], None]:
    """Give one training by this package."""
    none = np.empty(0, np.int64)

    def run() -> None:
        job = Job("timed", np.arange(len(inputs)), none, none, seed=0)
        finetune(backbone, examples_of(inputs, totals), PHQ_9, settings, job)

    return run


def trainer(
    backbone: Backbone, inputs: list[ModelInput], totals: Any, settings: FinetuneSettings
) -> Callable[[], None]:
    """Give the same training by transformers' Trainer, as its documentation sets it up."""
    import torch
    from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

    scaled = (totals - totals.mean()) / totals.std()
    rows = [
        {"input_ids": list(each.segments[-1].token_ids), "labels": float(label)}
        for each, label in zip(inputs, scaled, strict=True)
    ]

    class Regressor(torch.nn.Module):  # type: ignore[misc]
        """The same backbone and adapters, mean over tokens, one linear output."""

        def __init__(self) -> None:
            super().__init__()
            self.model = attach(backbone.model, settings.lora, settings.frozen_layers)
            self.score = torch.nn.Linear(backbone.hidden_size, 1)

        def forward(self, input_ids: Any, attention_mask: Any, labels: Any) -> dict[str, Any]:
            states = self.model(input_ids=input_ids, attention_mask=attention_mask)
            mask = attention_mask[..., None]
            pooled = (states.last_hidden_state * mask).sum(1) / mask.sum(1)
            said = self.score(pooled)[:, 0]
            return {"loss": torch.nn.functional.huber_loss(said, labels), "logits": said}

    def run() -> None:
        regressor = Regressor()
        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                folder,
                num_train_epochs=settings.schedule.epochs,
                per_device_train_batch_size=settings.schedule.batch_size,
                learning_rate=settings.schedule.learning_rate,
                lr_scheduler_type="cosine",
                save_strategy="no",
                logging_strategy="no",
                report_to=[],
                disable_tqdm=True,
                use_cpu=True,
            )
            collator = DataCollatorWithPadding(backbone.tokenizer, padding="longest")
            Trainer(regressor, arguments, train_dataset=rows, data_collator=collator).train()
        regressor.model.unload()

    return run


def timed(run: Callable[[], None]) -> float:
    """Give seconds of the wall."""
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def compared(name: str, used: FinetuneSettings) -> list[dict[str, Any]]:
    """Time both in turns and give a row each."""
    recipe = read_recipe("recipes/smollm2-lora.yaml")
    backbone = load_backbone(recipe.backbone.name, keep_layers=used.layers)
    inputs, totals = windows_read(backbone, recipe)
    runs = {
        "transformers Trainer": trainer(backbone, inputs, totals, used),
        "sottovoce": ours(backbone, inputs, totals, used),
    }
    seconds: dict[str, list[float]] = {key: [] for key in runs}
    for _ in range(N_TURNS):
        for key, run in runs.items():
            seconds[key].append(timed(run))
    tokens = user_tokens(inputs) * used.schedule.epochs
    plain = tokens / statistics.median(seconds["transformers Trainer"])
    return [
        {
            "name": f"{name}: {key}",
            "user_tokens": tokens,
            "tokens_per_second": round(tokens / statistics.median(took)),
            "slowest": round(tokens / max(took)),
            "fastest": round(tokens / min(took)),
            "ratio": round(tokens / statistics.median(took) / plain, 2),
        }
        for key, took in seconds.items()
    ]


def main() -> None:
    """Print the table."""
    given = options(__doc__ or "")
    used = read_recipe("recipes/smollm2-lora.yaml").settings.finetune
    assert used is not None
    pace = replace(used.schedule, epochs=1, batch_size=BATCH)
    upper = replace(used, schedule=pace, head=replace(used.head, start="zero"))
    n_trained = (upper.layers or 0) - upper.frozen_layers
    rows = [
        *compared(f"LoRA on all of {SHORT} blocks", replace(upper, layers=SHORT, frozen_layers=0)),
        *compared(f"LoRA on the upper {n_trained} of {upper.layers} blocks", upper),
    ]
    title = (
        f"Training SmolLM2-135M: {N_WINDOWS} windows of the bundled cohort, one epoch, "
        f"batches of {BATCH}, median of {N_TURNS} turns"
    )
    show("training_speed", title, rows, given)


if __name__ == "__main__":
    main()
