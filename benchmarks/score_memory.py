"""Peak memory of `sottovoce score` on 100 and on 10,000 conversations of the bundled kind.

The bundled conversations are repeated under new people until the count is reached. Each run is a
process of its own; its peak is what the operating system counted. An estimator with the quick
MiniLM backbone is trained first, so that 10,000 conversations end in minutes; reading, grouping
and writing are the same for every backbone. It, too, is trained in a process of its own: Linux
counts a parent's memory into the peak of a process that it starts.
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
from sottovoce.conversations import read_json_lines, write_json_lines

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


def peak_memory(model: Path, chats: Path, out: Path) -> tuple[float, float, int]:
    """Score in a process of its own; give its peak in MB, its seconds, and its estimates."""
    command = [sys.executable, "-m", "sottovoce.cli", "score", str(chats), "--out", str(out)]
    command += ["--model", str(model)]
    start = time.monotonic()
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit("Error: sottovoce score failed; run it by hand to see why")
    with out.open("rb") as stream:
        return usage.ru_maxrss / 1024, time.monotonic() - start, sum(1 for _ in stream)


RECIPE = """
name: minilm-probe
data: {chats: bundled}
input: {layout: plain}
backbone: {name: minilm-l6-v2}
probe: {poolings: [mean]}
"""


def minilm_run(folder: Path) -> Path:
    """Train an estimator with the quick backbone on the bundled training people."""
    recipe, run = folder / "recipe.yaml", folder / "run"
    recipe.write_text(RECIPE, "utf-8")
    command = [sys.executable, "-m", "sottovoce.cli", "train", str(recipe), "--out", str(run)]
    subprocess.run(command, check=True, capture_output=True)
    return run


def main() -> None:
    """Print the table; exit 1 if the growth is above the bound."""
    given = options(__doc__ or "")
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = minilm_run(folder)
        base = 0.0
        for n in (100, 10_000):
            chats = folder / f"{n}.jsonl"
            write_chats(chats, n)
            peak, seconds, people = peak_memory(model, chats, folder / "scores.jsonl")
            (folder / "scores.jsonl").unlink()
            base = base or peak
            rows.append(
                {
                    "name": f"MiniLM estimator, {n:,} conversations",
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
