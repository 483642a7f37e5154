"""Planned memory of fine-tuning beside the measured peak, small random models on a CPU.

Each training is a process of its own that runs the real loop on one batch of full rows for two
steps, so that the optimizer's states exist; its peak is what the operating system counted, above
what it stood at just before the model was made. One tiny training goes first, so that libraries
are loaded and caches filled. glibc is told to give freed tensors back at once: by default it keeps
them in pieces, which took up to twice the memory that was in use, and is no part of the plan.
"""

import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.shared import options, show
from sottovoce.activations import kept_for_backward
from sottovoce.backbones import Backbone
from sottovoce.blueprint import blueprint
from sottovoce.estimates import Dropped
from sottovoce.finetune import finetune
from sottovoce.instruments import PHQ_9
from sottovoce.jobs import Examples, Job
from sottovoce.memory import Device, training_memory
from sottovoce.model_input import ModelInput, Segment, Span
from sottovoce.settings import FinetuneSettings, ScheduleSettings

QWEN = {
    "model_type": "qwen3_5_text",
    "vocab_size": 8000,
    "hidden_size": 384,
    "intermediate_size": 1024,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "linear_num_key_heads": 6,
    "linear_num_value_heads": 6,
    "linear_key_head_dim": 64,
    "linear_value_head_dim": 64,
}
BERT = {
    "model_type": "bert",
    "vocab_size": 8000,
    "hidden_size": 512,
    "intermediate_size": 2048,
    "num_hidden_layers": 6,
    "num_attention_heads": 8,
}
MODELS = {"Qwen3.5 text, 4 blocks": QWEN, "BERT, 6 blocks": BERT}
WIDTH, ROWS = 256, 4
AT_ONCE = {"MALLOC_MMAP_THRESHOLD_": "65536"}
"""Tensors of 64 KB and more lie in pages of their own (mallopt(3)); setting it stops glibc from
moving the bound."""


def configured(numbers: dict[str, Any]) -> Any:
    """Give a configuration of transformers."""
    from transformers import AutoConfig

    return AutoConfig.for_model(**numbers)


def settings(method: str, checkpointing: bool) -> FinetuneSettings:
    """Give two steps of one batch that is in memory at once."""
    pace = ScheduleSettings(
        epochs=2,
        batch_size=ROWS,
        batch_tokens=ROWS * WIDTH,
        gradient_checkpointing=checkpointing,
        learning_rate=1e-5,
        head_learning_rate=1e-4,
    )
    chosen: Any = method
    return replace(FinetuneSettings(), method=chosen, schedule=pace)


def train(numbers: dict[str, Any], used: FinetuneSettings, width: int) -> int:
    """Train a random model; give the peak's growth in bytes."""
    from transformers import AutoModel

    before = _resident()
    model = AutoModel.from_config(configured(numbers)).eval().requires_grad_(False)
    tokenizer = type("Tokenizer", (), {"pad_token_id": 0})()
    backbone = Backbone("random", "-", model, tokenizer, 0, model.config.hidden_size, width)
    generator = np.random.default_rng(0)
    inputs = [_input(generator.integers(1, 400, width).tolist()) for _ in range(2 * ROWS)]
    totals = generator.integers(0, 20, 2 * ROWS).astype(float)
    items = np.full((2 * ROWS, len(PHQ_9.items)), np.nan)
    examples = Examples(inputs, totals, items, np.ones(2 * ROWS))
    rows = np.arange(2 * ROWS)
    job = Job("final", rows[:ROWS], rows[ROWS : ROWS + 1], rows[ROWS + 1 :][:1], 0, None)
    finetune(backbone, examples, PHQ_9, used, job)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before


def _input(tokens: list[int]) -> ModelInput:
    return ModelInput((Segment(tuple(tokens), (Span(0, "user", 0, len(tokens)),)),), 1, Dropped())


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def measured(name: str, method: str, checkpointing: bool) -> int:
    """Train in a process of its own; give the peak's growth in bytes."""
    command = [sys.executable, "-m", "benchmarks.plan_memory", "one", name, method]
    command += [str(int(checkpointing))]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | AT_ONCE
    )
    if done.returncode:
        sys.exit(f"Error: a training failed: {done.stderr.splitlines()[-1]}")
    return int(done.stdout.splitlines()[-1])


def planned(name: str, method: str, checkpointing: bool) -> int:
    """Plan the same training; give bytes."""
    used = settings(method, checkpointing)
    made = blueprint(configured(MODELS[name]), "-", "float32", used)
    kept = kept_for_backward(made, ROWS, WIDTH, autocast=False)
    return training_memory(made, kept, made.hidden_size + 1, used, Device(0)).total


def one(name: str, method: str, checkpointing: bool) -> None:
    """Train a tiny model, then the one asked for; print the growth."""
    used = settings(method, checkpointing)
    size = {"vocab_size": 400, "hidden_size": 96, "intermediate_size": 64}
    train(MODELS[name] | size, used, 64)
    print(train(MODELS[name], used, WIDTH))


def main() -> None:
    """Print the table."""
    given = options(__doc__ or "")
    rows = []
    for name in MODELS:
        for method in ("lora", "full"):
            for checkpointing in (False, True):
                plan, peak = (each(name, method, checkpointing) for each in (planned, measured))
                row = {
                    "name": f"{name}, {method}" + (", recomputed" if checkpointing else ""),
                    "planned_mb": round(plan / 1e6),
                    "peak_mb": round(peak / 1e6),
                    "planned_over_peak": round(plan / peak, 3),
                }
                print(json.dumps(row), file=sys.stderr, flush=True)
                rows.append(row)
    title = (
        f"Planned memory and measured peak of fine-tuning, {ROWS} rows of {WIDTH} tokens, float32"
    )
    show("plan_memory", title, rows, given)


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        one(sys.argv[2], sys.argv[3], bool(int(sys.argv[4])))
    else:
        main()
