"""Fine-tuning with honest errors: who is trained on, who stops it, and whose errors are kept.

Owns the folds of people around one or several trainings. Does not know how one training goes
(`finetune`), nor intervals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sottovoce.backbones import Backbone
from sottovoce.cohort import assign_folds, real_folds
from sottovoce.finetune import finetune
from sottovoce.instruments import instrument
from sottovoce.jobs import Examples, Job, Rows
from sottovoce.progress import Advance, Figures, silent
from sottovoce.settings import EstimatorSettings, FinetuneSettings
from sottovoce.tuned import TunedBody


@dataclass(frozen=True, slots=True)
class Tuning:
    """A trained body and what it, or its like, said about people it had not seen.

    Parameters
    ----------
    body
        Trained on everybody, or on everybody but the calibration fold.
    rows
        Windows that have a held-out score, shape (m,).
    held_out
        Their scores in points, shape (m,).
    folds
        Fold of each of them, shape (m,): its interval is made from the other folds' errors.
    history
        A record of each step and epoch of each training.
    """

    body: TunedBody
    rows: Rows
    held_out: npt.NDArray[np.float64]
    folds: npt.NDArray[np.int64]
    history: tuple[dict[str, Any], ...]


def tune(
    backbone: Backbone,
    examples: Examples,
    users: Sequence[str],
    settings: EstimatorSettings,
    checkpoints: Path | None = None,
    advance: Advance = silent,
) -> Tuning:
    """Train as the settings say, and score people that a training had not seen.

    Windows with a pseudolabel are trained on every time; they stop no training and are not scored.

    Parameters
    ----------
    backbone
        Untrained; afterwards as it was before.
    examples
        Length n.
    users
        Person of each, length n.
    settings
        With settings for fine-tuning.
    checkpoints
        Folder of the trainings' checkpoints; a tuning that was killed goes on from them.
    advance
        Called with windows trained on and how many there can be, over all trainings, and with
        the record of each step and epoch.

    Raises
    ------
    DataError
        If there are fewer people than folds.
    ModelError
        As `finetune`.
    """
    used = settings.finetune
    assert used is not None
    folds = real_folds(users, used.n_folds, settings.seed, examples.yardstick)
    jobs = trainings(examples, users, settings, folds, checkpoints)
    measured = instrument(settings.instrument)
    held_out = np.empty(len(users))
    history: list[dict[str, Any]] = []
    size = len(users)
    for number, job in enumerate(jobs):
        told = _shared(advance, number, size, size * len(jobs))
        tuned = finetune(backbone, examples, measured, used, job, told)
        held_out[job.held_out] = tuned.held_out
        history += tuned.history
    rows = np.concatenate([job.held_out for job in jobs])
    rows.sort()
    if used.calibration == "held_out":  # one training saw none of them: any folds are honest
        own = [users[row] for row in rows]
        n_folds = min(used.n_folds, len(set(own)))
        apart = assign_folds(own, n_folds, settings.seed, examples.yardstick[rows])
    else:
        apart = folds[rows]
    return Tuning(tuned.body, rows, held_out[rows], apart, tuple(history))


def _shared(advance: Advance, number: int, size: int, whole: int) -> Advance:
    """Give the callback of one training of several, however many of its windows it sees."""

    def told(done: int, total: int | None, figures: Figures | None = None) -> None:
        advance(round(size * (number + done / (total or 1))), whole, figures)

    return told


def trainings(
    examples: Examples,
    users: Sequence[str],
    settings: EstimatorSettings,
    folds: npt.NDArray[np.int64],
    checkpoints: Path | None,
) -> list[Job]:
    """Give the trainings in order; the last one makes the estimator.

    Parameters
    ----------
    examples, users
        Length n.
    settings, checkpoints
        As for `tune`.
    folds
        Fold of each example, shape (n,), -1 for a pseudolabel.
    """
    used = settings.finetune
    assert used is not None
    nobody = np.zeros(len(folds), np.bool_)
    left_out: list[tuple[str, npt.NDArray[np.bool_]]] = [("final", nobody)]
    if used.calibration == "held_out":
        left_out = [("final", folds == 0)]
    else:
        left_out = [(f"fold-{fold}", folds == fold) for fold in range(used.n_folds)] + left_out
    jobs = []
    for name, outside in left_out:
        inside = np.flatnonzero(~outside)
        stops = validation_rows(inside, users, examples, used, settings.seed)
        jobs.append(
            Job(
                name,
                inside[~stops],
                inside[stops],
                np.flatnonzero(outside),
                settings.seed,
                checkpoints,
            )
        )
    return jobs


def validation_rows(
    rows: Rows,
    users: Sequence[str],
    examples: Examples,
    settings: FinetuneSettings,
    seed: int,
) -> npt.NDArray[np.bool_]:
    """Say which of the rows decide when to stop; a person is on one side only.

    Parameters
    ----------
    rows
        Of the examples, shape (m,): those that a training may know.
    users, examples
        Person and label of every row, length n.
    settings, seed
        Share of the people, and the seed of the folds.

    Returns
    -------
    array of bool, shape (m,)
    """
    if settings.validation_share == 0:
        return np.zeros(len(rows), np.bool_)
    own = [users[row] for row in rows]
    reported = examples.yardstick[rows]
    real = {user for user, total in zip(own, reported, strict=True) if not np.isnan(total)}
    parts = min(round(1 / settings.validation_share), len(real))
    # another seed than the folds', or the validation people would be one of the folds again
    return np.equal(real_folds(own, parts, seed + 1, reported), 0)
