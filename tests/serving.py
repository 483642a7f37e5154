"""The service's API in this process: an app on a database, a key of each role, and what apps do."""

import io
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import structlog
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from sottovoce.estimates import Estimate
from sottovoce.service import accounts, estimates, logs
from sottovoce.service.api.app import new_app
from sottovoce.service.gate import Gate
from sottovoce.service.principals import ROLES, SERVICE
from sottovoce.service.settings import ServiceSettings

PLAIN: dict[str, Any] = {
    "deidentifier": "patterns",
    "score_delay": 0,
    "requests_per_minute": 10**6,
    "webhook_networks": (ip_network("127.0.0.0/8"),),
}
"""Settings of tests: no model is loaded, nobody waits or is too fast, webhooks stay here."""

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
"""When made-up conversations begin."""


class Everywhere:
    """Lets every request come from another address, so that no caller counts for another."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self._numbers = app, count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            number = next(self._numbers)
            scope["client"] = (f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 1)
        await self.app(scope, receive, send)


@dataclass(frozen=True)
class Stage:
    """An app, whoever may call it, and what they do.

    Parameters
    ----------
    gate
        Of its database.
    client
        Calls it; failures of the app are answers.
    accounts, secrets
        An account of each role and its key.
    """

    gate: Gate
    app: Any
    client: TestClient
    accounts: dict[str, UUID] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, who: str | None = "app", **given: Any) -> Any:
        """Send a request with the key of a role, or without one."""
        headers = dict(given.pop("headers", {}))
        if who is not None:
            headers["Authorization"] = f"Bearer {self.secrets[who]}"
        return self.client.request(method, path, headers=headers, **given)

    def done(self, method: str, path: str, who: str = "app", **given: Any) -> Any:
        """Send a request that must succeed; give what it says."""
        answer = self.ask(method, path, who, **given)
        assert answer.is_success, (method, path, answer.status_code, answer.text)
        return answer.json() if answer.content else None

    def register(self, person: str, *purposes: str) -> None:
        """Register a person who agrees to some purposes."""
        self.done("PUT", f"/v1/people/{person}")
        for purpose in purposes:
            self.consent(person, purpose)

    def consent(
        self, person: str, purpose: str = "monitoring", granted: bool = True, **changes: Any
    ) -> Any:
        """Write a line into the ledger."""
        path = f"/v1/people/{person}/consent"
        return self.done("POST", path, json={"consent": [consented(purpose, granted, **changes)]})

    def say(self, person: str, *texts: str, **changes: Any) -> Any:
        """Store what a person said, a minute apart."""
        batch = [message(number, text, **changes) for number, text in enumerate(texts)]
        return self.done("POST", f"/v1/people/{person}/messages", json={"messages": batch})

    def said(self, person: str) -> list[dict[str, Any]]:
        """Read a person's messages as her clinician."""
        path = f"/v1/people/{person}/messages?limit=500"
        found: list[dict[str, Any]] = self.done("GET", path, "clinician")["messages"]
        return found

    def care(self, person: str) -> None:
        """Put a person on the clinician's caseload."""
        where = f"/v1/accounts/{self.accounts['clinician']}/caseload/{person}"
        self.done("PUT", where, "admin")

    def key(self, role: str, **given: Any) -> tuple[UUID, str]:
        """Make another key of a role's account."""
        with self.gate.database.transaction() as connection:
            at = self.gate.clock()
            key, secret = accounts.add_key(connection, self.accounts[role], at, **given)
        return key.id, secret

    def estimated(self, person: str, made: Estimate, evidence: Any = None) -> UUID:
        """Store an estimate, as a worker does; give its id."""
        row = self.row(person)
        with self.gate.open(SERVICE, "score.store", row) as case:
            kept = estimates.add(case, made, case.revision, evidence)
        assert kept is not None
        return kept.id

    def row(self, person: str) -> UUID:
        """Give the row of a person."""
        from sqlalchemy import select

        from sottovoce.service.tables import people

        asked = select(people.c.id).where(people.c.digest == self.gate.index.person(person))
        with self.gate.database.transaction() as connection:
            found = connection.execute(asked).scalar_one()
        assert isinstance(found, UUID)
        return found


def consented(purpose: str = "monitoring", granted: bool = True, **changes: Any) -> dict[str, Any]:
    """Give one line for the ledger."""
    line = {"purpose": purpose, "granted": granted, "at": datetime.now(UTC).isoformat()}
    return line | {"text_version": "v1", "source": "app"} | changes


def message(number: int, text: str = "hello", **changes: Any) -> dict[str, Any]:
    """Give one message for a batch."""
    said = {"id": f"m{number}", "conversation_id": "c", "role": "user", "content": text}
    at = START + timedelta(minutes=number)
    return said | {"sent_at": at.isoformat()} | changes


@contextmanager
def staged(gate: Gate, **chosen: Any) -> Iterator[Stage]:
    """Give an app on a gate, with an account and a key of each role."""
    with TemporaryDirectory(prefix="sottovoce-") as place:
        noted = {"erased_file": Path(place) / "erased.txt"}
        app = new_app(ServiceSettings(**(PLAIN | noted | chosen)), gate)
        with TestClient(
            Everywhere(app), raise_server_exceptions=False, base_url="http://localhost"
        ) as client:
            stage = Stage(gate, app, client)
            for role in ROLES:
                with gate.database.transaction() as connection:
                    made = accounts.add_account(connection, f"the {role}", role, gate.clock())
                stage.accounts[role] = made.id
                stage.secrets[role] = stage.key(role)[1]
            yield stage


@contextmanager
def logged() -> Iterator[io.StringIO]:
    """Configure logs into a string, and put everything back afterwards."""
    before = (
        warnings.showwarning, sys.excepthook, threading.excepthook, sys.unraisablehook,
        logging.raiseExceptions, logging.getLogger().handlers[:], logging.getLogger().level,
    )  # fmt: skip
    stream = io.StringIO()
    logs.configure(logging.DEBUG, stream)
    yield stream
    structlog.reset_defaults()
    warnings.showwarning, sys.excepthook, threading.excepthook, sys.unraisablehook = before[:4]
    logging.raiseExceptions = before[4]
    logging.getLogger().handlers[:] = before[5]
    logging.getLogger().setLevel(before[6])
