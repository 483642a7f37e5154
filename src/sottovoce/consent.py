"""Who agreed to what: the consent ledger `consent.jsonl`, and whether it covers a use.

Owns the words for purposes, the form of the ledger and its reading: lines are appended and never
changed, of one person and purpose the latest counts. Fails closed. Does not know where anything
is sent (`disclosure`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, cast

from sottovoce.conversations import (
    format_time,
    located,
    parse_time,
    read_json_lines,
    record_of,
    text_in,
)
from sottovoce.errors import DataError

Purpose = Literal["monitoring", "warning", "research", "external_annotation"]
PURPOSES: tuple[Purpose, ...] = ("monitoring", "warning", "research", "external_annotation")
"""What a person may agree to: being followed over time, a warning to the care team, research
inside the machine, and the reading of de-identified chats by somebody else's model."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One line of the ledger.

    Parameters
    ----------
    user_id
        Who agreed.
    purpose
        To what.
    granted_at
        Since when, timezone-aware UTC.
    withdrawn_at
        Since when no longer; None while it holds.
    version, source
        Of the consent form, and where the agreement is kept; for people, not read by any rule.

    Raises
    ------
    DataError
        If it is withdrawn before it is granted, or the purpose is not one of `PURPOSES`.
    """

    user_id: str
    purpose: Purpose
    granted_at: datetime
    withdrawn_at: datetime | None = None
    version: str | None = None
    source: str | None = None

    def __post_init__(self) -> None:
        if self.purpose not in PURPOSES:
            raise DataError(
                "it is not a purpose", field="purpose", fix=f"use {', '.join(PURPOSES)}"
            )
        if self.withdrawn_at is not None and self.withdrawn_at < self.granted_at:
            raise DataError(
                "it is withdrawn before it is granted", field="withdrawn_at", fix="correct it"
            )

    def holds(self, at: datetime) -> bool:
        """Whether it holds at a moment: granted by then and not withdrawn by then."""
        if self.withdrawn_at is not None and self.withdrawn_at <= at:
            return False
        return self.granted_at <= at


class Consent:
    """The ledger as it stands: of one person and purpose the last line counts.

    Parameters
    ----------
    grants
        In the order of the file.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> given = datetime(2025, 1, 1, tzinfo=UTC)
    >>> consent = Consent([Grant("p1", "research", given)])
    >>> consent.covers("p1", "research", given), consent.covers("p2", "research", given)
    (True, False)
    """

    def __init__(self, grants: Iterable[Grant]) -> None:
        self._latest = {(each.user_id, str(each.purpose)): each for each in grants}

    def covers(self, user_id: str, purpose: str, at: datetime) -> bool:
        """Whether a person agrees to a purpose at a moment.

        False for whoever is not in the ledger, for a purpose that nobody may agree to, before the
        agreement and after its withdrawal.
        """
        grant = self._latest.get((user_id, purpose))
        return grant is not None and grant.holds(at)

    def withdrew(self, user_id: str, purpose: str, at: datetime) -> bool:
        """Whether a person agreed to a purpose and took it back by a moment."""
        grant = self._latest.get((user_id, purpose))
        return grant is not None and grant.withdrawn_at is not None and grant.withdrawn_at <= at


def grant_from(record: object) -> Grant:
    """Build a grant from one decoded line of `consent.jsonl`.

    Raises
    ------
    DataError
        If a field is missing or of the wrong kind; says which, not what it holds.
    """
    fields = record_of(record)
    withdrawn = fields.get("withdrawn_at")
    return Grant(
        text_in(fields, "user_id"),
        cast("Purpose", text_in(fields, "purpose")),
        parse_time(fields.get("granted_at"), field="granted_at"),
        None if withdrawn is None else parse_time(withdrawn, field="withdrawn_at"),
        *(None if fields.get(name) is None else text_in(fields, name) for name in _REMARKS),
    )


_REMARKS = ("version", "source")


def grant_record(grant: Grant) -> dict[str, Any]:
    """Give the grant as one object of `consent.jsonl`."""
    return {
        "user_id": grant.user_id,
        "purpose": grant.purpose,
        "granted_at": format_time(grant.granted_at),
        "withdrawn_at": None if grant.withdrawn_at is None else format_time(grant.withdrawn_at),
        "version": grant.version,
        "source": grant.source,
    }


def read_consent(path: str | Path) -> Consent:
    """Read a ledger.

    Raises
    ------
    DataError
        With file, line and field, at the first line that is no grant: a ledger that cannot be
        read whole allows nothing.
    """
    grants = []
    for line, record in read_json_lines(path):
        try:
            grants.append(grant_from(record))
        except DataError as error:
            raise located(error, path, line) from None
    return Consent(grants)
