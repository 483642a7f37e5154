"""Who showed a key a moment ago: the database is asked once a second, not for every request.

Owns how long an answer is believed. What this process itself changes about keys and accounts holds
at once; what another process changes holds within `BELIEVED` seconds.
"""

import hashlib
import time
from collections.abc import Callable

from sottovoce.service.principals import Principal

BELIEVED = 1.0
"""Seconds; ours: as long as a revocation may take to reach every process. Asking for every request
took a tenth of the time that storing a message takes [measured]."""

MOST = 10_000
"""Keys that are remembered at once; ours, far more than a service has, some megabytes."""


class Callers:
    """Remembers callers.

    Parameters
    ----------
    clock
        Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[bytes, tuple[Principal, float]] = {}

    def known(self, secret: str) -> Principal | None:
        """Give who showed this within the last moments; None where that has to be asked."""
        found = self._known.get(_digest(secret))
        return found[0] if found is not None and self._clock() < found[1] else None

    def remember(self, secret: str, who: Principal, asked: float) -> None:
        """Remember a caller whom the database was asked for at a moment of `now`."""
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[_digest(secret)] = (who, asked + BELIEVED)

    def now(self) -> float:
        """Give the moment, to be taken before the database is asked."""
        return self._clock()

    def forget(self) -> None:
        """Believe nothing any more: a key or an account was changed."""
        self._known.clear()


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
