"""The main job on the bundled cohort: score people, compare with baselines, write the report.

Owns which predictors stand side by side. Everybody in it is simulated. The work is `benchmark`'s;
how the table is printed is the command's.
"""

from pathlib import Path

from sottovoce.benchmark import Asked, Benchmark, run_benchmark
from sottovoce.datasets import open_dataset
from sottovoce.estimator import Estimator
from sottovoce.pedigree import find_pedigree
from sottovoce.progress import Stage, quiet

ESTIMATOR = "this estimator"
RUNGS = ("mean", "tfidf", "embeddings")
NOTE = "frozen SmolLM2-135M and a linear probe, the same 200 training people"


def run_demo(out: Path, stage: Stage = quiet) -> Benchmark:
    """Score the bundled test people and set every predictor side by side.

    Parameters
    ----------
    out
        Folder for `scores.jsonl`, `benchmark.json`, the report, its figures and tables.
    stage
        Opens a progress bar for each slow step.

    Raises
    ------
    MissingExtraError, ModelError
        If a backbone's wheel or an extra is not installed.
    """
    estimator = Estimator.from_pretrained()
    asked = Asked(
        {ESTIMATOR: estimator},
        find_pedigree(estimator),
        rungs=RUNGS,
        notes={ESTIMATOR: NOTE},
        command="sottovoce demo",
    )
    return run_benchmark(open_dataset("bundled"), asked, out, stage)
