"""Made-up estimates and questionnaires, as small as a test needs them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from sottovoce.conversations import QuestionnaireResponse
from sottovoce.estimates import Estimate
from sottovoce.evaluation import Settings, compare, evaluate, match
from sottovoce.instruments import instrument
from sottovoce.report import Provenance, Report, installed_versions

NOON = datetime(2025, 3, 14, 12, tzinfo=UTC)


def estimate(user: str = "ada", score: float | None = 11.0, **changes: Any) -> Estimate:
    """Give an estimate of 14 days that ends at noon; a score of None abstains."""
    used = instrument(changes.get("instrument", "phq-9"))
    abstained = score is None
    fields: dict[str, Any] = {
        "user_id": user,
        "instrument": used.key,
        "window_start": NOON - timedelta(days=14),
        "window_end": NOON,
        "score": score,
        "lower": None if score is None else max(float(used.minimum), score - 6),
        "upper": None if score is None else min(float(used.maximum), score + 6),
        "coverage": 0.9,
        "p_at_least": {} if score is None else dict.fromkeys(used.cut_offs, 0.5),
        "band": None if score is None else used.band(score).name,
        "n_messages": 1 if abstained else 12,
        "abstained": abstained,
        "reason": "too little conversation" if abstained else None,
        "model_id": "made-up",
    }
    return Estimate(**(fields | changes))


def response(user: str = "ada", total: float | None = 12, **changes: Any) -> QuestionnaireResponse:
    """Give a questionnaire filled in an hour after noon."""
    fields: dict[str, Any] = {
        "user_id": user,
        "instrument": "phq-9",
        "completed_at": NOON + timedelta(hours=1),
        "total": total,
    }
    return QuestionnaireResponse(**(fields | changes))


def cohort(n: int = 60, seed: int = 5) -> tuple[list[int], list[Estimate], list[str]]:
    """Give totals, fair estimates of them and people, one row each; every tenth abstains."""
    generator = np.random.default_rng(seed)
    totals = [int(total) for total in generator.integers(0, 28, size=n)]
    users = [f"p{number:03d}" for number in range(n)]
    estimates = []
    for number, (user, total) in enumerate(zip(users, totals, strict=True)):
        score = float(np.clip(0.7 * total + 3 + generator.normal(0, 3), 0, 27))
        estimates.append(estimate(user, None if number % 10 == 9 else score))
    return totals, estimates, users


def report(n: int = 60) -> Report:
    """Give a report of the cohort beside the mean, with groups of which one is too small."""
    totals, estimates, users = cohort(n)
    few = Settings(resamples=100)
    groups = {
        "gender": ["woman" if number % 3 else "man" for number in range(n)],
        "rare": ["few" if number < 4 else "many" for number in range(n)],
    }
    predictions = {"mean": [10.9] * n, "Sottovoce": [each.score for each in estimates]}
    labels = [response(user, total) for user, total in zip(users, totals, strict=True)]
    return Report(
        title="Estimates on made-up people",
        evaluation=evaluate(totals, estimates, users, groups, instrument="phq-9", settings=few),
        cohort="made-up people",
        simulated=True,
        comparison=compare(
            totals, predictions, users, reference="Sottovoce", instrument="phq-9", settings=few
        ),
        pairing=match(estimates, [*labels, response("nobody")], 14),
        period=(datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 6, 2, tzinfo=UTC)),
        limits=("The people are few.",),
        provenance=Provenance(
            installed_versions(),
            ("sottovoce evaluate scores.jsonl",),
            details={"hardware": "two cores"},
        ),
    )
