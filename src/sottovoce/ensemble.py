"""The ensemble: several estimators as one, with weights and an interval learnt out of fold.

Owns what members must share, putting their scores together, abstaining with them, and the folder
that holds them all. Does not know the arithmetic (`combination`), nor what a member is made of.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sottovoce.cohort import Window, WindowRules
from sottovoce.combination import Combination, Question, Weighting, combine, out_of_fold
from sottovoce.conformal import PredictiveDistribution
from sottovoce.errors import DataError, ModelError
from sottovoce.estimates import Dropped, Estimate
from sottovoce.estimator import Estimator, Fit
from sottovoce.instruments import Instrument
from sottovoce.progress import Advance, part, silent
from sottovoce.scorer import Judged, Reading, Scorer

FORMAT_VERSION = 1
RECORD_FILE, TENSOR_FILE, MEMBERS = "ensemble.json", "ensemble.safetensors", "members"

MEMBER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""Names that are a folder on every system."""

_BROKEN = (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError)


class Ensemble(Scorer):
    """Estimates by several estimators of the same instrument and window rules.

    Parameters
    ----------
    members
        Estimators by name; each has its own body, backbone and rendering.
    combination
        Their weights, in the same order, and the errors of what they say together.
    settings
        Kind of weights, and coverage of the interval.
    """

    def __init__(
        self, members: Mapping[str, Estimator], combination: Combination, settings: Question
    ) -> None:
        self.members, self.combination, self.settings = dict(members), combination, settings

    @property
    def instrument(self) -> Instrument:
        """The questionnaire whose total is estimated."""
        return self.settings.instrument

    @property
    def rules(self) -> WindowRules:
        """The window rules, the same for every member."""
        return next(iter(self.members.values())).rules

    @property
    def coverage(self) -> float:
        """Coverage of the interval unless another is asked for, 0 to 1."""
        return self.settings.coverage

    @property
    def weights(self) -> dict[str, float]:
        """Weight of each member, not negative, sum 1."""
        return dict(zip(self.members, self.combination.weights.tolist(), strict=True))

    @property
    def distribution(self) -> PredictiveDistribution:
        """The errors out of fold, as wide as at the members' typical disagreement."""
        return PredictiveDistribution(self.combination.residuals)

    @property
    def record(self) -> dict[str, Any]:
        """Everything that is not a tensor, as JSON values."""
        made = self.combination
        return {
            "format": "sottovoce-ensemble",
            "format_version": FORMAT_VERSION,
            "members": [  # a list: weights follow their order
                {"name": name, "model_id": each.model_id} for name, each in self.members.items()
            ],
            "weighting": self.settings.weighting,
            "coverage": self.coverage,
            "width_follows_disagreement": made.share,
            "typical_disagreement": made.typical,
            "interval_scores": {str(share): score for share, score in made.interval_scores.items()},
        }

    @cached_property
    def model_id(self) -> str:
        """Number of members and a hash of the members' ids, weights and residuals."""
        digest = hashlib.sha256(json.dumps(self.record, sort_keys=True).encode())
        for tensor in (self.combination.weights, self.combination.residuals):
            digest.update(np.ascontiguousarray(tensor).tobytes())
        return f"ensemble-{len(self.members)}-{digest.hexdigest()[:12]}"

    @property
    def summary(self) -> str:
        """Members and weights."""
        members = ", ".join(f"{name} {weight:.2f}" for name, weight in self.weights.items())
        return f"members {members}"

    def read(self, windows: Sequence[Window]) -> list[Reading]:
        """Let every member read each window; what one cannot read has its name and reason."""
        columns = []
        for name, member in self.members.items():
            with _naming(name):
                columns.append(member.read(windows))
        return [
            self._together(window, readings)
            for window, *readings in zip(windows, *columns, strict=True)
        ]

    def _together(self, window: Window, readings: Sequence[Reading]) -> Reading:
        for name, each in zip(self.members, readings, strict=True):
            if each.reason is not None:
                return Reading(window.reason or f"member {name}: {each.reason}")
        dropped = Dropped.most(each.dropped or Dropped() for each in readings)
        return Reading(None, readings, dropped)

    def judge(self, readings: Sequence[Reading], advance: Advance = silent) -> list[Judged]:
        """Put the members' scores together, and the errors to expect where they disagree so.

        The grounds are those of the first member that explains.
        """
        columns, grounds = [], []
        for number, (name, member) in enumerate(self.members.items()):
            own = [each.content[number] for each in readings]
            with _naming(name):
                judged = member.judge(own, part(number, len(self.members), advance))
            columns.append([each.score for each in judged])
            grounds.append([each.grounds for each in judged])
        return [
            Judged(*_scored(self.combination, points), next(filter(None, theirs), None))
            for points, *theirs in zip(np.array(columns).T, *grounds, strict=True)
        ]

    def warm_up(self) -> None:
        """Load every member's backbone."""
        for member in self.members.values():
            member.warm_up()

    @property
    def explains(self) -> bool:
        """Whether a member explains."""
        return any(member.explains for member in self.members.values())

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write `ensemble.json`, `ensemble.safetensors` and each member into `members/NAME/`."""
        for name, member in self.members.items():
            member.save_pretrained(Path(folder) / MEMBERS / name)
        return self.save_combination(folder)

    def save_combination(self, folder: str | Path) -> Path:
        """Write the two files of the ensemble into a folder that holds the members already."""
        from safetensors.numpy import save_file

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {"weights": self.combination.weights, "residuals": self.combination.residuals}
        save_file(tensors, folder / TENSOR_FILE)
        text = json.dumps({**self.record, "model_id": self.model_id}, indent=2, allow_nan=False)
        (folder / RECORD_FILE).write_text(text + "\n", "utf-8")
        return folder


@dataclass(frozen=True, slots=True)
class EnsembleFit:
    """An ensemble and what its folds said.

    Parameters
    ----------
    ensemble
        Ready to score.
    held_out
        Score of each training window by members and weights that were made without the person,
        points, shape (n,).
    folds
        Fold of each window, shape (n,).
    points
        The members' own held-out scores, shape (n, k).
    dropped
        What the token budget left out of each training window, at most, of one member.
    """

    ensemble: Ensemble
    held_out: npt.NDArray[np.float64]
    folds: npt.NDArray[np.int64]
    points: npt.NDArray[np.float64]
    dropped: tuple[Dropped, ...]

    def held_out_estimates(self, windows: Sequence[Window]) -> list[Estimate]:
        """Give each training window's estimate by what was learnt without its fold.

        Weights, residuals and whether the width follows disagreement are those of the other
        folds.

        Parameters
        ----------
        windows
            The training windows, all of them.
        """
        totals = np.array([window.total for window in windows])
        learnt = out_of_fold(self.points, totals, self.folds, self.ensemble.settings)
        estimates = []
        for row, window in enumerate(windows):
            score, distribution = _scored(learnt[int(self.folds[row])], self.points[row])
            dropped = self.dropped[row] if self.dropped else None
            estimates.append(
                self.ensemble.estimate(window, score, distribution=distribution, dropped=dropped)
            )
        return estimates


def fit_ensemble(
    windows: Sequence[Window],
    fits: Mapping[str, Fit],
    *,
    weighting: Weighting = "learnt",
    coverage: float | None = None,
) -> EnsembleFit:
    """Make an ensemble of estimators that were fitted on the same people and folds.

    A member may have been fitted on pseudolabels, too, whose windows came after the others: of
    them there is no honest error, and neither weights nor widths rest on them.

    Parameters
    ----------
    windows
        Those with a questionnaire, on which every member was fitted, in the same order.
    fits
        What `Estimator.fit` gave, by name of the member.
    weighting
        ``learnt`` on the members' held-out scores, or ``equal``.
    coverage
        Of the interval, 0 to 1; the first member's by default.

    Raises
    ------
    DataError
        If there are fewer than two members or three folds, or a member has another instrument,
        window rules or folds than the first, or no held-out score of some window; the sentence
        names it.
    """
    if len(fits) < 2:
        raise DataError("an ensemble has two members or more", fix="add an estimator")
    first = next(iter(fits.values()))
    for name, fit in fits.items():
        _refuse_stranger(name, fit, first, len(windows))
    totals = np.array([window.total for window in windows])
    points = np.stack([fit.held_out for fit in fits.values()], axis=1)
    leader = first.estimator
    to = Question(leader.instrument, leader.coverage if coverage is None else coverage, weighting)
    learnt = out_of_fold(points, totals, first.folds, to)
    held_out = np.empty(len(totals))
    for fold, combination in learnt.items():
        inside = first.folds == fold
        held_out[inside] = combination.score(points[inside])
    members = {name: fit.estimator for name, fit in fits.items()}
    ensemble = Ensemble(members, combine(points, totals, first.folds, to), to)
    counted = zip(*(fit.dropped for fit in fits.values()), strict=False)
    dropped = tuple(Dropped.most(each) for each in counted)
    return EnsembleFit(ensemble, held_out, first.folds, points, dropped)


def read_ensemble(folder: str | Path) -> Ensemble:
    """Read an ensemble and its members, refusing anything that does not fit together.

    Raises
    ------
    ModelError
        If a file is missing or damaged, or a member is not the one that the ensemble was made
        with; the sentence says which.
    """
    folder = Path(folder)
    record, tensors = _read_files(folder)
    try:
        expected = {str(each["name"]): str(each["model_id"]) for each in record["members"]}
        combination = Combination(
            tensors["weights"],
            float(record["width_follows_disagreement"]),
            float(record["typical_disagreement"]),
            PredictiveDistribution.from_residuals(tensors["residuals"]).residuals,
            {float(share): score for share, score in record["interval_scores"].items()},
        )
        members = {name: _read_member(folder, name, expected[name]) for name in expected}
        leader = next(iter(members.values()))
        settings = Question(leader.instrument, record["coverage"], record["weighting"])
        ensemble = Ensemble(members, combination, settings)
        found = ensemble.model_id if len(combination.weights) == len(members) else ""
        whole = record["model_id"] == found
    except (*_BROKEN, StopIteration):
        raise ModelError(f"{folder}: {RECORD_FILE} is incomplete; copy it anew") from None
    if not whole:
        raise ModelError(
            f"{folder}: the ensemble's record and weights are not those that were saved together; "
            "copy it anew"
        )
    return ensemble


def _read_files(folder: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[np.float64]]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    name = RECORD_FILE
    try:
        record = json.loads((folder / name).read_text("utf-8"))
        name = TENSOR_FILE
        tensors = load_file(folder / name)
    except FileNotFoundError:
        raise ModelError(f"{folder}: {name} is missing; copy it anew") from None
    except (*_BROKEN, SafetensorError):
        raise ModelError(f"{folder}: {name} is damaged; copy it anew") from None
    found = record.get("format_version") if isinstance(record, dict) else None
    if found != FORMAT_VERSION:
        raise ModelError(
            f"{folder}: the ensemble has format {found}, this version reads format "
            f"{FORMAT_VERSION}; train again or install the version that wrote it"
        )
    return record, tensors


def _read_member(folder: Path, name: str, model_id: str) -> Estimator:
    if not MEMBER_NAME.fullmatch(name):
        raise ModelError(f"{folder}: a member's name is no name of a folder; copy it anew")
    with _naming(name):
        member = Estimator.from_pretrained(folder / MEMBERS / name)
        if not isinstance(member, Estimator) or member.model_id != model_id:
            raise ModelError(
                f"it is not the estimator that the ensemble was made with (expected {model_id}, "
                f"found {member.model_id}); restore it or train again"
            )
    return member


def _scored(
    combination: Combination, points: npt.NDArray[np.float64]
) -> tuple[float, PredictiveDistribution]:
    """Score and distribution of one window, as `Scorer.judge` gives them."""
    return float(combination.score(points[None, :])[0]), combination.distribution(points)


@contextmanager
def _naming(member: str) -> Iterator[None]:
    """Say in an error which member it is about."""
    try:
        yield
    except ModelError as error:
        raise ModelError(f"member {member}: {error}") from None


def _refuse_stranger(name: str, fit: Fit, first: Fit, n_windows: int) -> None:
    def refuse(what: str, fix: str) -> None:
        raise DataError(f"{name} {what}", field="members", fix=fix)

    if not MEMBER_NAME.fullmatch(name):
        raise DataError(
            "a member's name is no name of a folder", field="members", fix="use letters and digits"
        )
    if fit.estimator.instrument != first.estimator.instrument:
        refuse("estimates another instrument than the first", "train it for the same one")
    if fit.estimator.rules != first.estimator.rules:
        refuse("has other window rules than the first", "train it with the same ones")
    if not np.array_equal(fit.rows, np.arange(n_windows)):
        refuse(
            f"has held-out scores of {len(fit.rows)} windows that are not the {n_windows} given",
            "train it on these windows first, and a fine-tuning with calibration cross_fit",
        )
    if not np.array_equal(fit.folds, first.folds):
        refuse("has other folds of people than the first", "train it with the same seed and folds")
