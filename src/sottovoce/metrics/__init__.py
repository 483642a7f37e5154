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

from sottovoce.metrics.attenuation import corrected_pearson
from sottovoce.metrics.auc import auc
from sottovoce.metrics.bias import bias
from sottovoce.metrics.bootstrap import LEAST_PEOPLE, Resamples, difference, resample_people
from sottovoce.metrics.calibration import brier, ece, reliability
from sottovoce.metrics.ccc import ccc
from sottovoce.metrics.coverage import coverage
from sottovoce.metrics.crps import crps
from sottovoce.metrics.decisions import fnr, npv, ppv, sensitivity, specificity
from sottovoce.metrics.delong import delong, delong_difference
from sottovoce.metrics.figure import Figure
from sottovoce.metrics.gap import gap
from sottovoce.metrics.mae import mae
from sottovoce.metrics.pearson import pearson
from sottovoce.metrics.permutation import Shuffles, holm
from sottovoce.metrics.qwk import qwk
from sottovoce.metrics.r2 import r2
from sottovoce.metrics.risk_coverage import aurc, risk_curve
from sottovoce.metrics.rmse import rmse
from sottovoce.metrics.slope import error_slope, slope
from sottovoce.metrics.spearman import spearman
from sottovoce.metrics.width import width
from sottovoce.metrics.youden import youden

__all__ = [
    "LEAST_PEOPLE",
    "Figure",
    "Resamples",
    "Shuffles",
    "auc",
    "aurc",
    "bias",
    "brier",
    "ccc",
    "corrected_pearson",
    "coverage",
    "crps",
    "delong",
    "delong_difference",
    "difference",
    "ece",
    "error_slope",
    "fnr",
    "gap",
    "holm",
    "mae",
    "npv",
    "pearson",
    "ppv",
    "qwk",
    "r2",
    "reliability",
    "resample_people",
    "risk_curve",
    "rmse",
    "sensitivity",
    "slope",
    "spearman",
    "specificity",
    "width",
    "youden",
]
