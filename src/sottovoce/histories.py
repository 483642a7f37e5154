"""One person's conversations and questionnaires together, whatever the order of the files.

Owns going through files person by person with memory that does not grow with the number of
people: a first pass notes where each line stands in a private on-disk index that vanishes with
the process, a second reads one person's lines at a time. Does not know windows or models.
"""

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sottovoce.conversations import (
    Conversation,
    QuestionnaireResponse,
    conversation_from,
    decode_json,
    line_text,
    located,
    open_data,
    read_offsets,
    response_from,
)
from sottovoce.errors import DataError


@dataclass(frozen=True, slots=True)
class History:
    """What is known of one person: conversations in file order, questionnaires by time."""

    user_id: str
    conversations: tuple[Conversation, ...]
    responses: tuple[QuestionnaireResponse, ...]


class Histories:
    """The people of a chat file, one after the other.

    Parameters
    ----------
    chats
        Canonical `chats.jsonl`.
    labels
        Canonical `labels.jsonl`; people without conversations are not visited.

    Raises
    ------
    DataError
        On construction, at the first line of either file that cannot be used: nothing is
        scored from a file that is broken further down.

    Examples
    --------
    >>> with Histories("chats.jsonl") as people:  # doctest: +SKIP
    ...     for history in people:
    ...         print(len(history.conversations))
    """

    def __init__(self, chats: str | Path, labels: str | Path | None = None) -> None:
        self._paths = (Path(chats), *([] if labels is None else [Path(labels)]))
        self._index = sqlite3.connect("")  # a private temporary file, gone when it is closed
        self._index.execute("create table line (user text, file int, number int, offset int)")
        try:
            for file, path in enumerate(self._paths):
                self._index.executemany("insert into line values (?, ?, ?, ?)", _lines(path, file))
        except BaseException:
            self._index.close()
            raise
        self._index.execute("create index by_user on line (user, file, number)")

    def __enter__(self) -> "Histories":
        return self

    def __exit__(self, *_error: object) -> None:
        self._index.close()

    def __len__(self) -> int:
        """Count the people with conversations."""
        query = "select count(distinct user) from line where file = 0"
        return int(self._index.execute(query).fetchone()[0])

    def __iter__(self) -> Generator[History, None, None]:
        """Visit people in the order of their first conversation in the file.

        A visit that is broken off has to be closed before the index is.
        """
        people = self._index.execute(
            "select user from line where file = 0 group by user order by min(number)"
        )
        with closing(people):
            streams = [open_data(path) for path in self._paths]
            try:
                for (user,) in people:
                    yield self._history(user, streams)
            finally:
                for stream in streams:
                    stream.close()

    def _history(self, user: str, streams: list[BinaryIO]) -> History:
        rows = self._index.execute(
            "select file, number, offset from line where user = ? order by file, number", (user,)
        )
        conversations: list[Conversation] = []
        responses: list[QuestionnaireResponse] = []
        for file, number, offset in rows:
            streams[file].seek(offset)
            path = self._paths[file]
            record = decode_json(line_text(streams[file].readline(), path, number), path, number)
            if file == 0:
                conversations.append(conversation_from(record))
            else:
                responses.append(response_from(record))
        responses.sort(key=lambda response: response.completed_at)
        return History(user, tuple(conversations), tuple(responses))


def _lines(path: Path, file: int) -> Iterator[tuple[str, int, int, int]]:
    """Check every line and give its person and place."""
    for number, offset, record in read_offsets(path):
        try:
            each = conversation_from(record) if file == 0 else response_from(record)
        except DataError as error:
            raise located(error, path, number) from None
        yield each.user_id, file, number, offset
