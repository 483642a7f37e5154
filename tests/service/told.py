"""Callers, and people about whom something is told, for tests of the service's core."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import text

from sottovoce.service import ledger, people
from sottovoce.service.gate import Gate
from sottovoce.service.messages import Said
from sottovoce.service.principals import Principal

APP = Principal("app", uuid4(), uuid4())
ADMIN = Principal("admin", uuid4(), uuid4())
MORNING = datetime(2026, 3, 1, 8, tzinfo=UTC)


def line(purpose: str, granted: bool, at: datetime) -> ledger.Line:
    return ledger.Line(purpose, granted, at, "v1", "app")


def record(gate: Gate, person: str, *lines: ledger.Line) -> frozenset[str]:
    with gate.open(APP, "consent.record", person) as case:
        return ledger.record(case, list(lines))


def consenting(gate: Gate, person: str, *purposes: str, at: datetime = MORNING) -> str:
    """Register a person who agrees to the purposes; give their id."""
    people.register(gate, APP, person)
    record(gate, person, *(line(each, True, at) for each in purposes))
    return person


def said(number: int, content: str = "hello", at: datetime | None = None) -> Said:
    moment = MORNING + timedelta(minutes=number) if at is None else at
    return Said(f"m{number}", "c1", "user", content, moment)


def ask(gate: Gate, query: str, **values: Any) -> list[Any]:
    """Ask the database itself, past the gate."""
    with gate.database.transaction() as connection:
        result = connection.execute(text(query), values)
        return list(result.all()) if result.returns_rows else []


def at_once(work: Callable[[int], Any], threads: int) -> list[Any]:
    """Do a piece of work in several threads; raise what any of them raises."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, range(threads)))
