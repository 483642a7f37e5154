"""What routes are given: the service's parts, and who calls.

Owns authentication: an API key or a bearer token becomes a principal, or 401. Does not know what
a principal may do (`gate`).
"""

import asyncio
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from sottovoce.deidentify import Deidentifier, open_deidentifier
from sottovoce.service.accounts import PREFIX, by_secret, by_subject
from sottovoce.service.api.callers import Callers
from sottovoce.service.api.problems import Problem
from sottovoce.service.gate import Gate
from sottovoce.service.oidc import Tokens, Unauthenticated
from sottovoce.service.principals import Principal
from sottovoce.service.settings import ServiceSettings
from sottovoce.service.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that routes use.

    Parameters
    ----------
    settings, gate, telemetry
        Of this process.
    tokens
        Reads bearer tokens; None where none are believed.
    callers
        Who showed a key a moment ago.
    """

    settings: ServiceSettings
    gate: Gate = field(repr=False)
    telemetry: Telemetry
    tokens: Tokens | None = None
    callers: Callers = field(default_factory=Callers)

    def deidentifier(self) -> Deidentifier:
        """Give what de-identifies one research export; its key is gone with it."""
        return open_deidentifier(self.settings.deidentifier)


async def parts(request: Request) -> Parts:
    """Give the parts of the app that answers; async, or FastAPI asks a thread for them."""
    found = request.app.state.parts
    assert isinstance(found, Parts)
    return found


WithParts = Annotated[Parts, Depends(parts)]


_BEARER = HTTPBearer(
    auto_error=False, description="An API key, or a token of the operator's OpenID provider."
)
Shown = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]


async def caller(shown: Shown, has: WithParts) -> Principal:
    """Find out who calls; asks in a thread by asyncio's own means, which cost half of FastAPI's.

    Raises
    ------
    Problem
        401 without a valid key or token, always in the same words.
    """
    if shown is None:
        raise Problem("unauthenticated")
    secret = shown.credentials.strip()
    who = has.callers.known(secret)
    if who is None:
        asked = has.callers.now()
        who = await asyncio.to_thread(_principal, has, secret)
        if who is None:
            raise Problem("unauthenticated")
        has.callers.remember(secret, who, asked)
    return who


WithCaller = Annotated[Principal, Depends(caller)]


def _principal(has: Parts, secret: str) -> Principal | None:
    if secret.startswith(PREFIX) or has.tokens is None:
        return by_secret(has.gate.database, secret, has.gate.clock())
    try:
        identity = has.tokens.identify(secret)
    except Unauthenticated:
        return None
    return by_subject(has.gate.database, identity.subject, identity.role)
