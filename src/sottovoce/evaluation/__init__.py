"""Evaluation: how good estimates are, for anyone's model, with an interval on every number.

Owns pairing estimates with questionnaires, tables by severity, cut-off and group, and the
comparison of predictors. Computes; drawing is `report`'s. Does not know how an estimate is made,
nor any number about a questionnaire: it takes an instrument.

Three nouns: `match` pairs files, `evaluate` judges one set of estimates, `compare` sets several
side by side. Every row is counted: abstained, unlabelled and unmatched ones are told, not dropped.
"""

from sottovoce.evaluation.comparison import Comparison, ComparisonRow, compare
from sottovoce.evaluation.correlates import CorrelateRow, Correlates, correlate
from sottovoce.evaluation.measurement import evaluate
from sottovoce.evaluation.pairing import Pair, Pairing, match
from sottovoce.evaluation.predictions import Predictions
from sottovoce.evaluation.record import (
    BandRow,
    CalibrationRow,
    CutOffRow,
    Evaluation,
    Gap,
    GroupRow,
    GroupTable,
    Points,
    Reliability,
    ReliabilityBin,
    RiskCoverage,
    Settings,
    ThresholdRow,
    Validation,
)
from sottovoce.evaluation.suite import Check, Robustness, Shift, Suite
from sottovoce.evaluation.threshold import read_validation
from sottovoce.people import read_people

__all__ = [
    "BandRow",
    "CalibrationRow",
    "Check",
    "Comparison",
    "ComparisonRow",
    "CorrelateRow",
    "Correlates",
    "CutOffRow",
    "Evaluation",
    "Gap",
    "GroupRow",
    "GroupTable",
    "Pair",
    "Pairing",
    "Points",
    "Predictions",
    "Reliability",
    "ReliabilityBin",
    "RiskCoverage",
    "Robustness",
    "Settings",
    "Shift",
    "Suite",
    "ThresholdRow",
    "Validation",
    "compare",
    "correlate",
    "evaluate",
    "match",
    "read_people",
    "read_validation",
]
