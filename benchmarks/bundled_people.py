"""The shipped recipes on the bundled test people: 120 simulated people nobody was trained on.

Trains `recipes/small-ensemble.yaml`, whose members are the other rows, on the 200 labelled
training people, unless its run is already in the cache folder outside the repository, and scores
the test people with each. Simulated: good for comparing methods, never clinical evidence.
"""

import hashlib
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from benchmarks.shared import options, show
from sottovoce import bundled
from sottovoce.assembly import assemble
from sottovoce.backbones import cache_folder
from sottovoce.cohort import build_cohort
from sottovoce.ensemble import MEMBERS
from sottovoce.estimator import Estimator
from sottovoce.evaluation import Predictions, compare
from sottovoce.progress import Figures

RECIPES = Path("recipes")
ENSEMBLE, PROBE = "small-ensemble", "smollm2-probe"
ROWS = (PROBE, "minilm-full", "smollm2-lora")


def run_folder() -> Path:
    """Give where the run of these very recipes lies."""
    digest = hashlib.sha256()
    for name in (*ROWS, ENSEMBLE):
        digest.update((RECIPES / f"{name}.yaml").read_bytes())
    return cache_folder() / "benchmarks" / f"{ENSEMBLE}-{digest.hexdigest()[:16]}"


def trained() -> Path:
    """Train the ensemble and its members, which takes about an hour on two cores."""
    out = run_folder()
    if not out.is_dir():
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("Training", total=None)

            def advance(done: int, total: int | None, _figures: Figures | None = None) -> None:
                bar.update(task, completed=done, total=total)

            assemble(RECIPES / f"{ENSEMBLE}.yaml", out, advance)
    return out


def main() -> None:
    """Print the table."""
    given = options(__doc__ or "")
    run = trained()
    folders = {name: run / MEMBERS / name for name in ROWS} | {ENSEMBLE: run}
    scorers = {name: Estimator.from_pretrained(folder) for name, folder in folders.items()}
    rules, instrument = scorers[PROBE].rules, scorers[PROBE].instrument
    people = build_cohort(bundled.conversations("test"), bundled.labels("test"), rules, instrument)
    predictors = {
        name: Predictions.of(scorer.score(people.windows)) for name, scorer in scorers.items()
    }
    comparison = compare(
        people.totals, predictors, people.users, reference=PROBE, instrument=instrument
    )
    title = f"{len(people.windows)} simulated test people, trained on the 200 labelled, PHQ-9"
    show("bundled_people", title, comparison.flat(), given)


if __name__ == "__main__":
    main()
