"""The threshold that tells cases best apart. Owns the choice; knows no instrument, no file."""

import numpy as np
from numpy.typing import ArrayLike

from sottovoce.metrics.columns import floats


def youden(positive: ArrayLike, scores: ArrayLike) -> float:
    """Give the score from which calling somebody a case has the largest sensitivity + specificity.

    Halfway between two scores that occur, so that it does not hang on one person's decimals; of
    several equally good ones the lowest, because missing a case weighs more than a false alarm.

    Parameters
    ----------
    positive
        Whether each row is a case, shape (n,), true or false; both occur.
    scores
        Estimates in points, shape (n,), finite.

    References
    ----------
    Youden 1950, doi:10.1002/1097-0142(1950)3:1<32::AID-CNCR2820030106>3.0.CO;2-3.

    Examples
    --------
    >>> youden([False, False, True, True], [2, 6, 9, 15])
    7.5
    """
    case, score = floats(positive) != 0, floats(scores)
    different = np.unique(score)
    missed = np.searchsorted(np.sort(score[case]), different, side="left")
    spared = np.searchsorted(np.sort(score[~case]), different, side="left")
    # Whole numbers, so that equally good thresholds are equal: the index times both class sizes.
    index = spared * int(case.sum()) - missed * int((~case).sum())
    best = int(np.argmax(index))
    below = different[max(0, best - 1)]
    return float((below + different[best]) / 2)
