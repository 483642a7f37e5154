"""A table of the report as CSV, for machines.

Owns the form: a figure takes five columns (value, lower, upper, n, reason), and what is missing
is empty. Does not know what a table shows.
"""

import csv
import io

from sottovoce.metrics import Figure
from sottovoce.report.table import Cell, Row, Table, slug

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What spreadsheets take for the beginning of a formula (OWASP, CSV Injection)."""


def as_csv(table: Table) -> str:
    """Write a table as CSV.

    Numbers are whole, not rounded as on the page. Text that a spreadsheet would run begins with
    an apostrophe.

    Parameters
    ----------
    table
        Its rows become lines, in their order; remarks beneath a row's name are a column.
    """
    stream = io.StringIO()
    lines = csv.writer(stream, lineterminator="\n")
    extras = _extras(table)
    head = [slug(table.stub).replace("-", "_"), *extras]
    for column in table.columns:
        head += [column.key]
        if table.figures(column):
            head += [f"{column.key}_{part}" for part in ("lower", "upper", "n", "reason")]
    lines.writerow(head)
    for row in table.rows:
        line = [row.label, *(_extra(row, name) for name in extras)]
        for column, cell in zip(table.columns, row.cells, strict=True):
            line += _figure(cell) if table.figures(column) else [_plain(cell)]
        lines.writerow([_harmless(each) for each in line])
    return stream.getvalue()


def _extras(table: Table) -> list[str]:
    """Name what the rows hold besides their cells."""
    return [
        name for name in ("key", "group", "remarks") if any(_extra(r, name) for r in table.rows)
    ]


def _extra(row: Row, name: str) -> str:
    return "; ".join(row.remarks) if name == "remarks" else getattr(row, name) or ""


def _figure(cell: Cell) -> list[str]:
    if isinstance(cell, Figure):
        numbers = [_plain(each) for each in (cell.value, cell.lower, cell.upper, cell.n)]
        return [*numbers, cell.reason or ""]
    # words in a column of figures say why there is none: "reference"
    words = isinstance(cell, str)
    return ["" if words else _plain(cell), "", "", "", str(cell) if words else ""]


def _plain(cell: Cell) -> str:
    if isinstance(cell, float):
        return repr(float(cell))
    return "" if cell is None else str(cell)


def _harmless(text: str) -> str:
    try:
        float(text)
    except ValueError:
        return f"'{text}" if text.startswith(FORMULA) else text
    return text
