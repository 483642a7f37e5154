"""Losses of a regression head, each a small function of tensors.

Owns the arithmetic of one window's loss and of sample weights. Does not know heads, backbones or
which questionnaire is estimated. Errors come in standard deviations of the total unless a
function says otherwise.

References
----------
Huber 1964, Robust estimation of a location parameter, doi:10.1214/aoms/1177703732.
Lange, Little, Taylor 1989, Robust statistical modeling using the t distribution,
doi:10.1080/01621459.1989.10478852.
Cao, Mirjalili, Raschka 2020, Rank consistent ordinal regression (CORAL), arXiv:1901.07884.
Yang, Zha, Chen, Wang, Katabi 2021, Delving into deep imbalanced regression, arXiv:2102.09554.
"""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

LossKind = Literal["mse", "l1", "huber", "student_t", "ordinal"]
Tensor = Any
"""A torch tensor; torch is imported only where it is used."""

HUBER_DELTA = 1.0
"""Standard deviations at which the loss turns from squared to absolute. Ours: on the study's
figures (MAE 2.6, sd near 6.7) all but about one error in ten stay in the squared part."""

STUDENT_DF = 4.0
"""Degrees of freedom, the value that Lange, Little and Taylor recommend where it is not fitted."""

SMOOTHING_SIGMA = 2.0
"""Points by which label densities are smoothed, as in Yang et al. (Gaussian, sigma 2)."""


def pointwise(kind: LossKind, error: Tensor) -> Tensor:
    """Give the loss of each error, same shape.

    Parameters
    ----------
    kind
        ``mse``, ``l1``, ``huber`` or ``student_t`` (the negative log-likelihood of unit scale,
        without its constant); ``ordinal`` has no error and takes `coral` instead.
    error
        Prediction minus target.
    """
    size = error.abs()
    if kind == "mse":
        return size.square()
    if kind == "l1":
        return size
    if kind == "huber":
        inside = size.clamp(max=HUBER_DELTA)
        return inside * (size - inside / 2)
    if kind == "student_t":
        return (STUDENT_DF + 1) / 2 * (size.square() / STUDENT_DF).log1p()
    raise ValueError(kind)


def coral(logits: Tensor, steps: Tensor) -> Tensor:
    """Give the CORAL loss: the mean binary cross-entropy of "the total is above k".

    Parameters
    ----------
    logits
        Of each cut-off being reached, shape (n, n_cut_offs), lowest cut-off first.
    steps
        Cut-offs that the total reaches, 0 to n_cut_offs, shape (n,). A prorated total between
        two whole numbers reaches the next cut-off in part.

    Returns
    -------
    tensor, shape (n,)
    """
    import torch

    rungs = torch.arange(logits.shape[1], device=logits.device, dtype=logits.dtype)
    reached = (steps[:, None] - rungs).clamp(0, 1)
    functional = torch.nn.functional
    losses = functional.binary_cross_entropy_with_logits(logits, reached, reduction="none")
    return losses.mean(1)


def answered(kind: LossKind, items: Tensor, targets: Tensor) -> Tensor:
    """Give the mean loss over the answered items of each window, 0 where none is answered.

    Parameters
    ----------
    kind
        Loss of one item's error in points; ``ordinal``, which is about the total, takes ``mse``.
    items
        Points, shape (n, n_items).
    targets
        Points, NaN where an item is not known.

    Returns
    -------
    tensor, shape (n,)
    """
    known = ~targets.isnan()
    error = (items - targets.nan_to_num()) * known
    losses = pointwise("mse" if kind == "ordinal" else kind, error)
    return losses.sum(1) / known.sum(1).clamp(min=1)


def rarity_weights(totals: npt.ArrayLike, minimum: int, maximum: int) -> npt.NDArray[np.float64]:
    """Weigh windows by the inverse of the smoothed density of their total.

    Label-distribution smoothing: a total is as rare as its neighbourhood, not as its own bin.

    Parameters
    ----------
    totals
        Points, shape (n,).
    minimum, maximum
        The questionnaire's range.

    Returns
    -------
    array, shape (n,)
        Mean 1.
    """
    bins = np.rint(np.asarray(totals, dtype=np.float64)).astype(np.int64) - minimum
    points = np.arange(maximum - minimum + 1)
    kernel = np.exp(-0.5 * ((points[:, None] - points) / SMOOTHING_SIGMA) ** 2)
    kernel /= kernel.sum(axis=0)  # a label's mass stays inside the range
    density = kernel @ np.bincount(bins, minlength=len(points))
    weights = 1 / density[bins]
    return np.asarray(weights / weights.mean())
