"""The document of the API, and the API held to it by requests that schemathesis makes up."""

from itertools import cycle

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks as standards

from sottovoce.service.api.routes import ROUTERS
from sottovoce.service.principals import ROLES

CHECKS = [
    not_a_server_error,
    standards.status_code_conformance,
    standards.content_type_conformance,
    standards.response_headers_conformance,
    standards.response_schema_conformance,
]
EXAMPLES = 20

# Those ids that exist; what schemathesis makes up would never meet one.
PERSON, QUESTIONNAIRE = "p1", "q1"


def _operations() -> list[tuple[str, str]]:
    app = FastAPI(openapi_url=None)
    for router in ROUTERS:
        app.include_router(router)
    found = iter_route_contexts(app.routes)
    return [(str(each.path), method) for each in found for method in each.methods or ()]


@pytest.fixture(scope="module")
def document(world):
    """Read the document of an app."""
    return schemathesis.openapi.from_asgi("/openapi.json", world.app)


@pytest.fixture(scope="module")
def known(world):
    """Give ids that exist: of a person, and of an account without keys."""
    body = {"name": "spare", "role": "clinician"}
    spare = world.done("POST", "/v1/accounts", "admin", json=body)
    return {"person_id": PERSON, "account_id": spare["id"], "questionnaire_id": QUESTIONNAIRE}


def test_the_document_is_valid_openapi_3_1(document, world):
    document.validate()
    told = world.client.get("/openapi.json").json()
    assert told["openapi"].startswith("3.1")
    operations = [each for path in told["paths"].values() for each in path.values()]
    assert len(operations) == len(_operations())
    assert all(each["responses"] for each in operations)


def test_every_operation_but_the_probes_asks_for_a_key(world):
    told = world.client.get("/openapi.json").json()
    (scheme,) = told["components"]["securitySchemes"].values()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    open_ = {
        path
        for path, each in told["paths"].items()
        if not all(x.get("security") for x in each.values())
    }
    assert open_ == {"/health", "/ready"}


@pytest.mark.parametrize(("path", "method"), _operations())
def test_no_made_up_request_breaks_the_api(document, world, known, path, method):
    operation, statuses, roles = document[path][method], set(), cycle(ROLES)
    _settle(world)

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(), st.booleans())
    def held(case, meets):
        if meets:
            case.path_parameters |= {k: known[k] for k in case.path_parameters if k in known}
        secret = world.secrets[next(roles)]
        answer = case.call_and_validate(
            checks=CHECKS, headers={"Authorization": f"Bearer {secret}"}
        )
        statuses.add(answer.status_code)
        if answer.status_code == 204:
            _settle(world)

    held()
    assert statuses - {403}, "no request got further than the gate"


def _settle(world):
    """Make the person again, whatever was done to her."""
    world.register(PERSON, "monitoring")
    world.care(PERSON)
    world.say(PERSON, "hello")
