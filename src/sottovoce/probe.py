"""The linear probe: ridge regression on pooled hidden states, everything chosen by people's folds.

Owns the arithmetic: leave-fold-out predictions in closed form for every pooling, layer and
penalty, the choice among them, and residuals that the choice did not see. Does not know text,
backbones or files.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sottovoce.features import Pooling

Array = npt.NDArray[np.float64]

PENALTIES: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Ridge penalty per feature (the usual alpha divided by the number of features), features at unit
variance. On the training folds of both data sets the best lies at 0.1 to 1; the grid goes one
step of ten beyond on either side."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One candidate probe: which pooled states it reads and how strongly it is shrunk."""

    pooling: Pooling
    layer: int
    penalty: float


@dataclass(frozen=True, slots=True)
class Probe:
    """A fitted ridge regression.

    Parameters
    ----------
    choice
        What it reads.
    mean, scale
        Of each feature over the training windows, shape (hidden_size,).
    weights
        Points per standardised feature, shape (hidden_size,).
    intercept
        Points.
    """

    choice: Choice
    mean: Array
    scale: Array
    weights: Array
    intercept: float

    def predict(self, features: npt.NDArray[np.float32]) -> Array:
        """Score pooled states of shape (n, hidden_size) in points, shape (n,); not bounded."""
        return (features - self.mean) / self.scale @ self.weights + self.intercept


@dataclass(frozen=True, slots=True)
class FittedProbe:
    """A probe and what the folds said.

    Parameters
    ----------
    probe
        Fitted on every window, by the choice of all folds.
    held_out
        Score of each window by a probe that saw nobody of its fold, neither in fitting nor in
        choosing; points, shape (n,).
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
    penalties: Sequence[float] = PENALTIES,
) -> FittedProbe:
    """Choose pooling, layer and penalty by cross-validation over people, then fit.

    Parameters
    ----------
    features
        Pooling to pooled states, shape (n, len(layers), hidden_size).
    layers
        Which layers the second axis holds.
    totals
        Questionnaire totals in points, shape (n,).
    folds
        Fold of each window, shape (n,); a person's windows share one.
    penalties
        Candidates, per feature.

    Returns
    -------
    FittedProbe

    Notes
    -----
    A ridge fit is a linear smoother, so its prediction for a left-out fold F follows from the fit
    on everybody: ``y_F - (I - H_FF)^-1 (y_F - (H y)_F)``. One eigendecomposition per pooling and
    layer serves all folds and penalties. Features are standardised over all windows, without
    their labels. For each fold the choice is made anew on the errors of the other folds, so that
    the held-out scores do not flatter the choice.
    """
    choices: list[Choice] = []
    rows: list[Array] = []
    for pooling, states in features.items():
        for index, layer in enumerate(layers):
            for penalty, held_out in _leave_fold_out(states[:, index], totals, folds, penalties):
                choices.append(Choice(pooling, layer, penalty))
                rows.append(held_out)
    predictions = np.array(rows)
    absolute = np.abs(predictions - totals)
    held_out = np.empty_like(totals)
    for fold in np.unique(folds):
        inside = folds == fold
        best = int(absolute[:, ~inside].mean(axis=1).argmin())
        held_out[inside] = predictions[best, inside]
    errors = dict(zip(choices, absolute.mean(axis=1).tolist(), strict=True))
    choice = min(errors, key=lambda each: errors[each])
    states = features[choice.pooling][:, list(layers).index(choice.layer)]
    return FittedProbe(_fit(choice, states, totals), held_out, errors)


def _leave_fold_out(
    states: npt.NDArray[np.float32],
    totals: Array,
    folds: npt.NDArray[np.int64],
    penalties: Sequence[float],
) -> Iterator[tuple[float, Array]]:
    mean, scale = _moments(states)
    basis, eigenvalues = _spectrum((states - mean) / scale)
    n, width = states.shape
    for penalty in penalties:
        shrink = eigenvalues / (eigenvalues + penalty * width)
        fitted = totals.mean() + basis @ (shrink * (basis.T @ totals))
        held_out = np.empty(n)
        for fold in np.unique(folds):
            rows = np.flatnonzero(folds == fold)
            part = basis[rows]
            hat = 1 / n + (part * shrink) @ part.T
            residual = np.linalg.solve(np.eye(len(rows)) - hat, totals[rows] - fitted[rows])
            held_out[rows] = totals[rows] - residual
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


def _fit(choice: Choice, states: npt.NDArray[np.float32], totals: Array) -> Probe:
    mean, scale = _moments(states)
    centred = (states - mean) / scale
    basis, eigenvalues = _spectrum(centred)
    alpha = choice.penalty * states.shape[1]
    weights = centred.T @ (basis @ ((basis.T @ totals) / (eigenvalues + alpha)))
    return Probe(choice, mean, scale, weights, float(totals.mean()))


def _moments(states: npt.NDArray[np.float32]) -> tuple[Array, Array]:
    """Mean and standard deviation of each feature; a constant feature keeps scale 1."""
    wide = states.astype(np.float64)
    scale = wide.std(axis=0)
    return wide.mean(axis=0), np.where(scale > 1e-9, scale, 1.0)
