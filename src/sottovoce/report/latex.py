r"""A table of the report as LaTeX, to be read into a paper by ``\input``.

Owns the form (booktabs, notes beneath) and the escaping. Does not know what a table shows.
"""

from itertools import chain

from sottovoce.report.table import Column, Row, Shown, Table

PACKAGES = ("array", "booktabs", "graphicx", "longtable")

LONGEST = 30
"""Rows that fit on a page beside a caption; longer tables break over pages. Ours."""

WIDEST_LABEL = 28
"""Characters of a label that a column still takes without breaking it. Ours."""

MANY_COLUMNS = 5
"""Columns beyond which the type is smaller and columns stand closer. Ours."""

SHRUNK = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
"""Makes what follows in braces as wide as the text where it is wider."""

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "–": "--",
    "—": "---",
    "−": "$-$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "×": r"$\times$",
    "²": r"\textsuperscript{2}",
    "√": r"$\surd$",
    "…": r"\ldots{}",
    "\u00a0": "~",
}
"""What LaTeX would take for a command, and signs that its older engines do not know."""


def escaped(text: str) -> str:
    """Write text so that LaTeX prints it, whatever is in it; line breaks become spaces."""
    shown = " ".join(text.split())
    return "".join(SPECIAL.get(each, each) for each in shown if each.isprintable())


def as_latex(table: Table) -> str:
    """Write a table as LaTeX.

    Letters that are not Latin are left as they are: they need LuaLaTeX or XeLaTeX with a font
    that has them.

    Parameters
    ----------
    table
        Values with their intervals, beside or beneath them as on the page; reasons are notes.
    """
    notes = table.notes
    body = list(
        chain.from_iterable(_group(table, name, rows, notes) for name, rows in table.groups)
    )
    spec = _spec(table)
    head = " & ".join(f"{{{escaped(title)}}}" for title in _titles(table)) + r" \\"
    caption = rf"\caption{{{escaped(table.caption)}}}\label{{tab:{table.name}}}"
    small = r"\footnotesize\setlength{\tabcolsep}{3pt}" if _is_wide(table) else r"\small"
    told = [rf"\par\smallskip{{\footnotesize {'; '.join(_numbered(notes))}.\par}}"] if notes else []
    first = f"% Packages: {', '.join(PACKAGES)}; T1 fonts. Letters beyond Latin: LuaLaTeX, XeLaTeX."
    if len(table.rows) > LONGEST:
        lines = [
            rf"\begingroup{small}",
            rf"\begin{{longtable}}{{{spec}}}",
            rf"{caption}\\",
            *(r"\toprule", head, r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot"),
            *body,
            r"\end{longtable}",
            *told,
            r"\endgroup",
        ]
    else:
        lines = [
            r"\begin{table}[htbp]",
            rf"\centering{small}",
            rf"{caption}\smallskip",
            SHRUNK,
            rf"\begin{{tabular}}{{{spec}}}",
            *(r"\toprule", head, r"\midrule", *body, r"\bottomrule"),
            r"\end{tabular}}",
            *told,
            r"\end{table}",
        ]
    return "\n".join((first, *lines)) + "\n"


def _titles(table: Table) -> list[str]:
    return [table.stub, *(column.title for column in table.columns)]


def _is_wide(table: Table) -> bool:
    return len(table.columns) > MANY_COLUMNS or table.layout == "words"


def _spec(table: Table) -> str:
    """Give the columns: words break, numbers stand at the right."""
    longest = max((len(row.label) for row in table.rows), default=0)
    remarks = any(row.remarks for row in table.rows)
    texts = sum(column.form == "text" for column in table.columns)
    few = table.layout in ("inline", "narrow")
    label = _breaking(0.42 if few else 0.24) if longest > WIDEST_LABEL or remarks else "l"
    return label + "".join(_column_spec(column, texts) for column in table.columns)


def _column_spec(column: Column, texts: int) -> str:
    if column.form == "text":
        return _breaking(0.56 / texts)
    return "l" if column.form in ("word", "status") else "r"


def _breaking(share: float) -> str:
    return rf">{{\raggedright\arraybackslash}}p{{{share:.2f}\linewidth}}"


def _group(table: Table, name: str | None, rows: list[Row], notes: list[str]) -> list[str]:
    lines = []
    if name is not None:
        width = len(table.columns) + 1
        lines.append(r"\addlinespace")
        lines.append(rf"\multicolumn{{{width}}}{{l}}{{\textit{{{escaped(name)}}}}} \\")
    for row in rows:
        lines += _row(table, row, notes)
    return lines


def _row(table: Table, row: Row, notes: list[str]) -> list[str]:
    """Write a row; a wide table has the intervals in a line of their own beneath the values."""
    cells = table.shown(row)
    beneath = table.layout == "wide" and any(cell.interval for cell in cells)
    remarks = "; ".join(row.remarks)
    told = rf"{{\footnotesize {escaped(remarks)}}}" if remarks else ""
    # braces: after a line's end LaTeX would read a label's "[" or "*" as part of the command
    label = f"{{{escaped(row.label)}}}" + ("" if beneath or not told else f" {told}")
    shown = (_cell(cell, beneath, notes) for cell in cells)
    lines = [" & ".join((label, *shown)) + r" \\"]
    if beneath:
        intervals = (rf"{{\scriptsize {escaped(cell.interval)}}}" for cell in cells)
        lines += [" & ".join((told, *intervals)) + r" \\", r"\addlinespace"]
    return lines


def _cell(cell: Shown, beneath: bool, notes: list[str]) -> str:
    text = escaped(cell.value)
    if cell.clear:
        text = rf"\textbf{{{text}}}"
    if cell.interval and not beneath:
        text += f" {escaped(cell.interval)}"
    if cell.reason:
        text += rf"\textsuperscript{{{notes.index(cell.reason) + 1}}}"
    return text


def _numbered(notes: list[str]) -> list[str]:
    return [
        rf"\textsuperscript{{{number}}} {escaped(note)}" for number, note in enumerate(notes, 1)
    ]
