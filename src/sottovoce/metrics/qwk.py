"""Agreement in severity bands. Owns the one figure; does not know instruments or files."""

from numpy.typing import ArrayLike

from sottovoce.metrics.bootstrap import Resamples, measured
from sottovoce.metrics.ccc import concordance
from sottovoce.metrics.columns import constant, floats, problem
from sottovoce.metrics.figure import Figure
from sottovoce.metrics.moments import centred


def qwk(band_true: ArrayLike, band_pred: ArrayLike, resamples: Resamples | None = None) -> Figure:
    """Cohen's kappa over ordered bands, a miss weighing as the square of the bands it is off.

    1 is the same band for everybody, 0 what chance gives. With squared weights kappa is Lin's
    concordance of the bands' numbers, and is computed as that.

    Parameters
    ----------
    band_true, band_pred
        Number of the band of questionnaire and estimate, counted in order; shape (n,).
    resamples
        Draws for the interval.

    References
    ----------
    Cohen 1968, doi:10.1037/h0026256; Fleiss, Cohen 1973, doi:10.1177/001316447303300309.

    Examples
    --------
    >>> qwk([0, 1, 2, 2], [0, 1, 1, 2]).number()
    '0.80'
    """
    true, predicted = floats(band_true), floats(band_pred)
    if reason := problem(true, predicted):
        return Figure.missing(reason, n=len(true))
    for column, name in ((true, "questionnaires"), (predicted, "estimates")):
        if constant(column):
            return Figure.missing(f"all {name} lie in one band", n=len(true))
    x, y, _ = centred(true, predicted)
    return measured(lambda weights: concordance(x, y, weights), len(true), resamples)
