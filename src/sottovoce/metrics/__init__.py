"""Metrics: each one small function that gives a `Figure`, with its interval when asked for one.

Owns arithmetic over arrays of totals, scores and interval bounds, and the bootstrap over people.
Does not know questionnaires, estimates or files, and imports numpy only. A metric that cannot be
computed says why ("not computed: one class only"); it is never NaN.

Examples
--------
>>> from sottovoce.metrics import mae, resample_people
>>> truth, score = list(range(12)), [total + 1 for total in range(12)]
>>> mae(truth, score).text()
'1.00 (n = 12)'
>>> mae(truth, score, resample_people(truth, count=200, seed=1)).text()
'1.00 [1.00, 1.00] (n = 12)'
"""

from sottovoce.metrics.auc import auc
from sottovoce.metrics.bias import bias
from sottovoce.metrics.bootstrap import LEAST_PEOPLE, Resamples, difference, resample_people
from sottovoce.metrics.coverage import coverage
from sottovoce.metrics.figure import Figure
from sottovoce.metrics.mae import mae
from sottovoce.metrics.pearson import pearson
from sottovoce.metrics.rmse import rmse
from sottovoce.metrics.width import width

__all__ = [
    "LEAST_PEOPLE",
    "Figure",
    "Resamples",
    "auc",
    "bias",
    "coverage",
    "difference",
    "mae",
    "pearson",
    "resample_people",
    "rmse",
    "width",
]
