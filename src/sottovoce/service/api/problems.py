"""Refusals as HTTP tells them: RFC 9457 problem details, one kind for each reason.

Owns the kinds, their status and words, and which exception becomes which. Text of a request never
comes back: a problem is made of this package's own words, names of the API's schema, positions
in lists and limits of the schema. It does not know the routes.

References
----------
RFC 9457, Problem Details for HTTP APIs; RFC 9110 section 15, status codes; RFC 6750 section 3,
the WWW-Authenticate header of bearer tokens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from sottovoce.service.api.mistakes import WORDS, Mistake, told
from sottovoce.service.database import AWAY
from sottovoce.service.logs import failure

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = 5
"""Seconds after which a client may try a database again that is away: longer than the embedded
PostgreSQL takes to start (0.8 s, FACTS.md), short enough for a retrying client."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One reason for a refusal: its status and its title, which never changes with the case."""

    status: int
    title: str


KINDS: dict[str, Kind] = {
    "malformed": Kind(400, "The request cannot be read."),
    "unauthenticated": Kind(401, "A valid key or token is needed."),
    "forbidden": Kind(403, "This may not be done with this key or token."),
    "consent-missing": Kind(403, "The person has not agreed to this."),
    "not-found": Kind(404, "There is nothing here."),
    "method-not-allowed": Kind(405, "This method is not offered here."),
    "conflict": Kind(409, "The request contradicts what is stored."),
    "too-large": Kind(413, "The request body is too large."),
    "invalid": Kind(422, "The request does not fit the schema."),
    "rate-limited": Kind(429, "Too many requests."),
    "internal": Kind(500, "The service failed."),
    "unavailable": Kind(503, "The service cannot answer just now."),
}

_OF_STATUS = {kind.status: slug for slug, kind in reversed(KINDS.items())}
_KEPT_HEADERS = {"allow", "retry-after", "www-authenticate"}


class Problem(Exception):  # noqa: N818 - RFC 9457 calls it so
    """A refusal that the caller is told.

    Parameters
    ----------
    kind
        A key of `KINDS`; it becomes the URI reference `type`.
    detail
        One sentence about this case. Never text, ids or keys of the request.
    headers
        Response headers besides those that the kind brings.
    extras
        Members beside the standard ones: `purpose="monitoring"`, `retry_after=30`. `retry_after`
        in seconds is the Retry-After header as well.

    Examples
    --------
    >>> Problem("consent-missing", purpose="monitoring").body()["purpose"]
    'monitoring'
    """

    def __init__(
        self,
        kind: str,
        detail: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **extras: Any,
    ) -> None:
        super().__init__(kind)
        self.kind, self.detail, self.extras = kind, detail, extras
        self.status, self.title = KINDS[kind].status, KINDS[kind].title
        self.headers = dict(headers or {})
        if self.status == 401:
            self.headers.setdefault("WWW-Authenticate", "Bearer")
        if "retry_after" in extras:
            self.headers.setdefault("Retry-After", str(extras["retry_after"]))

    def body(self) -> dict[str, Any]:
        """Give the members of the problem document."""
        said: dict[str, Any] = {"type": self.kind, "title": self.title, "status": self.status}
        if self.detail is not None:
            said["detail"] = self.detail
        return said | self.extras

    def response(self) -> JSONResponse:
        """Give the response that tells it."""
        return JSONResponse(self.body(), self.status, self.headers, media_type=MEDIA_TYPE)


def consent_missing(purpose: str) -> Problem:
    """Say which purpose the person would have to agree to."""
    return Problem(
        "consent-missing",
        f"The consent ledger holds no standing consent for {purpose}.",
        purpose=purpose,
    )


def from_exception(exception: Exception) -> Problem:
    """Say what an unforeseen exception is to the caller, and log it under a random incident id."""
    if isinstance(exception, Problem):
        return exception
    if isinstance(exception, AWAY):
        structlog.get_logger().warning("database-away", **failure(exception))
        return Problem("unavailable", "The database cannot be reached.", retry_after=RETRY_AFTER)
    incident = str(uuid4())
    structlog.get_logger().error("request-failed", incident=incident, **failure(exception))
    return Problem(
        "internal", "The service's log tells more under this incident.", incident=incident
    )


def from_status(exception: HTTPException) -> Problem:
    """Say what a framework refused; its own detail is dropped, for it can hold parts of a path."""
    status = exception.status_code
    kind = _OF_STATUS.get(status, "malformed" if status < 500 else "internal")
    headers = exception.headers or {}
    kept = {name: value for name, value in headers.items() if name.lower() in _KEPT_HEADERS}
    return Problem(kind, headers=kept)


def from_validation(
    exception: RequestValidationError, known: set[str], words: Mapping[str, str] = WORDS
) -> Problem:
    """Say where a request leaves the schema, or that its JSON cannot be read.

    Parameters
    ----------
    exception
        What FastAPI raised.
    known
        The names that the API's schema publishes; only these are repeated.
    words
        What to say of each kind of error.
    """
    errors = exception.errors()
    if any(error["type"] == "json_invalid" for error in errors):
        return Problem("malformed", "The body is not JSON.")
    mistakes: Sequence[Mistake] = [told(error, exception.body, known, words) for error in errors]
    return Problem("invalid", errors=[{"where": w, "problem": p} for w, p in mistakes])


def names(schema: object) -> set[str]:
    """Give every property and parameter that an OpenAPI document names."""
    found: set[str] = set()
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            found |= set(schema["properties"])
        if isinstance(schema.get("name"), str) and "in" in schema:
            found.add(schema["name"])
        schema = list(schema.values())
    if isinstance(schema, list):
        for each in schema:
            found |= names(each)
    return found


def install(app: FastAPI, words: Mapping[str, str] | None = None) -> None:
    """Make every refusal and failure of an app a problem document, and say so in its OpenAPI.

    Redirects from a path with a slash too many are turned off: they would repeat the path.

    Parameters
    ----------
    app
        The app; its routes may come later.
    words
        What to say of kinds of errors that the app's own validators raise as pydantic's
        `PydanticCustomError`, whose message is dropped like any other.
    """
    spoken = {**WORDS, **(words or {})}
    app.router.redirect_slashes = False
    known: set[str] = set()

    async def refused(_: Request, exception: Exception) -> JSONResponse:
        if isinstance(exception, RequestValidationError):
            if not known:  # when the first request errs, every route is there
                known.update(names(app.openapi()))
            return from_validation(exception, known, spoken).response()
        if isinstance(exception, HTTPException):
            return from_status(exception).response()
        return from_exception(exception).response()

    for kind in (Problem, RequestValidationError, HTTPException, *AWAY, Exception):
        app.add_exception_handler(kind, refused)
    plain = app.openapi
    app.openapi = lambda: document(plain())  # type: ignore[method-assign]


def _document(kind: str) -> dict[str, Any]:
    return {
        "description": KINDS[kind].title,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def responses(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """Give the `responses` of a route that refuses for these reasons, for its OpenAPI.

    Kinds that share a status are told together.
    """
    documents: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        told_before = documents.get(KINDS[kind].status)
        documents[KINDS[kind].status] = new = _document(kind)
        if told_before is not None:
            new["description"] = f"{told_before['description']} {new['description']}"
    return documents


def document(schema: dict[str, Any]) -> dict[str, Any]:
    """Add the problem document to an app's OpenAPI, and drop FastAPI's own form of a 422."""
    parts = schema.setdefault("components", {}).setdefault("schemas", {})
    for foreign in ("HTTPValidationError", "ValidationError"):
        parts.pop(foreign, None)
    parts["Problem"] = PROBLEM_SCHEMA
    for path in schema.get("paths", {}).values():
        for operation in path.values():
            if isinstance(operation, dict) and "422" in operation.get("responses", {}):
                operation["responses"]["422"] = _document("invalid")
    return schema


PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "Why a request was refused (RFC 9457).",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "enum": list(KINDS)},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "purpose": {"type": "string"},
        "retry_after": {"type": "integer"},
        "limit": {"type": "integer"},
        "incident": {"type": "string", "format": "uuid"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["where", "problem"],
                "properties": {"where": {"type": "string"}, "problem": {"type": "string"}},
            },
        },
    },
}
"""A problem document, as OpenAPI 3.1 says it."""
