"""The API as a whole: parts, routes, and what stands around them.

Owns the order in which they are put together. Does not know what a route does.
"""

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse

from sottovoce import __version__
from sottovoce.service import jobs
from sottovoce.service.api import middleware, problems
from sottovoce.service.api.dependencies import Parts
from sottovoce.service.api.problems import Problem
from sottovoce.service.api.rates import Rates
from sottovoce.service.api.routes import ROUTERS
from sottovoce.service.gate import Gate
from sottovoce.service.oidc import Provider, Tokens
from sottovoce.service.principals import ROLES
from sottovoce.service.refusals import (
    Conflict,
    ConsentMissing,
    Forbidden,
    Invalid,
    NotFound,
    Refusal,
)
from sottovoce.service.settings import ServiceSettings
from sottovoce.service.telemetry import FASTAPI_SILENT, Queue, telemetry

DESCRIPTION = (
    "Keeps what people say to a companion safe, estimates how severe their depression is when "
    "there is something new, and answers who is where. Estimates support clinicians; they are "
    "never a diagnosis."
)


def new_app(settings: ServiceSettings, gate: Gate) -> FastAPI:
    """Put the API together.

    Parameters
    ----------
    settings
        Of the operator.
    gate
        Of a migrated database.
    """
    app = FastAPI(
        title="Sottovoce",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        telemetry=FASTAPI_SILENT,
        openapi_url=None if settings.production else "/openapi.json",
    )
    measured = telemetry(__version__)
    measured.watch(_queue(gate))
    app.state.parts = Parts(settings, gate, measured, _tokens(settings))
    for router in ROUTERS:
        app.include_router(router)
    problems.install(app)
    app.add_exception_handler(Refusal, _refused)
    if settings.allowed_hosts is not None:
        app.add_middleware(middleware.KnownHosts, names=settings.allowed_hosts)
    per_minute = f"{settings.requests_per_minute}/minute"
    middleware.install(
        app,
        settings.body_limit,
        rates=Rates(address=per_minute, key=per_minute),
        observe=measured.request,
        hsts=settings.production,
    )
    return app


async def _refused(_: Request, refusal: Exception) -> JSONResponse:
    """Tell a refusal of the gate, or of what is behind it, as a problem."""
    return problem_of(refusal).response()


def problem_of(refusal: Exception) -> Problem:
    """Say what a refusal is to HTTP."""
    match refusal:
        case ConsentMissing():
            return problems.consent_missing(refusal.purpose)
        case Forbidden():
            return Problem("forbidden")
        case NotFound():
            return Problem("not-found", f"There is no such {refusal.what} for this key.")
        case Conflict():
            return Problem("conflict", f"{refusal}.")
        case Invalid():
            mistake = {"where": refusal.where, "problem": refusal.problem}
            return Problem("invalid", errors=[mistake])
        case _:
            return problems.from_exception(refusal)


def _tokens(settings: ServiceSettings) -> Tokens | None:
    if settings.oidc is None:
        return None
    given = settings.oidc
    roles = {str(role): str(role) for role in ROLES}
    return Tokens(Provider(given.issuer, given.audience, given.jwks, roles, given.role_claim))


def _queue(gate: Gate) -> Queue:
    def waiting() -> float:
        with gate.database.transaction() as connection:
            stands = jobs.backlog(connection)
            return float(sum(stands.waiting.values()) + sum(stands.running.values()))

    def oldest() -> float:
        with gate.database.transaction() as connection:
            return jobs.backlog(connection).oldest

    def dead() -> float:
        with gate.database.transaction() as connection:
            return float(sum(jobs.backlog(connection).dead.values()))

    return Queue(waiting, oldest, dead)
