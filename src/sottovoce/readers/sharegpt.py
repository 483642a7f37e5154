"""ShareGPT: ``{"id", "conversations": [{"from": "human|gpt|system", "value"}, ...]}``.

Owns the shape of that record, in a JSON array or one a line. Does not know what becomes of a
turn (`turns`) or of a time (`clock`). Streams either way: memory holds one conversation.

The format names no person and no time. Whose a conversation is stands in ``user_id`` or in the
field named by ``user_id=FIELD``; ``user_id=conversation_id`` says that every conversation is
another person's. Its time is that of each turn or of the conversation where an export added
one, else the option `start`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sottovoce.conversations import Conversation, located
from sottovoce.errors import DataError, describe
from sottovoce.readers.documents import read_objects
from sottovoce.readers.options import ReadOptions, Tally
from sottovoce.readers.turns import Names, Session, record_ids

IDS = {"user_id": ("user_id", "user"), "conversation_id": ("conversation_id", "id")}
"""Where ids stand, first found first."""

TIMES = ("timestamp", "created_at", "created", "create_time")
"""Where exports that add a time put it, first found first."""


def read_sharegpt(
    path: str | Path, options: ReadOptions | None = None, tally: Tally | None = None
) -> Iterator[Conversation]:
    """Read ShareGPT chats one conversation at a time.

    Parameters
    ----------
    path
        A JSON array or a JSONL file.
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
    session = Session(options, tally, Names("from", "value", times))
    for position, (line, record) in enumerate(read_objects(path), start=1):
        try:
            conversation = _conversation(record, session, position)
        except DataError as error:
            raise located(error, path, line) from None
        if conversation is not None:
            yield conversation


def _conversation(record: dict[str, Any], session: Session, position: int) -> Conversation | None:
    spoken = record.get("conversations")
    if not isinstance(spoken, list):
        raise DataError(
            f"it is {describe(spoken)}", field="conversations", fix="give a list of turns"
        )
    user_id, conversation_id = record_ids(record, session.options, IDS, position)
    turns = []
    for number, each in enumerate(spoken, start=1):
        place = f"conversations[{number}]"
        if not isinstance(each, dict):
            raise DataError(f"it is {describe(each)}", field=place, fix="give an object")
        turn = session.turn(each, place + ".")
        if turn is not None:
            turns.append(turn)
    told = session.options.columns.get("started_at")
    started_at = session.time(record, TIMES if told is None else (told,))
    return session.conversation(user_id, conversation_id, turns, started_at)
