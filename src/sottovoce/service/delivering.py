"""The job `deliver`: one attempt to tell an endpoint of an event, and when to try again.

Owns that a delivery goes on until it succeeds, nobody wants it, or its schedule ends. Does not know
how it is signed and sent (`webhooks`).
"""

import asyncio
import random
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import httpx2

from sottovoce.service import events
from sottovoce.service.gate import Gate
from sottovoce.service.telemetry import Telemetry
from sottovoce.service.webhooks import Reach, delay, deliver, event_body, headers, new_client


@dataclass(frozen=True, slots=True)
class Delivering:
    """Makes attempts.

    Parameters
    ----------
    gate
        Of the service.
    reach
        Where events may go.
    telemetry
        Counts attempts; None counts none.
    """

    gate: Gate
    reach: Reach
    telemetry: Telemetry | None = None
    _client: httpx2.Client = field(default_factory=new_client)
    _chance: random.Random = field(default_factory=random.SystemRandom)

    async def __call__(self, key: UUID) -> str:
        """Make one attempt and say what came of it."""
        return await asyncio.to_thread(self.attempt, key)

    def attempt(self, key: UUID) -> str:
        """Make one attempt.

        Returns
        -------
        str
            "gone" where nothing is to be told any more; else "delivered", "failed", which is tried
            again, or "given-up".
        """
        wanted = events.delivery(self.gate, key)
        if wanted is None:
            return "gone"
        event = wanted.event
        data = {"event": event.id} | ({} if event.subject is None else {"subject": event.subject})
        body = event_body(event.type, event.at, data)
        signed = headers([wanted.secret], str(event.id), self.gate.clock(), body)
        ended = deliver(wanted.url, body, signed, self._client, self.reach)
        outcome, again, off = str(ended.kind), None, None
        if ended.kind == "disabled":
            outcome, off = "given-up", wanted.endpoint
        elif ended.kind == "failed":
            wait = delay(wanted.attempts + 1, ended.retry_after, self._chance.random())
            outcome = "failed" if wait is not None else "given-up"
            again = None if wait is None else timedelta(seconds=wait)
        events.attempted(self.gate, key, outcome, again, off=off)
        if self.telemetry is not None:
            self.telemetry.deliveries.labels(outcome).inc()
        return outcome

    def close(self) -> None:
        """Close what is open."""
        self._client.close()
