"""How often one caller may ask: limits by address and by key, before anybody is authenticated.

Owns the counting and its headers. Counts are kept in this process: with several API processes
each allows as much, so the limits of the whole are theirs times the processes; a limit for all of
them belongs into the proxy in front. It does not know whose key it counts, only a digest of it.

References
----------
RFC 6585 section 4 (429); draft-ietf-httpapi-ratelimit-headers-10 (RateLimit-Policy, RateLimit);
OWASP API Security Top 10 (2023), API4 Unrestricted Resource Consumption.
"""

from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address, ip_network
from math import ceil
from time import time

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sottovoce.service.api.problems import Problem

PROBES = ("/health", "/ready")
"""Never limited: an orchestrator that is refused would end a service that only is busy."""

SWEEP = 60.0
"""Seconds between two looks for counters that are over: once in a window of the default limits."""

IPV6_PREFIX = 64
"""Addresses of one IPv6 subscriber share this prefix (RFC 6177), so they count as one."""


@dataclass(frozen=True, slots=True)
class Rates:
    """How often, in the notation of the `limits` library ("600/minute").

    Parameters
    ----------
    address
        Requests of one client address that show no key or token.
    key
        Requests with one key or token, whether or not it is valid.
    failures
        Responses 401 to one client address; after these it is refused whatever it presents, so
        that keys cannot be tried out.

    Notes
    -----
    The defaults are choices, not measurements: an app's server may send a hundred batches a
    second, and a person who mistypes a key does so a few times.
    """

    address: str = "6000/minute"
    key: str = "6000/minute"
    failures: str = "20/minute"


class _Counters(MemoryStorage):
    """Counters that whoever comes first in a while rids of those that are over.

    The library starts a thread for that, up to a hundred times a second, and waits until it runs:
    under load that held up all requests.
    """

    _swept = 0.0

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count; all of it in the event loop's one thread."""
        now = time()
        if now >= self._swept + SWEEP:
            self._swept = now
            for old in [each for each, end in self.expirations.items() if end <= now]:
                self.clear(old)
        if self.get(key) == 0:
            self.expirations[key] = now + expiry
        self.storage[key] += amount
        return self.storage[key]


class RateLimit:
    """Refuses with 429 before a body is read or a key looked up.

    The client address is the one that the server gives: behind a proxy it is the client's only
    if uvicorn is told to trust that proxy (`--forwarded-allow-ips`), else everybody shares one.

    Parameters
    ----------
    app
        What answers.
    rates
        How often each may ask.
    """

    def __init__(self, app: ASGIApp, rates: Rates | None = None) -> None:
        rates = rates or Rates()
        self.app = app
        self._address, self._key = parse(rates.address), parse(rates.key)
        self._failures = parse(rates.failures)
        self._counts = SlidingWindowCounterRateLimiter(_Counters())
        named = (("address", self._address), ("key", self._key))
        self._policy = ", ".join(f'"{n}";q={i.amount};w={i.get_expiry()}' for n, i in named)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self.app(scope, receive, send)
            return
        address = _network(scope)
        presented = Headers(scope=scope).get("authorization")
        if presented is None:
            counted = ("address", self._address, address)
        else:  # a digest: the secret itself need not lie in a table of counters
            counted = ("key", self._key, sha256(presented.encode()).hexdigest())

        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] == 401:
                    self._counts.hit(self._failures, "failures", address)
                MutableHeaders(scope=message)["RateLimit-Policy"] = self._policy
            await send(message)

        exceeded = self._exceeded(address, counted)
        if exceeded is None:
            await self.app(scope, receive, answered)
            return
        wait = self._reset(*exceeded)
        told = {} if exceeded[0] == "failures" else {"RateLimit": f'"{exceeded[0]}";r=0;t={wait}'}
        problem = Problem("rate-limited", headers=told, retry_after=wait)
        await problem.response()(scope, receive, answered)

    def _exceeded(
        self, address: str, counted: tuple[str, RateLimitItem, str]
    ) -> tuple[str, RateLimitItem, str] | None:
        """Count the request; keys of refused addresses are not counted."""
        if not self._counts.test(self._failures, "failures", address):
            return "failures", self._failures, address
        name, item, who = counted
        return None if self._counts.hit(item, name, who) else counted

    def _reset(self, name: str, item: RateLimitItem, who: str) -> int:
        """Give whole seconds until there is room again, at least one."""
        moment = self._counts.get_window_stats(item, name, who).reset_time
        return max(1, ceil(moment - time()))


def _network(scope: Scope) -> str:
    """Give whom an address belongs to: itself, or the network of one IPv6 subscriber."""
    host = scope["client"][0] if scope.get("client") else "local"
    try:
        address = ip_address(host)
    except ValueError:
        return str(host)
    if address.version == 6:
        return str(ip_network((address, IPV6_PREFIX), strict=False))
    return host
