"""Where a page ended, as an opaque text that the next request brings back.

Owns that text. It holds times and keyed digests, never an id of an app.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from datetime import datetime
from uuid import UUID

from sottovoce.conversations import format_time
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


def after_message(cursor: str | None) -> tuple[datetime, bytes] | None:
    """Read where a page of messages ended."""
    if cursor is None:
        return None
    moment, _, digest = _bytes(cursor).partition(b"|")
    try:
        found = datetime.fromisoformat(moment.decode("ascii"))
    except (ValueError, UnicodeDecodeError):
        raise _wrong() from None
    if found.tzinfo is None:
        raise _wrong()
    return found, digest


def message_cursor(at: datetime, digest: bytes) -> str:
    """Say where a page of messages ended."""
    return _text(format_time(at).encode() + b"|" + digest)


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
