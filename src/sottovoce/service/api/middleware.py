"""What every request passes before and after the routes: size, text, headers, the log of requests.

Owns five ASGI middlewares, one a class, and nothing of what a route does. Paths hold people's
ids, so only the template of a route is ever logged or counted.
"""

import re
from collections.abc import Callable, Sequence
from time import perf_counter
from uuid import UUID, uuid4

import structlog
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sottovoce.service.api.problems import Problem, from_exception
from sottovoce.service.api.rates import PROBES, RateLimit, Rates
from sottovoce.service.telemetry import span

UNMATCHED = "unmatched"
"""The route of a request that met none."""

CLIENT_CLOSED = 499
"""What the log calls a request whose client went away first: nginx's number for it."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""Methods that a log or metric names; a client may make up any other, which is called OTHER."""

Observe = Callable[[str, str, int, float], None]
"""Takes route template, method, status and seconds of one request."""


def install(
    app: FastAPI,
    limit: int,
    *,
    rates: Rates | None = None,
    observe: Observe | None = None,
    hsts: bool = False,
) -> None:
    """Put all of them around an app, in the order in which they rely on each other.

    Headers are outermost, so that a failure has them; then the log, so that what is refused is
    counted; then how often, before a body is read; then size before text. Whatever else an app
    adds before this call is behind them.

    Parameters
    ----------
    app
        The app whose problems are installed.
    limit
        The largest body in bytes.
    rates
        How often each caller may ask; None leaves that to a proxy in front.
    observe, hsts
        As in `RequestLog` and `SecurityHeaders`.
    """
    app.add_middleware(BodyText)
    app.add_middleware(BodyLimit, limit=limit)
    if rates is not None:
        app.add_middleware(RateLimit, rates=rates)
    app.add_middleware(RequestLog, observe=observe)
    app.add_middleware(SecurityHeaders, hsts=hsts)


class RequestLog:
    """One line, one observation and one span a request; what escapes is a 500, no traceback.

    Parameters
    ----------
    app
        What answers.
    observe
        Told of each request when its response has ended (the histogram of `telemetry`).
    """

    def __init__(self, app: ASGIApp, observe: Observe | None = None) -> None:
        self.app, self.observe = app, observe
        self._templates: dict[object, str] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope).get("x-request-id"))
        begun, status, size, started = perf_counter(), CLIENT_CLOSED, 0, False

        async def counted(message: Message) -> None:
            nonlocal status, size, started
            if message["type"] == "http.response.start":
                started, status = True, message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            elif message["type"] == "http.response.body":
                size += len(message.get("body", b""))
            await send(message)

        with (
            structlog.contextvars.bound_contextvars(request_id=request_id),
            span("http request") as traced,
        ):
            try:
                await self.app(scope, receive, counted)
            except Exception as exception:
                if not started:
                    await from_exception(exception).response()(scope, receive, counted)
                elif status < 500:  # a stream that broke; a 500 has logged its reason already
                    from_exception(exception)
            finally:
                route = self._template(scope)
                method = scope["method"] if scope["method"] in METHODS else "OTHER"
                traced(
                    http__route=route,
                    http__request__method=method,
                    http__response__status_code=status,
                )
                self._tell(route, method, status, size, perf_counter() - begun)

    def _tell(self, route: str, method: str, status: int, size: int, seconds: float) -> None:
        structlog.get_logger().info(
            "request",
            method=method,
            route=route,
            status=status,
            milliseconds=round(seconds * 1000, 1),
            bytes=size,
        )
        if self.observe is not None:
            self.observe(route, method, status, seconds)

    def _template(self, scope: Scope) -> str:
        """Give the route's full template; `scope["route"]` lacks the prefixes of its routers."""
        app = scope.get("app")
        if self._templates is None and isinstance(app, FastAPI):
            known = iter_route_contexts(app.routes)
            self._templates = {each.endpoint: str(each.path) for each in known if each.endpoint}
        return (self._templates or {}).get(scope.get("endpoint"), UNMATCHED)


def _request_id(given: str | None) -> str:
    """Take the caller's id if it is a UUID and nothing more, so that no text enters the log."""
    try:
        return str(UUID(given)) if given is not None and len(given) == 36 else str(uuid4())
    except ValueError:
        return str(uuid4())


class SecurityHeaders:
    """Headers that tell a browser to do as little as possible with a response.

    Parameters
    ----------
    hsts
        Whether to send Strict-Transport-Security: only where TLS is certain, for browsers then
        refuse plain HTTP for two years (the length that hstspreload.org recommends).

    References
    ----------
    OWASP REST Security Cheat Sheet, "Security headers"; OWASP Secure Headers Project.
    """

    ALWAYS = (
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
        ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Cache-Control", "no-store"),
    )

    def __init__(self, app: ASGIApp, hsts: bool = False) -> None:
        self.app = app
        extra = (("Strict-Transport-Security", "max-age=63072000; includeSubDomains"),)
        self._headers = self.ALWAYS + (extra if hsts else ())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a route that sets one of the headers itself keeps its own."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers:
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, guarded if scope["type"] == "http" else send)


class KnownHosts:
    """Answers 400 where a request is meant for a host that this service is not.

    Against DNS rebinding, and caches that trust the Host header. Unlike Starlette's
    `TrustedHostMiddleware` it answers with a problem document, never redirects (which would repeat
    the path), and lets probes through, which orchestrators send to an address.

    Parameters
    ----------
    app
        What answers.
    names
        Host names; ``*.example.org`` is every name below.

    References
    ----------
    RFC 9110 section 7.2, Host.
    """

    def __init__(self, app: ASGIApp, names: Sequence[str]) -> None:
        self.app, self.names = app, [each.lower() for each in names]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        given = Headers(scope=scope).get("host", "") if scope["type"] == "http" else ""
        if scope["type"] != "http" or scope["path"] in PROBES or self._known(given):
            await self.app(scope, receive, send)
            return
        problem = Problem("malformed", "The Host header names no host of this service.")
        await problem.response()(scope, receive, send)

    def _known(self, header: str) -> bool:
        found = _HOST.fullmatch(header.lower())
        name = found[1] if found else ""
        return any(
            each in (name, "*") or (each.startswith("*.") and name.endswith(each[1:]))
            for each in self.names
        )


_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:]+)(:\d*)?")
"""A host, and perhaps a port."""


class BodyLimit:
    """Reads the whole body before the app does, or answers 413 without reading on.

    Starlette's `RequestBodyLimitMiddleware` counts while the app reads, so that routes which
    never read are run first; here nothing behind sees a request that is refused.

    Parameters
    ----------
    app
        What answers.
    limit
        The largest body in bytes.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app, self.limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        too_large = Problem("too-large", f"At most {self.limit} bytes are taken.", limit=self.limit)
        if declared.isdecimal() and int(declared[:20]) > self.limit:
            await too_large.response()(scope, receive, send)
            return
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self.limit:
                await too_large.response()(scope, receive, send)
                return
        await self.app(scope, _replayed(bytes(body), receive), send)


class BodyText:
    """Refuses bodies whose text is no text: invalid UTF-8 (400) and lone surrogates (422).

    `json.loads` takes both: it decodes with "surrogatepass", guesses UTF-16, and pydantic passes
    lone surrogates on, until something far behind cannot encode them. Stands behind `BodyLimit`,
    which gives the body in one piece.

    References
    ----------
    RFC 8259 sections 8.1 (JSON is UTF-8) and 8.2 (unpaired surrogates).
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        message = await receive()
        problem = _text_problem(message.get("body", b""))
        if problem is not None:
            await problem.response()(scope, receive, send)
            return
        await self.app(scope, _again(message, receive), send)


_ESCAPES = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
"""JSON's escapes from left to right: a pair of surrogates, one alone, or anything else."""

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def _text_problem(body: bytes) -> Problem | None:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return Problem("malformed", "The body is not UTF-8.")
    if b"\0" in body:  # JSON escapes it, so these are UTF-16 or UTF-32
        return Problem("malformed", "The body is not UTF-8.")
    if _SURROGATE.search(body) and any(each["lone"] for each in _ESCAPES.finditer(body)):
        mistake = {"where": "body", "problem": "a surrogate stands without its pair"}
        return Problem("invalid", errors=[mistake])
    return None


def _replayed(body: bytes, receive: Receive) -> Receive:
    return _again({"type": "http.request", "body": body, "more_body": False}, receive)


def _again(first: Message, receive: Receive) -> Receive:
    """Give a channel that gives one message again, and then what comes."""
    waiting = [first]

    async def received() -> Message:
        return waiting.pop() if waiting else await receive()

    return received
