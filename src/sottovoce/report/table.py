"""A table of the report, said once: the page, the CSV file and the LaTeX file read this record.

Owns what a table is made of and how a cell reads in words. Does not know HTML, CSV or LaTeX.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

from sottovoce.metrics import Figure

Cell = Figure | int | float | str | None
"""A figure with its interval, a count, a plain number, words, or nothing."""

Form = Literal["number", "signed", "difference", "p", "text", "word", "status"]
"""How a column reads: numbers, numbers with a sign, differences (bold where the interval leaves
out 0), chances, sentences, single words, or pass / warn / fail."""

Layout = Literal["wide", "inline", "narrow", "words"]
"""Intervals beneath the values; beside them; names and values; columns of sentences."""

SMALLEST_P = 0.001
"""Chances below it are written "< 0.001", as APA 7 asks (section 6.36)."""

LONGEST_NAME = 48
"""Characters of a file's name that come from a column or a predictor; ours."""


@dataclass(frozen=True, slots=True)
class Shown:
    """How a cell reads: a value, its interval, or why one of them is missing."""

    value: str
    interval: str = ""
    reason: str = ""
    missing: bool = False
    clear: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name in files, what its head says, and how its cells read."""

    key: str
    title: str
    form: Form = "number"
    digits: int = 2

    def shown(self, cell: Cell, *, signed: bool = False) -> Shown:
        """Say how a cell of this column reads; a row may ask for a sign."""
        sign = signed or self.form in ("signed", "difference")
        if isinstance(cell, Figure):
            return self._figure(cell, sign)
        if cell is None:
            return Shown("")
        if isinstance(cell, str):
            return Shown(cell)
        if isinstance(cell, int):
            return Shown(str(cell))
        if self.form == "p" and cell < SMALLEST_P:
            return Shown(f"< {SMALLEST_P:g}")
        return Shown(Figure(cell).number(self.digits, sign=sign))

    def _figure(self, figure: Figure, sign: bool) -> Shown:
        if not figure.computed:
            return Shown("–", reason=f"not computed: {figure.reason}", missing=True)
        value = figure.number(self.digits, sign=sign)
        if figure.lower is None or figure.upper is None:
            return Shown(value, reason=figure.reason or "")
        clear = self.form == "difference" and (figure.lower > 0 or figure.upper < 0)
        return Shown(value, figure.interval(self.digits, sign=sign), clear=clear)


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its name, its cells, remarks beneath its name, its group, and its key in files."""

    label: str
    cells: tuple[Cell, ...]
    remarks: tuple[str, ...] = ()
    group: str | None = None
    key: str | None = None
    marked: bool = False
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Parameters
    ----------
    name
        Of its files, without an ending.
    title
        A few words for those who hear the page.
    caption
        What it shows, with n where n is the same in every cell.
    stub
        Head of the column with the rows' labels.
    columns, rows
        As many cells in each row as there are columns.
    layout
        How it is laid out on the page.
    folded
        Whether the page shows it only when its title is opened; paper shows it always.

    Raises
    ------
    ValueError
        If a row has another number of cells: a fault of the caller.
    """

    kind: ClassVar[str] = "table"

    name: str
    title: str
    caption: str
    stub: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    layout: Layout = "wide"
    folded: bool = False

    def __post_init__(self) -> None:
        if any(len(row.cells) != len(self.columns) for row in self.rows):
            raise ValueError("a row has as many cells as the table has columns")

    @property
    def groups(self) -> list[tuple[str | None, list[Row]]]:
        """Give the rows in groups, in the order in which groups first appear."""
        found: dict[str | None, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.group, []).append(row)
        return list(found.items())

    def shown(self, row: Row) -> list[Shown]:
        """Say how each cell of a row reads."""
        cells = zip(self.columns, row.cells, strict=True)
        return [column.shown(cell, signed=row.signed) for column, cell in cells]

    @property
    def notes(self) -> list[str]:
        """Give each reason once, in order: the same often holds for a whole row of cells."""
        reasons = (cell.reason for row in self.rows for cell in self.shown(row))
        return list(dict.fromkeys(filter(None, reasons)))

    def figures(self, column: Column) -> bool:
        """Whether a column holds figures, which have an interval, an n and a reason."""
        place = self.columns.index(column)
        return any(isinstance(row.cells[place], Figure) for row in self.rows)


def slug(text: str) -> str:
    """Make a name that every file system takes: lower-case letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:LONGEST_NAME].strip("-") or "unnamed"


def file_names(prefix: str, titles: Iterable[str]) -> list[str]:
    """Give each title a file name of its own; titles that read alike are numbered."""
    names: list[str] = []
    for title in titles:
        name = plain = f"{prefix}-{slug(title)}"
        number = 1
        while name in names:
            number += 1
            name = f"{plain}-{number}"
        names.append(name)
    return names
