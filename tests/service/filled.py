"""A person of whom everything is told, and reading all of it back, for tests of the core."""

from datetime import timedelta
from typing import Any

from tests.service.told import ADMIN, APP, MORNING, consenting, said

from sottovoce.conversations import QuestionnaireResponse
from sottovoce.estimates import Estimate
from sottovoce.service import accounts, estimates, ledger, messages, questionnaires
from sottovoce.service.gate import Gate
from sottovoce.service.principals import SERVICE


def estimate(person: str, evidence: str = "evidence") -> tuple[Estimate, dict[str, Any]]:
    made = Estimate(
        person,
        "phq-9",
        MORNING,
        MORNING + timedelta(days=14),
        9.5,
        4.0,
        15.0,
        0.9,
        {10: 0.4},
        "mild",
        2,
        abstained=False,
        reason=None,
        model_id="model",
    )
    return made, {"quotes": [evidence]}


def fill(gate: Gate, person: str, told: str = "hello") -> str:
    """Tell everything that there is of a person; give the secret of a clinician's key."""
    consenting(gate, person, "monitoring", "research")
    batch = [said(1, told), said(2, told)]
    with gate.open(APP, "messages.add", person) as case:
        messages.add(case, batch, timedelta(0))
    answers = QuestionnaireResponse(person, "phq-9", MORNING, 9.0, (1,) * 9)
    with gate.open(APP, "questionnaires.add", person) as case:
        questionnaires.add(case, f"q-{told}", answers)
    with gate.open(SERVICE, "score.store", case.person) as case:
        made, evidence = estimate(person, told)
        estimates.add(case, made, case.revision, evidence)
    with gate.database.transaction() as connection:
        clinician = accounts.add_account(connection, f"of {case.person}", "clinician", MORNING)
        _, secret = accounts.add_key(connection, clinician.id, gate.clock())
    with gate.open(ADMIN, "caseload.manage", person) as case:
        accounts.assign(case, clinician.id, "on")
    return secret


def of_everything(gate: Gate, person: str) -> list[Any]:
    """Read back everything that was told of a person."""
    with gate.open(APP, "people.export", person) as case:
        return [
            case.external_id,
            case.purposes,
            ledger.lines_of(case),
            list(messages.since(case)),
            questionnaires.all_of(case),
            estimates.all_of(case),
        ]
