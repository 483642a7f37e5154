"""The linear probe: ridge regressions on pooled hidden states, chosen by folds of people.

Owns the arithmetic: leave-fold-out predictions in closed form for every pooling, layer and
penalty, the choice among them, and scores that the choice did not see. Does not know text or files.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sottovoce.backbones import Backbone
from sottovoce.body import Tensors
from sottovoce.features import Pooling, pooled_states
from sottovoce.model_input import ModelInput
from sottovoce.progress import Advance

Array = npt.NDArray[np.float64]

PENALTIES: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Ridge penalty per feature (the usual alpha divided by the number of features), features at unit
variance. On the training folds of both data sets the best lies at 0.1 to 1; the grid goes one
step of ten beyond on either side."""


N_AVERAGED = 10
"""How many of the best candidates are averaged. Against the single best it lowers the out-of-fold
MAE from 4.13 to 4.02 on the bundled training people and from 4.03 to 3.94 on dep-wor; 5 to 20
are alike (docs/decisions/0003)."""


@dataclass(frozen=True, slots=True)
class ProbeSearch:
    """What the search over candidates may do.

    Parameters
    ----------
    penalties
        Ridge penalties to try, per feature.
    n_averaged
        How many of the best candidates make the probe; 1 takes the best alone.
    """

    penalties: tuple[float, ...] = PENALTIES
    n_averaged: int = N_AVERAGED


@dataclass(frozen=True, slots=True)
class Choice:
    """One candidate probe: which pooled states it reads and how strongly it is shrunk."""

    pooling: Pooling
    layer: int
    penalty: float


@dataclass(frozen=True, slots=True)
class Probe:
    """A linear function of pooled states: the mean of the best candidates' ridge regressions.

    Parameters
    ----------
    choices
        What each of them reads, best first.
    weights
        Points per unit of each feature, shape (len(choices), hidden_size).
    intercepts
        Points, shape (len(choices),).
    """

    choices: tuple[Choice, ...]
    weights: Array
    intercepts: Array

    @classmethod
    def rebuild(cls, record: Mapping[str, Any], tensors: Tensors) -> "Probe":
        """Give the probe of a record and its tensors."""
        choices = tuple(
            Choice(each["pooling"], each["layer"], each["penalty"]) for each in record["choices"]
        )
        return cls(choices, tensors["probe.weights"], tensors["probe.intercepts"])

    @property
    def kind(self) -> str:
        """`probe`."""
        return "probe"

    @property
    def keep_layers(self) -> int:
        """Blocks up to the highest layer read, and one more: the last block's output is normed."""
        return self.layers[-1] + 1

    @property
    def record(self) -> dict[str, Any]:
        """What each ridge regression reads."""
        return {"kind": self.kind, "choices": [asdict(each) for each in self.choices]}

    @property
    def tensors(self) -> Tensors:
        """Weights and intercepts."""
        return {"probe.weights": self.weights, "probe.intercepts": self.intercepts}

    @property
    def summary(self) -> str:
        """How many members, on which layers."""
        layers = ", ".join(map(str, self.layers))
        return f"mean of {len(self.choices)} probes on layers {layers}"

    @property
    def described(self) -> str:
        """Members, layers, poolings and penalties."""
        members = "; ".join(
            f"layer {each.layer}, {each.pooling}, {each.penalty:g}" for each in self.choices
        )
        return f"mean of {len(self.choices)} ridge regressions: {members}"

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers that are read, ascending."""
        return tuple(sorted({choice.layer for choice in self.choices}))

    @property
    def poolings(self) -> tuple[Pooling, ...]:
        """The poolings that are read."""
        return tuple(dict.fromkeys(choice.pooling for choice in self.choices))

    def prepare(self, backbone: Backbone) -> Backbone:
        """Give the backbone as it is: a probe reads it frozen."""
        return backbone

    def predict(self, backbone: Backbone, inputs: Sequence[ModelInput], advance: Advance) -> Array:
        """Score rendered windows in points, not bounded, shape (n,)."""
        states = pooled_states(backbone, inputs, self.layers, self.poolings, advance)
        return self.points(states, self.layers)

    def points(
        self, features: Mapping[Pooling, npt.NDArray[np.float32]], layers: Sequence[int]
    ) -> Array:
        """Score pooled states in points, not bounded.

        Parameters
        ----------
        features
            Pooling to states, shape (n, len(layers), hidden_size).
        layers
            Which layers the second axis holds; more than the probe reads do no harm.

        Returns
        -------
        array, shape (n,)
        """
        place = {layer: index for index, layer in enumerate(layers)}
        scores = [
            features[choice.pooling][:, place[choice.layer]] @ weights + intercept
            for choice, weights, intercept in zip(
                self.choices, self.weights, self.intercepts, strict=True
            )
        ]
        return np.asarray(np.mean(scores, axis=0))


@dataclass(frozen=True, slots=True)
class Lesson:
    """What the regressions are fitted to, where it is not simply each total, counted once.

    Parameters
    ----------
    targets
        Points, shape (n,).
    weights
        How much each window counts, above 0, shape (n,).
    """

    targets: Array
    weights: Array


@dataclass(frozen=True, slots=True)
class FittedProbe:
    """A probe and what the folds said.

    Parameters
    ----------
    probe
        Fitted on every window, by the choice of all folds.
    held_out
        Score of each window by a probe that saw nobody of its fold, neither in fitting nor in
        choosing; points, shape (n,), NaN for a window of no fold.
    errors
        Mean absolute out-of-fold error of each candidate, in points.
    """

    probe: Probe
    held_out: Array
    errors: Mapping[Choice, float]


def fit_probe(
    features: Mapping[Pooling, npt.NDArray[np.float32]],
    layers: Sequence[int],
    totals: Array,
    folds: npt.NDArray[np.int64],
    search: ProbeSearch,
    lesson: Lesson | None = None,
) -> FittedProbe:
    """Choose pooling, layer and penalty by cross-validation over people, then fit.

    Parameters
    ----------
    features
        Pooling to pooled states, shape (n, len(layers), hidden_size).
    layers
        Which layers the second axis holds.
    totals
        Questionnaire totals in points, shape (n,); not looked at where the fold is -1.
    folds
        Fold of each window, shape (n,); a person's windows share one. A window of fold -1 is
        fitted on always: it is never held out, and its error chooses nothing.
    search
        Penalties to try, and how many of the best candidates are averaged.
    lesson
        What is fitted; None fits the totals, each counted once.

    Returns
    -------
    FittedProbe

    Notes
    -----
    A ridge fit is a linear smoother, so its prediction for a left-out fold F follows from the fit
    on everybody: ``y_F - (I - H_FF)^-1 (y_F - (H y)_F)``; with weights, y and H are those of rows
    times the root of their weight. One eigendecomposition per pooling and layer serves all folds
    and penalties. Features are scaled over all windows, each counted once, without their labels,
    and centred at the weighted mean. For each fold the choice is made anew on the errors of the
    other folds, so that the held-out scores do not flatter the choice.
    """
    lesson = lesson or Lesson(totals, np.ones(len(totals)))
    asked = folds >= 0
    choices: list[Choice] = []
    rows: list[Array] = []
    for pooling, states in features.items():
        for index, layer in enumerate(layers):
            tried = _leave_fold_out(states[:, index], lesson, folds, search.penalties)
            for penalty, scores in tried:
                choices.append(Choice(pooling, layer, penalty))
                rows.append(scores)
    predictions = np.array(rows)
    absolute = np.abs(predictions - totals)
    held_out = np.full(len(totals), np.nan)
    for fold in np.unique(folds[asked]):
        inside = folds == fold
        best = _best(absolute[:, asked & ~inside], search.n_averaged)
        held_out[inside] = predictions[np.ix_(best, inside)].mean(axis=0)
    absolute = absolute[:, asked]
    chosen = [choices[index] for index in _best(absolute, search.n_averaged)]
    fits = [
        _fit(choice, features[choice.pooling][:, list(layers).index(choice.layer)], lesson)
        for choice in chosen
    ]
    probe = Probe(
        tuple(chosen),
        np.array([weights for weights, _ in fits]),
        np.array([intercept for _, intercept in fits]),
    )
    errors = dict(zip(choices, absolute.mean(axis=1).tolist(), strict=True))
    return FittedProbe(probe, held_out, errors)


def _best(absolute: Array, count: int) -> npt.NDArray[np.int64]:
    """Rows of least mean error, best first."""
    return np.argsort(absolute.mean(axis=1), kind="stable")[:count]


def _leave_fold_out(
    states: npt.NDArray[np.float32],
    lesson: Lesson,
    folds: npt.NDArray[np.int64],
    penalties: Sequence[float],
) -> Iterator[tuple[float, Array]]:
    mean, scale = _moments(states, lesson.weights)
    root, width = np.sqrt(lesson.weights), states.shape[1]
    basis, eigenvalues = _spectrum(root[:, None] * ((states - mean) / scale))
    targets = root * lesson.targets
    level = root * np.average(lesson.targets, weights=lesson.weights)
    for penalty in penalties:
        shrink = eigenvalues / (eigenvalues + penalty * width)
        fitted = level + basis @ (shrink * (basis.T @ targets))
        held_out = np.full(len(targets), np.nan)
        for fold in np.unique(folds[folds >= 0]):
            rows = np.flatnonzero(folds == fold)
            part = basis[rows]
            intercept = np.outer(root[rows], root[rows]) / lesson.weights.sum()
            hat = intercept + (part * shrink) @ part.T
            residual = np.linalg.solve(np.eye(len(rows)) - hat, targets[rows] - fitted[rows])
            held_out[rows] = lesson.targets[rows] - residual / root[rows]
        yield penalty, held_out


def _spectrum(centred: Array) -> tuple[Array, Array]:
    """Left singular vectors and squared singular values, by the smaller Gram matrix."""
    n, width = centred.shape
    if n <= width:
        eigenvalues, basis = np.linalg.eigh(centred @ centred.T)
    else:
        eigenvalues, right = np.linalg.eigh(centred.T @ centred)
        keep = eigenvalues > eigenvalues[-1] * 1e-12
        eigenvalues, right = eigenvalues[keep], right[:, keep]
        basis = centred @ right / np.sqrt(eigenvalues)
    return basis, np.maximum(eigenvalues, 0.0)


def _fit(choice: Choice, states: npt.NDArray[np.float32], lesson: Lesson) -> tuple[Array, float]:
    """Fit ridge on standardised features; give weights and intercept for unscaled ones."""
    mean, scale = _moments(states, lesson.weights)
    root = np.sqrt(lesson.weights)
    centred = root[:, None] * ((states - mean) / scale)
    basis, eigenvalues = _spectrum(centred)
    alpha = choice.penalty * states.shape[1]
    shrunk = (basis.T @ (root * lesson.targets)) / (eigenvalues + alpha)
    weights = centred.T @ (basis @ shrunk) / scale
    return weights, float(np.average(lesson.targets, weights=lesson.weights) - mean @ weights)


def _moments(states: npt.NDArray[np.float32], weights: Array) -> tuple[Array, Array]:
    """Weighted mean and plain deviation of each feature; a constant feature keeps scale 1."""
    wide = states.astype(np.float64)
    scale = wide.std(axis=0)
    return np.average(wide, axis=0, weights=weights), np.where(scale > 1e-9, scale, 1.0)
