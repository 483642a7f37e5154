"""OpenAI-style chat JSONL: one ``{"messages": [{"role", "content"}, ...]}`` a line.

Owns the shape of that record: content as text or as a list of typed parts, ids and times where
exports and fine-tuning files put them. Does not know what becomes of a turn (`turns`) or of a
time (`clock`). Streams: memory holds one line.

Ids are optional. Whose a conversation is stands in ``user_id`` or ``user``, or in the field named
by ``user_id=FIELD``; files without it need ``user_id=conversation_id``, which says that every
conversation is another person's. A conversation without an id is called by its place in the file.
Times are optional: of each message, else of the conversation, else the option `start`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sottovoce.conversations import Conversation, located, read_json_lines
from sottovoce.errors import DataError, describe
from sottovoce.readers.options import ReadOptions, Tally
from sottovoce.readers.turns import Names, Session, Turn, record_ids

IDS = {"user_id": ("user_id", "user"), "conversation_id": ("conversation_id", "id")}
"""Where ids stand, first found first."""

TIMES = ("timestamp", "created_at", "created", "create_time")
"""Where times stand, of a message and of a conversation, first found first."""

CALLS = {"tool_calls", "function_call"}
"""Fields beside which content may be missing: the assistant said nothing and called a tool."""

TEXT_PARTS = ("text", "input_text", "output_text")
"""Kinds of content part that are text, in the chat and the responses interfaces of OpenAI."""


def read_openai_chat(
    path: str | Path, options: ReadOptions | None = None, tally: Tally | None = None
) -> Iterator[Conversation]:
    """Read OpenAI-style chats one conversation at a time.

    Parameters
    ----------
    path
        A JSONL file.
    options
        Uses `columns` (user_id, conversation_id, started_at, timestamp), `roles`, `start`, `zone`.
    tally
        Counts what was left out or assumed.

    Raises
    ------
    DataError
        With file, line and field, at the first record that cannot be read.
    """
    options, tally = options or ReadOptions(), tally or Tally()
    times = (options.columns["timestamp"],) if "timestamp" in options.columns else TIMES
    session = Session(options, tally, Names(times=times))
    for position, (line, record) in enumerate(read_json_lines(path), start=1):
        try:
            conversation = _conversation(record, session, position)
        except DataError as error:
            raise located(error, path, line) from None
        if conversation is not None:
            yield conversation


def _conversation(record: object, session: Session, position: int) -> Conversation | None:
    if not isinstance(record, dict):
        raise DataError(f"this is {describe(record)}", fix="write a JSON object")
    messages = record.get("messages")
    if not isinstance(messages, list):
        raise DataError(
            f"it is {describe(messages)}", field="messages", fix="give a list of messages"
        )
    user_id, conversation_id = record_ids(record, session.options, IDS, position)
    turns = []
    for number, message in enumerate(messages, start=1):
        turn = _turn(message, session, f"messages[{number}].")
        if turn is not None:
            turns.append(turn)
    told = session.options.columns.get("started_at")
    started_at = session.time(record, TIMES if told is None else (told,))
    return session.conversation(user_id, conversation_id, turns, started_at)


def _turn(message: object, session: Session, place: str) -> Turn | None:
    if not isinstance(message, dict):
        raise DataError(f"it is {describe(message)}", field=place.rstrip("."), fix="give an object")
    if "content" not in message and CALLS & message.keys():
        message = {**message, "content": None}
    content = message.get("content")
    if isinstance(content, list):
        message = {**message, "content": _joined(content, session.tally, place + "content")}
    return session.turn(message, place)


def _joined(parts: list[Any], tally: Tally, field: str) -> str:
    texts = []
    for part in parts:
        if not isinstance(part, Mapping):
            raise DataError(
                f"a part is {describe(part)}", field=field, fix='write {"type": "text", "text": ..}'
            )
        if part.get("type") not in TEXT_PARTS:
            tally.left_out["content parts that are not text"] += 1
        elif isinstance(part.get("text"), str):
            texts.append(part["text"])
        else:
            raise DataError(
                f"the text of a part is {describe(part.get('text'))}",
                field=field,
                fix='write {"type": "text", "text": ..}',
            )
    return "\n".join(texts)
