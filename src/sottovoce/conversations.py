"""Messages, conversations and filled-in questionnaires, and their canonical JSONL files.

Owns the three records, their validity (roles, time zones, ranges) and reading and writing
`chats.jsonl` and `labels.jsonl` one line at a time. Does not know other formats (`readers`) nor
which message may predict which questionnaire (`cohort`).
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

from sottovoce.errors import DataError, describe
from sottovoce.instruments import instrument

Role = Literal["user", "assistant"]
ROLES: tuple[Role, ...] = ("user", "assistant")

MAX_LINE_BYTES = 32 * 2**20
"""Longest line read, in bytes. The largest conversation seen while building this had 60 kB; a
line 500 times that is a file that is not JSON lines, and reading it whole would fill memory."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn: who said it, the text, and when (timezone-aware, UTC)."""

    role: Role
    content: str
    timestamp: datetime

    def __post_init__(self) -> None:
        if self.timestamp.tzinfo is None:
            raise DataError("the timestamp has no time zone", field="timestamp", fix=_ZONE_FIX)
        check_text(self.content, field="content")


@dataclass(frozen=True, slots=True)
class Conversation:
    """One person's conversation with the companion: messages in the order of the file."""

    user_id: str
    conversation_id: str
    messages: tuple[Message, ...]

    def __post_init__(self) -> None:
        check_text(self.user_id, field="user_id")
        check_text(self.conversation_id, field="conversation_id")


@dataclass(frozen=True, slots=True)
class QuestionnaireResponse:
    """A questionnaire somebody filled in.

    Parameters
    ----------
    user_id
        Who.
    instrument
        Key of the instrument, "phq-9".
    completed_at
        When, timezone-aware UTC.
    total
        The total in points; None when too many items are missing.
    items
        One value per item, None where unanswered; None when only the total is known.
    """

    user_id: str
    instrument: str
    completed_at: datetime
    total: float | None
    items: tuple[int | None, ...] | None = None

    def __post_init__(self) -> None:
        check_text(self.user_id, field="user_id")
        if self.completed_at.tzinfo is None:
            raise DataError(
                "the time of the questionnaire has no time zone",
                field="completed_at",
                fix=_ZONE_FIX,
            )
        used = instrument(self.instrument)
        if self.total is not None:
            used.check_total(self.total)
        if self.items is not None:
            used.check_items(self.items)


_ZONE_FIX = "write it with an offset, for example 2025-05-27T15:49:08Z"


def check_text(text: str, *, field: str) -> None:
    """Raise DataError if a text holds a lone surrogate: half a character, which no file keeps."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"character {error.start + 1} is a lone surrogate",
            field=field,
            fix="export the text again as whole characters",
        ) from None


def parse_time(value: object, *, field: str) -> datetime:
    """Read an ISO 8601 time with an offset as timezone-aware UTC.

    Raises
    ------
    DataError
        If it is no such time, or has no offset.
    """
    if not isinstance(value, str):
        raise DataError(f"the time is {describe(value)}", field=field, fix=_ZONE_FIX)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise DataError(
            f"the time is not ISO 8601 ({describe(value)})", field=field, fix=_ZONE_FIX
        ) from None
    if moment.tzinfo is None:
        raise DataError("the time has no time zone", field=field, fix=_ZONE_FIX)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise DataError("the time is outside the calendar", field=field, fix=_ZONE_FIX) from None


def format_time(moment: datetime) -> str:
    """Write a time as ISO 8601 UTC with a Z, in whole seconds where it is whole."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def conversation_from(record: object) -> Conversation:
    """Build a conversation from one decoded line of `chats.jsonl`.

    Raises
    ------
    DataError
        If a field is missing or of the wrong kind; says which, not what it holds.
    """
    fields = record_of(record)
    raw = fields.get("messages")
    if not isinstance(raw, list):
        raise DataError(f"it is {describe(raw)}", field="messages", fix="give a list of messages")
    messages = []
    for number, each in enumerate(raw, start=1):
        try:
            messages.append(_message_from(record_of(each)))
        except DataError as error:
            place = f"messages[{number}]" + (f".{error.field}" if error.field else "")
            raise DataError(error.problem, field=place, fix=error.fix) from None
    return Conversation(
        text_in(fields, "user_id"), text_in(fields, "conversation_id"), tuple(messages)
    )


def conversation_record(conversation: Conversation) -> dict[str, Any]:
    """Give the conversation as one object of `chats.jsonl`."""
    return {
        "user_id": conversation.user_id,
        "conversation_id": conversation.conversation_id,
        "messages": [
            {
                "role": message.role,
                "content": message.content,
                "timestamp": format_time(message.timestamp),
            }
            for message in conversation.messages
        ],
    }


def response_from(record: object) -> QuestionnaireResponse:
    """Build a questionnaire response from one decoded line of `labels.jsonl`.

    A response with items and no total is scored by the instrument's rule for missing items; one
    with both must agree with that rule.

    Raises
    ------
    DataError
        If a field is missing, of the wrong kind, or outside the instrument's range.
    """
    fields = record_of(record)
    used = instrument(text_in(fields, "instrument"))
    items = _items_from(fields.get("items"))
    total = fields.get("total")
    if total is not None and (isinstance(total, bool) or not isinstance(total, int | float)):
        raise DataError(f"it is {describe(total)}", field="total", fix="give the total in points")
    if items is not None:
        scored = used.total(items)
        if total is None:
            total = scored
        elif None not in items and total != scored:
            raise DataError(
                f"the total is {total:g} and the items add up to {scored:g}",
                field="total",
                fix="correct one of them",
            )
    elif total is None:
        raise DataError("there is neither a total nor items", field="total", fix="give one")
    return QuestionnaireResponse(
        text_in(fields, "user_id"),
        used.key,
        parse_time(fields.get("completed_at"), field="completed_at"),
        total,
        items,
    )


def response_record(response: QuestionnaireResponse) -> dict[str, Any]:
    """Give the response as one object of `labels.jsonl`."""
    return {
        "user_id": response.user_id,
        "instrument": response.instrument,
        "completed_at": format_time(response.completed_at),
        "total": response.total,
        "items": None if response.items is None else list(response.items),
    }


def read_chats(path: str | Path) -> Iterator[Conversation]:
    """Read a canonical `chats.jsonl` one conversation at a time.

    Raises
    ------
    DataError
        With file, line and field, at the first line that is not a conversation; also when the
        file is missing, empty, or not text.
    """
    for _, conversation in read_numbered_chats(path):
        yield conversation


def read_numbered_chats(path: str | Path) -> Iterator[tuple[int, Conversation]]:
    """Read `chats.jsonl` as pairs of 1-based line number and conversation."""
    for line, record in read_json_lines(path):
        try:
            yield line, conversation_from(record)
        except DataError as error:
            raise located(error, path, line) from None


def read_labels(path: str | Path) -> Iterator[QuestionnaireResponse]:
    """Read a canonical `labels.jsonl` one questionnaire at a time.

    Raises
    ------
    DataError
        As `read_chats`.
    """
    for line, record in read_json_lines(path):
        try:
            yield response_from(record)
        except DataError as error:
            raise located(error, path, line) from None


def read_json_lines(path: str | Path) -> Iterator[tuple[int, object]]:
    """Decode a JSONL file one line at a time, with 1-based line numbers; blank lines are skipped.

    Memory holds one line, at most `MAX_LINE_BYTES`.

    Raises
    ------
    DataError
        If the file is missing, empty, binary, has an overlong line or a line that is not JSON.
    """
    for number, _, record in read_offsets(path):
        yield number, record


def read_offsets(path: str | Path) -> Iterator[tuple[int, int, object]]:
    """Decode a JSONL file as `read_json_lines`, giving line number, byte offset and value."""
    with open_data(path) as stream:
        number, offset, found = 0, 0, False
        while raw := stream.readline(MAX_LINE_BYTES + 1):
            number += 1
            if text := line_text(raw, path, number).strip():
                found = True
                yield number, offset, decode_json(text, path, number)
            offset += len(raw)
    if not found:
        raise DataError("the file is empty", path=path, fix="write one JSON object a line")


def open_data(path: str | Path) -> BinaryIO:
    """Open a data file for reading bytes, or say in one sentence why it cannot be read."""
    path = Path(path)
    if path.is_dir():
        raise DataError("this is a folder", path=path, fix="name the file inside it")
    try:
        return path.open("rb")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DataError(
            f"the file cannot be read ({reason})", path=path, fix="check the name"
        ) from None


def line_text(raw: bytes, path: str | Path, line: int) -> str:
    """Decode one line as UTF-8, refusing binary and overlong ones."""
    if len(raw) > MAX_LINE_BYTES:
        raise DataError(
            f"the line is longer than {MAX_LINE_BYTES // 2**20} MiB",
            path=path,
            line=line,
            fix="write one conversation a line",
        )
    if b"\x00" in raw:
        raise DataError("the file is binary", path=path, line=line, fix="give a UTF-8 text file")
    try:
        return raw.decode("utf-8-sig" if line == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"byte {error.start + 1} is not UTF-8",
            path=path,
            line=line,
            fix="save the file as UTF-8",
        ) from None


def decode_json(text: str, path: str | Path, line: int) -> object:
    """Decode one JSON value, refusing NaN and infinities."""
    try:
        return cast("object", json.loads(text, parse_constant=_refuse_constant))
    except DataError as error:
        raise located(error, path, line) from None
    except json.JSONDecodeError as error:
        cut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")
        problem = "the JSON ends too early" if cut else f"not JSON at character {error.pos + 1}"
        raise DataError(
            problem, path=path, line=line, fix="write one whole JSON object a line"
        ) from None
    except ValueError:  # Python's limit on the digits of a whole number
        raise DataError(
            "a number has too many digits", path=path, line=line, fix="correct the number"
        ) from None
    except RecursionError:
        raise DataError(
            "the JSON is nested too deeply",
            path=path,
            line=line,
            fix="write one conversation a line",
        ) from None


def located(error: DataError, path: str | Path, line: int | None) -> DataError:
    """Give the same error with file and line added."""
    return DataError(error.problem, path=path, line=line, field=error.field, fix=error.fix)


def write_json_lines(path: str | Path, records: Iterable[dict[str, Any]]) -> int:
    """Write records as JSONL beside the target and move them into place; give their number."""
    count = 0
    with json_lines(path) as write:
        for record in records:
            write(record)
            count += 1
    return count


@contextmanager
def json_lines(path: str | Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Give what writes one record as a line; the file is there when all of them are, or not at all.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    try:
        with _writing(path):
            stream = partial.open("w", encoding="utf-8")
        with stream:

            def write(record: dict[str, Any]) -> None:
                line = json.dumps(record, ensure_ascii=False, allow_nan=False)
                with _writing(path):
                    stream.write(line + "\n")

            yield write
            with _writing(path):
                stream.flush()
        with _writing(path):
            partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DataError(
            f"the file cannot be written ({reason})", path=path, fix="name another output"
        ) from None


def _refuse_constant(name: str) -> None:
    raise DataError(f"{name} is not a number", fix="write null where there is no value")


def record_of(value: object) -> dict[str, Any]:
    """Give a decoded line as a JSON object, or raise DataError."""
    if not isinstance(value, dict):
        raise DataError(f"this is {describe(value)}", fix="write a JSON object")
    return value


def text_in(fields: Mapping[str, Any], name: str) -> str:
    """Give a field that holds a non-empty text, or raise DataError."""
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"it is {describe(value)}", field=name, fix="give a non-empty text")
    return value


def _message_from(fields: dict[str, Any]) -> Message:
    role, content = fields.get("role"), fields.get("content")
    if role not in ROLES:
        raise DataError(
            f"the role is {describe(role)} that is neither user nor assistant",
            field="role",
            fix="write user or assistant, or use sottovoce convert",
        )
    if not isinstance(content, str):
        raise DataError(f"it is {describe(content)}", field="content", fix="give the text")
    return Message(role, content, parse_time(fields.get("timestamp"), field="timestamp"))


def _items_from(raw: object) -> tuple[int | None, ...] | None:
    if raw is None:
        return None
    if not isinstance(raw, list):
        raise DataError(f"it is {describe(raw)}", field="items", fix="give a list, or null")
    for each in raw:
        if each is not None and (isinstance(each, bool) or not isinstance(each, int)):
            raise DataError(
                f"an item is {describe(each)}", field="items", fix="give 0, 1, 2, 3 or null"
            )
    return tuple(raw)
