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

from sottovoce.conversations import Conversation, read_json_lines
from sottovoce.errors import DataError, describe
from sottovoce.readers.options import ReadOptions, Tally
from sottovoce.readers.records import Shape, read_records

CALLS = {"tool_calls", "function_call"}
"""Fields beside which content may be missing: the assistant said nothing and called a tool."""

TEXT_PARTS = ("text", "input_text", "output_text")
"""Kinds of content part that are text, in the chat and the responses interfaces of OpenAI."""


def read_openai_chat(
    path: str | Path, options: ReadOptions | None = None, tally: Tally | None = None
) -> Iterator[Conversation]:
    """Read OpenAI-style chats, a JSONL file, one conversation at a time (see `read_records`)."""
    shape = Shape("messages", "role", "content", _plain)
    return read_records(read_json_lines(path), path, shape, options, tally)


def _plain(turn: Mapping[str, Any], tally: Tally, place: str) -> Mapping[str, Any]:
    """Join a content of parts; a turn that only calls a tool has none."""
    if "content" not in turn and CALLS & turn.keys():
        return {**turn, "content": None}
    content = turn.get("content")
    if isinstance(content, list):
        return {**turn, "content": _joined(content, tally, f"{place}.content")}
    return turn


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
