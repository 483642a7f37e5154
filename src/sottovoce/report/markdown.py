"""A table of the report as Markdown, to be pasted where people work on a manuscript.

Owns the form (a table of pipes, as GitHub and pandoc read it). Does not know what a table shows.
"""

import html

from sottovoce.report.table import Table


def as_markdown(table: Table) -> str:
    """Write a table as Markdown, with its title, its caption and its groups of rows."""
    titles = [table.stub, *(column.title for column in table.columns)]
    lines = [f"# {plain(table.title)}", "", plain(table.caption), ""]
    lines += [_line(titles), _line(["---"] * len(titles))]
    for name, rows in table.groups:
        if name is not None:
            lines.append(_line([f"**{plain(name)}**", *[""] * len(table.columns)]))
        for row in rows:
            shown = ((cell.value, cell.interval, cell.reason) for cell in table.shown(row))
            texts = (" ".join(filter(None, parts)) for parts in shown)
            lines.append(_line([plain(row.label), *map(plain, texts)]))
    return "\n".join(lines) + "\n"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def plain(text: str) -> str:
    """Write text so that it stays on its line and in its cell, and is no markup."""
    shown = html.escape(" ".join(text.split()), quote=False)
    return "".join(f"\\{each}" if each in "\\|`*_[]#" else each for each in shown)
