"""Peak memory of `sottovoce score` on 100 and on 10,000 conversations of the bundled kind.

The bundled conversations are repeated under new people until the count is reached. Each run is a
process of its own; its peak is what the operating system counted. An estimator with the quick
MiniLM backbone is trained first, so that 10,000 conversations end in minutes; reading, grouping
and writing are the same for every backbone. The bundled estimator is measured on 100 and 1,000.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import count, islice
from pathlib import Path
from typing import Any

from benchmarks.shared import options, show
from sottovoce import bundled
from sottovoce.cohort import build_cohort
from sottovoce.conversations import read_json_lines, write_json_lines
from sottovoce.estimator import Estimator
from sottovoce.instruments import PHQ_9
from sottovoce.model_input import Rendering
from sottovoce.settings import BackboneSettings, EstimatorSettings, ProbeSettings

ALLOWED_MB = 200
"""The bound that the project set itself."""


def write_chats(path: Path, n: int) -> None:
    """Repeat the bundled conversations under new people."""
    records = [record for _, record in read_json_lines(bundled.CHATS)]

    def repeated() -> Any:
        for turn in count():
            for record in records:
                assert isinstance(record, dict)
                yield record | {"user_id": f"{record['user_id']}-{turn}"}

    write_json_lines(path, islice(repeated(), n))


def peak_memory(model: Path | None, chats: Path, out: Path) -> tuple[float, float, int]:
    """Score in a process of its own; give its peak in MB, its seconds, and its estimates."""
    command = [sys.executable, "-m", "sottovoce.cli", "score", str(chats), "--out", str(out)]
    command += [] if model is None else ["--model", str(model)]
    start = time.monotonic()
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit("Error: sottovoce score failed; run it by hand to see why")
    with out.open("rb") as stream:
        return usage.ru_maxrss / 1024, time.monotonic() - start, sum(1 for _ in stream)


def minilm_estimator(folder: Path) -> Path:
    """Train an estimator with the quick backbone on the bundled training people."""
    settings = EstimatorSettings(
        backbone=BackboneSettings("minilm-l6-v2"),
        rendering=Rendering(layout="plain"),
        probe=ProbeSettings(("mean",)),
    )
    cohort = build_cohort(
        bundled.conversations("train"), bundled.labels("train"), settings.rules, PHQ_9
    )
    return Estimator.fit(cohort.windows, settings).estimator.save_pretrained(folder)


def main() -> None:
    """Print the table; exit 1 if the growth is above the bound."""
    given = options(__doc__ or "")
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan: list[tuple[str, Path | None, int]] = [
            ("MiniLM estimator", minilm_estimator(folder / "minilm"), 100),
            ("MiniLM estimator", folder / "minilm", 10_000),
            ("bundled estimator", None, 100),
            ("bundled estimator", None, 1_000),
        ]
        base = 0.0
        for estimator, model, n in plan:
            chats = folder / f"{n}.jsonl"
            if not chats.exists():
                write_chats(chats, n)
            peak, seconds, people = peak_memory(model, chats, folder / "scores.jsonl")
            (folder / "scores.jsonl").unlink()
            base = peak if n == 100 else base
            rows.append(
                {
                    "name": f"{estimator}, {n:,} conversations",
                    "people": people,
                    "peak_mb": round(peak),
                    "growth_mb": round(peak - base),
                    "people_per_second": round(people / seconds, 2),
                }
            )
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    show("score_memory", f"Peak memory of scoring; bound {ALLOWED_MB} MB of growth", rows, given)
    if max(row["growth_mb"] for row in rows) > ALLOWED_MB:
        sys.exit(f"Error: memory grew by more than {ALLOWED_MB} MB")


if __name__ == "__main__":
    main()
