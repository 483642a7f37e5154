"""A report in which every section has something to show, on made-up people."""

from datetime import UTC, datetime

import numpy as np
from tests.made import cohort, estimate, response

from sottovoce.ablation import tabulate
from sottovoce.evaluation import (
    Check,
    Evaluation,
    Gap,
    GroupRow,
    GroupTable,
    Predictions,
    Reliability,
    ReliabilityBin,
    RiskCoverage,
    Robustness,
    Settings,
    Shift,
    Suite,
    ThresholdRow,
    compare,
    evaluate,
    match,
)
from sottovoce.instruments import PHQ_9
from sottovoce.metrics import Figure
from sottovoce.report import Example, Provenance, Report, installed_versions
from sottovoce.report.checklists import Checklist, ChecklistRow

FEW = Settings(resamples=200)
NASTY = '<script>alert("x")</script> & $\\frac{1}{0}$ 深い'
N = 80


def whole() -> Report:
    """Give a report in which every section has something to show, hostile names among it."""
    totals, estimates, users = cohort(N)
    predictions = {
        "mean": [10.9] * N,
        "Sottovoce": [each.score for each in estimates],
        NASTY: [total / 2 + 5 for total in totals],
    }
    labels = [response(user, total) for user, total in zip(users, totals, strict=True)]
    return Report(
        title="Estimates on made-up people",
        evaluation=judged(),
        cohort="made-up people",
        simulated=True,
        comparison=compare(
            totals, predictions, users, reference="Sottovoce", instrument="phq-9", settings=FEW
        ),
        predictor_notes={NASTY: NASTY},
        ablation=tabulate(
            totals,
            {"first": [10.9 + number % 3 for number in range(N)], NASTY: predictions[NASTY]},
            users,
            PHQ_9,
            told={
                name: ({"n_questionnaires": N, "n_pseudolabels": 4, "effective_n": 82.4}, (NASTY,))
                for name in ("first", NASTY)
            },
            settings=FEW,
        ),
        suite=suite(),
        robustness=robustness(),
        pairing=match(estimates, [*labels, response("nobody")], 14),
        period=(datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 6, 2, tzinfo=UTC)),
        examples=(
            Example("Ada", ("I sleep a lot.", NASTY), estimate("ada", 11.0), 12, "Jokes."),
            Example("Ben", (), estimate("ben", None), 6),
        ),
        limits=(NASTY,),
        provenance=Provenance(
            installed_versions("matplotlib", "no-such-package"),
            (f"sottovoce evaluate '{NASTY}'",),
            datetime(2025, 7, 1, tzinfo=UTC),
            {"hardware": "two cores"},
        ),
    )


def judged() -> Evaluation:
    """Give an evaluation with every table."""
    totals, estimates, users = cohort(N)
    scores = np.array([each.score if each.score is not None else 0.0 for each in estimates])
    curves = {level: (scores - 12 * level, scores + 12 * level) for level in (0.5, 0.8)}
    groups = {
        "gender": ["woman" if number % 3 else "man" for number in range(N)],
        NASTY: [NASTY if number % 2 else "plain" for number in range(N)],
        "rare": ["few" if number < 4 else "some" if number < 30 else "many" for number in range(N)],
        "story": [f"word {number}" for number in range(N)],
    }
    found = evaluate(
        totals,
        Predictions.of(estimates, curves),
        users,
        groups,
        instrument="phq-9",
        settings=FEW,
    )
    return replaced(found)


def replaced(found: Evaluation) -> Evaluation:
    """Give the evaluation with made-up thresholds, probabilities, gaps and abstentions."""
    changes = {
        "groups": tuple(map(with_gaps, found.groups)),
        "thresholds": thresholds(),
        "reliability": tuple(reliability(cut) for cut in PHQ_9.cut_offs),
        "risk_coverage": risk_coverage(),
    }
    fields = {name: getattr(found, name) for name in type(found).__dataclass_fields__}
    return Evaluation(**{**fields, **changes})


def about(value: float, n: int = 72, *, half: float = 0.1) -> Figure:
    """Give a figure with an interval around its value."""
    return Figure(value, value - half, value + half, n)


def with_gaps(table: GroupTable) -> GroupTable:
    """Give a table by group whose groups have missed cases, and gaps to the rest."""
    rows = []
    for number, row in enumerate(table.rows):
        if row.people is None:
            rows.append(row)
            continue
        figures = {**row.figures, "fnr": about(0.2 + 0.1 * number)}
        gaps = {
            "fnr": Gap(about(0.3 - 0.3 * number), 0.0002 + 0.2 * number, 0.004 + 0.4 * number),
            "mae": Gap(Figure.missing("one class only", n=9)),
        }
        rows.append(GroupRow(row.label, row.people, row.abstained, figures, gaps))
    return GroupTable(table.column, table.note, tuple(rows))


def thresholds() -> tuple[ThresholdRow, ...]:
    """Give a threshold that was counted and one that could not be chosen."""
    keys = ("sensitivity", "specificity", "ppv", "npv")
    counts = {"tp": 30, "fp": 6, "fn": 4, "tn": 32}
    figures = {key: about(0.8 + 0.02 * place) for place, key in enumerate(keys)}
    why = Figure.missing("no validation people were given", n=72)
    return (
        ThresholdRow("the screening cut-off", 10, 10.0, counts, figures),
        ThresholdRow("Youden's J on validation", 10, None, {}, dict.fromkeys(keys, why)),
    )


def reliability(cut_off: int) -> Reliability:
    """Give a curve of three bins, one of them too small for an interval."""
    bins = (
        ReliabilityBin(30, 0.1, about(0.15, 30)),
        ReliabilityBin(30, 0.5, about(0.45, 30)),
        ReliabilityBin(12, 0.8, Figure(0.75, n=12, reason="no interval: too few people")),
    )
    return Reliability(cut_off, {"ece": about(0.05, half=0.03), "brier": about(0.12)}, bins)


def risk_coverage() -> RiskCoverage:
    """Give a curve that rises to the share that is scored."""
    shares, risks = (0.2, 0.5, 0.9), (2.1, 2.6, 3.2)
    return RiskCoverage("width of the interval", about(2.5), about(3.2), shares, risks)


def suite() -> Suite:
    """Give a check of each status."""
    return Suite(
        (
            Check(
                "length",
                "Length only",
                "pass",
                "r 0.12, no better than chance.",
                {"r": about(0.12)},
            ),
            Check("overlap", "People in both parts", "warn", "Not looked at: nobody was named."),
            Check(
                "leak", NASTY, "fail", NASTY, {"mae_with_leaks": about(1.9), "auc_10": about(0.9)}
            ),
        ),
        ("Twelve people were drawn.",),
    )


def robustness() -> Robustness:
    """Give a disturbance that was measured and one that was not."""
    figures = {
        "moved": about(0.8),
        "change": about(-0.4),
        "crossed": about(0.06, half=0.05),
        "mae_change": about(0.02),
    }
    return Robustness(
        (
            Shift("typos", "Typing errors", 72, 0, figures),
            Shift("emoji", NASTY, 0, 0, {}, "Nobody wrote any."),
        ),
        ("Only what people wrote was changed.",),
    )


def checklists() -> tuple[Checklist, ...]:
    """Give a checklist with an answered and an open item."""
    rows = (
        ChecklistRow("1", "Title", "Say that it is a prediction model.", NASTY),
        ChecklistRow("2a", "Methods | data", "Say where the data come from.", None),
    )
    return (Checklist("tripod-ai", "TRIPOD+AI", "Somebody 2024", rows),)
