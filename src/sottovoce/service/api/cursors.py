"""Where a page ended, as an opaque text that the next request brings back.

Owns that text. It holds times and numbers of rows, never an id of an app.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from datetime import datetime
from uuid import UUID

from sottovoce.conversations import format_time
from sottovoce.service.messages import Spot
from sottovoce.service.refusals import Invalid


def after_person(cursor: str | None) -> UUID | None:
    """Read where a page of people ended."""
    if cursor is None:
        return None
    try:
        return UUID(bytes=_bytes(cursor))
    except ValueError:
        raise _wrong() from None


def person_cursor(person: UUID) -> str:
    """Say where a page of people ended."""
    return _text(person.bytes)


def after_message(cursor: str | None) -> Spot | None:
    """Read where a page of messages ended."""
    if cursor is None:
        return None
    try:
        moment, revision, position = _bytes(cursor).decode("ascii").split("|")
        found = datetime.fromisoformat(moment), int(revision), int(position)
    except (ValueError, UnicodeDecodeError):
        raise _wrong() from None
    if found[0].tzinfo is None or not 0 <= found[1] < 2**63 or not 0 <= found[2] < 2**31:
        raise _wrong()
    return found


def message_cursor(spot: Spot) -> str:
    """Say where a page of messages ended."""
    at, revision, position = spot
    return _text(f"{format_time(at)}|{revision}|{position}".encode())


def after_entry(cursor: str | None) -> tuple[int, int] | None:
    """Read where a page of the audit log ended: lane and number."""
    if cursor is None:
        return None
    raw = _bytes(cursor)
    if len(raw) != 9 or raw[1] > 0x7F:  # numbers of PostgreSQL are signed
        raise _wrong()
    return raw[0], int.from_bytes(raw[1:], "big")


def entry_cursor(lane: int, number: int) -> str:
    """Say where a page of the audit log ended."""
    return _text(bytes([lane]) + number.to_bytes(8, "big"))


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(cursor: str) -> bytes:
    try:
        return urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
    except (NotBase64, UnicodeEncodeError):
        raise _wrong() from None


def _wrong() -> Invalid:
    return Invalid("cursor", "it is none that this service gave; begin without one")
