"""Where the shared data lies, how features are kept, and how a table is printed and saved.

Owns what all benchmarks have in common. Shared human text is read from its folder and never
copied: what is kept outside the repository are numbers, filed under a hash of text and model.
"""

import argparse
import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from safetensors.numpy import load_file, save_file

from sottovoce.backbones import Backbone, cache_folder
from sottovoce.cohort import Window
from sottovoce.features import (
    Features,
    MessageStates,
    Pooling,
    message_states,
    pooled_states,
)
from sottovoce.instruments import PHQ_9
from sottovoce.jobs import Examples
from sottovoce.model_input import ModelInput, Renderer, Rendering, tokenizer_fingerprint
from sottovoce.progress import Advance

Scores = npt.NDArray[np.float64]
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Options:
    """What every benchmark takes."""

    as_json: bool
    save: bool


def options(description: str) -> Options:
    """Read the command line of a benchmark."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/")
    given = parser.parse_args()
    return Options(given.json, given.save)


def shared_folder(name: str) -> Path:
    """Give a folder of the shared data, or say clearly what to set and stop."""
    root = Path(os.environ.get("SOTTOVOCE_SHARED_DATA", "../shared/data"))
    folder = root / name
    if not folder.is_dir():
        sys.exit(
            f"Error: {folder} is not there; set SOTTOVOCE_SHARED_DATA to the folder that holds "
            f"{name} (the data are not part of the project)."
        )
    return folder


def hardware() -> str:
    """Describe the machine in a line."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0].partition(":")[2].strip() if names else model
    return f"{os.cpu_count()} CPU cores ({model}), no GPU, Python {platform.python_version()}"


def features(
    backbone: Backbone,
    windows: Sequence[Window],
    rendering: Rendering,
    layers: Sequence[int],
    poolings: Sequence[Pooling],
) -> Features:
    """Read windows, or take what was read before from the cache outside the repository."""
    inputs, file = _kept_file(backbone, windows, rendering, (list(layers), list(poolings)))
    if not file.is_file():
        with _reading(backbone, inputs) as advance:
            read = pooled_states(backbone, inputs, layers, poolings, advance)
        save_file({str(pooling): states for pooling, states in read.items()}, file)
    kept = load_file(file)
    return {pooling: kept[pooling] for pooling in poolings}


def messages(
    backbone: Backbone, windows: Sequence[Window], rendering: Rendering, layers: Sequence[int]
) -> list[MessageStates]:
    """Read windows message by message, or take what was read before, as `features`."""
    inputs, file = _kept_file(backbone, windows, rendering, (list(layers), "messages"))
    if not file.is_file():
        with _reading(backbone, inputs) as advance:
            read = message_states(backbone, inputs, layers, advance)
        arrays = {
            "ends": np.cumsum([len(each.messages) for each in read]),
            "messages": np.concatenate([each.messages for each in read]),
            "states": np.concatenate([each.states for each in read]),
        }
        save_file(arrays, file)
    kept = load_file(file)
    starts = [0, *kept["ends"].tolist()]
    return [
        MessageStates(kept["messages"][start:end], kept["states"][start:end])
        for start, end in pairwise(starts)
    ]


def _kept_file(
    backbone: Backbone, windows: Sequence[Window], rendering: Rendering, what: object
) -> tuple[list[ModelInput], Path]:
    """Render windows, and name the file that keeps what was read of exactly these."""
    renderer = Renderer.of(backbone.tokenizer, rendering, backbone.max_length)
    inputs = [renderer.render(window) for window in windows]
    digest = hashlib.sha256()
    for part in (
        backbone.fingerprint,
        tokenizer_fingerprint(backbone.tokenizer),
        rendering.fingerprint,
        str(what),
        *(str(each.segments) for each in inputs),
    ):
        digest.update(part.encode())
    file = cache_folder() / "benchmarks" / f"{digest.hexdigest()}.safetensors"
    file.parent.mkdir(parents=True, exist_ok=True)
    return inputs, file


@contextmanager
def _reading(backbone: Backbone, inputs: Sequence[ModelInput]) -> Iterator[Advance]:
    """Show a bar while windows are read."""
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"Reading with {backbone.name}", total=len(inputs))
        yield lambda done, _total, _figures=None: bar.update(task, completed=done)


def examples_of(inputs: Sequence[ModelInput], totals: Scores) -> Examples:
    """Give rendered windows with their totals; items are not known, and all count alike."""
    unknown = np.full((len(inputs), len(PHQ_9.items)), np.nan)
    return Examples(inputs, totals, unknown, np.ones(len(inputs)))


def kept_scores(name: str, made_from: str, score: Callable[[], Scores]) -> Scores:
    """Give scores, from the cache outside the repository if the same were made before.

    Parameters
    ----------
    name
        Of what scores.
    made_from
        Everything that decides the scores, in words.
    score
        Makes them; how long it took is printed and kept beside them.
    """
    digest = hashlib.sha256(made_from.encode()).hexdigest()
    file = cache_folder() / "benchmarks" / f"{name}-{digest[:16]}.safetensors"
    if not file.is_file():
        begun = time.perf_counter()
        scores, took = score(), np.array(time.perf_counter() - begun)
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file({"scores": scores, "seconds": took}, file)
        Console(stderr=True).print(f"{name}: {took:.0f} s", style="dim")
    return load_file(file)["scores"]


def show(name: str, title: str, rows: Sequence[dict[str, Any]], given: Options) -> None:
    """Print rows as a table, or as one JSON object; save both with the date and hardware."""
    result = {"hardware": hardware(), "rows": list(rows)}
    if given.as_json:
        print(json.dumps(result, allow_nan=False))
    else:
        console = Console(width=None if sys.stdout.isatty() else 120)
        table = Table(title=title, title_justify="left")
        for column in _columns(rows):
            table.add_column(column, justify="left" if column == "name" else "right")
        for row in rows:
            table.add_row(*[_cell(row, column, "\n") for column in _columns(rows)])
        console.print(table)
        console.print(result["hardware"], style="dim")
    if given.save:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.md").write_text(_markdown(title, rows), "utf-8")
        (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")


def _markdown(title: str, rows: Sequence[dict[str, Any]]) -> str:
    columns = _columns(rows)
    lines = [
        f"# {title}",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {hardware()}",
        "",
        "| " + " | ".join(columns) + " |",
        "|" + "---|" * len(columns),
        *("| " + " | ".join(_cell(row, c, " ") for c in columns) + " |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def _columns(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Give the columns; an interval (`mae_ci`) stands in the cell of its figure."""
    keys = dict.fromkeys(key for row in rows for key in row)
    return [key for key in keys if not key.endswith("_ci")]


def _cell(row: dict[str, Any], column: str, between: str) -> str:
    value = row.get(column)
    if value is None:
        return "–"
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    interval = row.get(f"{column}_ci")
    if not interval:
        return text
    return f"{text}{between}[{', '.join(f'{bound:.3f}' for bound in interval)}]"
