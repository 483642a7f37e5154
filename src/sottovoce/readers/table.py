"""Long tables, CSV or Parquet: one row a message, with a mapping of our names to their columns.

Owns the grouping of rows into conversations. Does not know what becomes of a turn (`turns`) or of
a time (`clock`).

The rows of a conversation may stand anywhere in the table, so the messages are all held until
the last row is read: memory grows with the text. (A temporary file would bound it, and would be
a second copy of what people said on somebody's disk.) The CSV itself is read row by row and
Parquet in batches of `BATCH_ROWS`, only the columns that are used. Messages keep the order of the
table, or of the column mapped to ``order``.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sottovoce.conversations import Conversation, located, open_data
from sottovoce.errors import DataError, describe, require
from sottovoce.readers.options import ReadOptions, Tally
from sottovoce.readers.rows import read_rows, require_columns
from sottovoce.readers.turns import Names, Session, Turn, identifier

NEEDED = ("user_id", "conversation_id", "role", "content")
OPTIONAL = ("timestamp", "started_at", "order")

BATCH_ROWS = 10_000
"""Parquet rows decoded at a time; some megabytes of chat."""


@dataclass(slots=True)
class _Thread:
    """The turns of one conversation so far, each with its place in the order."""

    line: int
    started_at: datetime | None
    turns: list[tuple[float, Turn]] = field(default_factory=list)


def read_csv(
    path: str | Path, options: ReadOptions | None = None, tally: Tally | None = None
) -> Iterator[Conversation]:
    """Read a long CSV into conversations, in the order of their first rows.

    Parameters
    ----------
    path
        A UTF-8 CSV with a header; comma, semicolon or tab.
    options
        Uses `columns` (user_id, conversation_id, role, content, timestamp, started_at, order),
        `roles`, `start`, `zone`.
    tally
        Counts what was left out or assumed.

    Raises
    ------
    DataError
        With file, line and field, at the first row that cannot be read.
    """
    options, tally = options or ReadOptions(), tally or Tally()
    return _conversations(_checked(path, options), path, options, tally)


def read_parquet(
    path: str | Path, options: ReadOptions | None = None, tally: Tally | None = None
) -> Iterator[Conversation]:
    """Read a long Parquet file into conversations, in the order of their first rows.

    Parameters and errors are those of `read_csv`; a line is a row, from 1.

    Raises
    ------
    MissingExtraError
        If pyarrow is not installed.
    """
    options, tally = options or ReadOptions(), tally or Tally()
    return _conversations(_parquet_rows(path, options), path, options, tally)


def _checked(path: str | Path, options: ReadOptions) -> Iterator[tuple[int, dict[str, str]]]:
    wanted = [(name, options.column(name)) for name in (*NEEDED, *options.columns)]
    for line, row in read_rows(path):
        require_columns(row, wanted, path)
        yield line, row


def _parquet_rows(path: str | Path, options: ReadOptions) -> Iterator[tuple[int, dict[str, Any]]]:
    what = "reading Parquet"
    arrow = require("pyarrow", what=what, extra="parquet")
    parquet = require("pyarrow.parquet", what=what, extra="parquet")
    with open_data(path) as stream:
        try:
            file = parquet.ParquetFile(stream)
        except (arrow.ArrowException, OSError):
            raise DataError("this is not a Parquet file", path=path, fix="check the file") from None
        present = dict.fromkeys(file.schema_arrow.names, "")
        require_columns(
            present, [(name, options.column(name)) for name in (*NEEDED, *options.columns)], path
        )
        used = [options.column(name) for name in (*NEEDED, *OPTIONAL)]
        used = [column for column in dict.fromkeys(used) if column in present]
        number = 0
        try:
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=used):
                for row in _microseconds(arrow, batch).to_pylist():
                    number += 1
                    yield number, row
        except (arrow.ArrowException, OSError):
            raise DataError(
                "the Parquet file is damaged", path=path, line=number + 1, fix="write it again"
            ) from None


def _microseconds(arrow: Any, batch: Any) -> Any:
    """Cast times to microseconds, the finest that Python keeps; the rest is left as it is."""
    table = arrow.table(batch.columns, names=batch.schema.names)
    for index, column in enumerate(batch.schema):
        if arrow.types.is_timestamp(column.type):
            zone = None if column.type.tz is None else "UTC"
            cast = table.column(index).cast(arrow.timestamp("us", zone), safe=False)
            table = table.set_column(index, column.name, cast)
    return table


def _conversations(
    rows: Iterable[tuple[int, Mapping[str, Any]]],
    path: str | Path,
    options: ReadOptions,
    tally: Tally,
) -> Iterator[Conversation]:
    names = Names(options.column("role"), options.column("content"), (options.column("timestamp"),))
    session = Session(options, tally, names)
    threads: dict[tuple[str, str], _Thread] = {}
    for line, row in rows:
        try:
            _add(row, line, session, threads)
        except DataError as error:
            raise located(error, path, line) from None
    for (user_id, conversation_id), thread in threads.items():
        turns = [turn for _, turn in sorted(thread.turns, key=lambda placed: placed[0])]
        try:
            conversation = session.conversation(user_id, conversation_id, turns, thread.started_at)
        except DataError as error:
            raise located(error, path, thread.line) from None
        if conversation is not None:
            yield conversation


def _add(
    row: Mapping[str, Any],
    line: int,
    session: Session,
    threads: dict[tuple[str, str], _Thread],
) -> None:
    options = session.options
    user_id, conversation_id = (
        identifier(row[options.column(name)], field=options.column(name))
        for name in ("user_id", "conversation_id")
    )
    key = (user_id, conversation_id)
    if key not in threads:
        threads[key] = _Thread(line, session.time(row, (options.column("started_at"),)))
    turn = session.turn(row)
    if turn is not None:
        threads[key].turns.append((_order(row, options), turn))


def _order(row: Mapping[str, Any], options: ReadOptions) -> float:
    if "order" not in options.columns:
        return 0.0
    value = row[options.column("order")]
    try:
        place = float(value)
    except (TypeError, ValueError):
        place = float("nan")
    if math.isnan(place):
        raise DataError(
            f"the order is {describe(value)}",
            field=options.column("order"),
            fix="give a number in every row",
        )
    return place
