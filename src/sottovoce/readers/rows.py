"""Delimited text, one row at a time, as header name to cell.

Owns cutting a CSV or tab-separated file into rows, with the line that each row begins on. Does
not know what a column means. The header of a file may be a person's words by mistake, so no
error shows it.
"""

import csv
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Protocol

from sottovoce.conversations import MAX_LINE_BYTES, line_text, open_data
from sottovoce.errors import DataError

DELIMITERS = (",", ";", "\t")
"""What may stand between cells; in a CSV the one that the header has most of."""


def read_rows(
    path: str | Path, *, delimiter: str | None = None, quoted: bool = True
) -> Iterator[tuple[int, dict[str, str]]]:
    """Read a delimited file row by row; blank lines are skipped.

    Parameters
    ----------
    path, delimiter
        A UTF-8 file whose first row names the columns, and what stands between cells; None takes
        it from the header.
    quoted
        Whether cells may stand in double quotes (RFC 4180).

    Yields
    ------
    line, row
        The 1-based line on which the row begins, and its cells by column.

    Raises
    ------
    DataError
        If the file is missing, empty or binary, or a row is broken.
    """
    with open_data(path) as stream:
        lines = _lines(stream, path)
        first = next(lines, "")
        if not first.strip():
            raise DataError("the file is empty", path=path, fix="begin with a row of column names")
        reader = csv.reader(
            chain([first], lines),
            delimiter=delimiter or max(DELIMITERS, key=first.count),
            quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
            strict=True,
        )
        header = _header(_next_row(reader, path, 1) or [], path)
        line = reader.line_num + 1
        while (cells := _next_row(reader, path, line)) is not None:
            if any(cells):
                yield line, _row(header, cells, path, line)
            line = reader.line_num + 1


class _Reader(Protocol):
    """What `csv.reader` gives; the class itself has no public name."""

    line_num: int

    def __next__(self) -> list[str]: ...


def require_columns(
    row: dict[str, str], wanted: Sequence[tuple[str, str]], path: str | Path
) -> None:
    """Raise DataError for the first of the (our name, column) pairs that the file lacks."""
    for name, column in wanted:
        if column not in row:
            raise DataError(
                "the file has no such column",
                path=path,
                field=column,
                fix=f"name the column with --column {name}=COLUMN",
            )


def _lines(stream: BinaryIO, path: str | Path) -> Iterator[str]:
    number = 0
    while raw := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        yield line_text(raw, path, number)


def _next_row(reader: "_Reader", path: str | Path, line: int) -> list[str] | None:
    try:
        return next(reader)
    except StopIteration:
        return None
    except csv.Error as error:
        reason = str(error)
        if "field larger" in reason:
            problem, fix = f"a cell is longer than {csv.field_size_limit()} characters", ""
        elif "end of data" in reason:
            problem, fix = "a double quote opens a cell and never closes", "close it"
        else:
            problem, fix = "a double quote or line break stands where none may", "quote the cell"
        raise DataError(
            problem, path=path, line=line, fix=fix or "close the quote before it"
        ) from None


def _header(cells: list[str], path: str | Path) -> list[str]:
    names = [cell.strip() for cell in cells]
    named = [name for name in names if name]
    if len(set(named)) < len(named):
        raise DataError(
            "two columns have the same name", path=path, line=1, fix="rename one of them"
        )
    return names


def _row(header: list[str], cells: list[str], path: str | Path, line: int) -> dict[str, str]:
    if len(cells) != len(header):
        raise DataError(
            f"the row has {len(cells)} cells and the header {len(header)}",
            path=path,
            line=line,
            fix="quote cells that hold the delimiter or a line break",
        )
    return dict(zip(header, cells, strict=True))
