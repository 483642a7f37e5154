"""Formats with one conversation a record: its turns in a list, its ids and time beside them.

Owns going from such records to conversations. Does not know a format's names (each reader hands
its own `Shape`) nor how the file holds its records (lines, an array).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sottovoce.conversations import Conversation, located
from sottovoce.errors import DataError, describe
from sottovoce.readers.options import ReadOptions, Tally
from sottovoce.readers.turns import Names, Session, record_ids

IDS = {"user_id": ("user_id", "user"), "conversation_id": ("conversation_id", "id")}
"""Where ids stand, first found first."""

TIMES = ("timestamp", "created_at", "created", "create_time")
"""Where times stand, of a turn and of a conversation, first found first."""

Prepare = Callable[[Mapping[str, Any], Tally, str], Mapping[str, Any]]
"""Makes a turn's content plain text; gets the turn, the tally and the turn's place."""


def _as_it_is(turn: Mapping[str, Any], _tally: Tally, _place: str) -> Mapping[str, Any]:
    return turn


@dataclass(frozen=True, slots=True)
class Shape:
    """What a format calls the list of turns and the speaker and text of one, and how it is read."""

    turns: str
    role: str
    content: str
    prepare: Prepare = _as_it_is


def read_records(
    records: Iterable[tuple[int | None, object]],
    path: str | Path,
    shape: Shape,
    options: ReadOptions | None,
    tally: Tally | None,
) -> Iterator[Conversation]:
    """Turn records into conversations one at a time.

    Parameters
    ----------
    records
        Line (or place) and decoded record.
    path
        The file they come from, for errors.
    shape
        The format's names.
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
    session = Session(options, tally, Names(shape.role, shape.content, times))
    for position, (line, record) in enumerate(records, start=1):
        try:
            conversation = _conversation(record, shape, session, position)
        except DataError as error:
            raise located(error, path, line) from None
        if conversation is not None:
            yield conversation


def _conversation(
    record: object, shape: Shape, session: Session, position: int
) -> Conversation | None:
    if not isinstance(record, dict):
        raise DataError(f"this is {describe(record)}", fix="write a JSON object")
    spoken = record.get(shape.turns)
    if not isinstance(spoken, list):
        raise DataError(
            f"it is {describe(spoken)}", field=shape.turns, fix=f"give a list of {shape.turns}"
        )
    user_id, conversation_id = record_ids(record, session.options, IDS, position)
    turns = []
    for number, each in enumerate(spoken, start=1):
        place = f"{shape.turns}[{number}]"
        if not isinstance(each, dict):
            raise DataError(f"it is {describe(each)}", field=place, fix="give an object")
        turn = session.turn(shape.prepare(each, session.tally, place), place + ".")
        if turn is not None:
            turns.append(turn)
    told = session.options.columns.get("started_at")
    started_at = session.time(record, TIMES if told is None else (told,))
    return session.conversation(user_id, conversation_id, turns, started_at)
