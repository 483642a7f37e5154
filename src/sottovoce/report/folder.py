"""The report as a folder: the page, its figures as SVG and PDF, its tables as CSV and LaTeX.

Owns which files there are and that a folder is replaced as a whole or not at all. Does not know
what they show. Figures and tables are those of the page: the same records give both.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sottovoce.report.accounts import checklist_table
from sottovoce.report.checklists import Checklist
from sottovoce.report.content import Report
from sottovoce.report.delimited import as_csv
from sottovoce.report.latex import as_latex
from sottovoce.report.markdown import as_markdown
from sottovoce.report.outline import sections
from sottovoce.report.page import page
from sottovoce.report.section import Drawing
from sottovoce.report.table import Table

PAGE, FIGURES, TABLES, CONTENTS = "report.html", "figures", "tables", "contents.json"


@dataclass(frozen=True, slots=True)
class Written:
    """The files of a report: the page, its figures, its tables, and what each of them shows."""

    page: Path
    figures: tuple[Path, ...]
    tables: tuple[Path, ...]
    contents: Path


def write_report_folder(
    folder: str | Path, report: Report, checklists: Sequence[Checklist] = ()
) -> Written:
    """Write a report with its figures and tables as files of their own.

    Parameters
    ----------
    folder
        Gets ``report.html``, ``figures/NAME.svg`` and ``.pdf``, ``tables/NAME.csv`` and ``.tex``
        (checklists also ``.md``), and ``contents.json``, which says what each shows. An earlier
        report's files are replaced; all other files in it stay.
    report
        What it shows.
    checklists
        Reporting checklists to show with it.

    Returns
    -------
    Written
        Where everything is.

    Raises
    ------
    MissingExtraError
        If matplotlib or jinja2 is not installed.
    """
    folder = Path(folder)
    shown = sections(report, checklists)
    drawings = [drawing for section in shown for drawing in section.drawings]
    tables = [table for section in shown for table in section.tables]
    lists = {checklist_table(each).name for each in checklists}
    with replacing(folder) as partial:
        figures = _figures(partial / FIGURES, drawings)
        tabulated = _tables(partial / TABLES, tables, lists)
        contents = {"page": PAGE, "figures": figures, "tables": tabulated}
        text = json.dumps(contents, ensure_ascii=False, indent=2)
        (partial / CONTENTS).write_text(text + "\n", "utf-8")
        (partial / PAGE).write_text(page(report, shown), "utf-8")
    paths = [
        [folder / name for each in part for name in each["files"]] for part in (figures, tabulated)
    ]
    return Written(folder / PAGE, tuple(paths[0]), tuple(paths[1]), folder / CONTENTS)


def _figures(folder: Path, drawings: Sequence[Drawing]) -> list[dict[str, Any]]:
    folder.mkdir()
    told = []
    for drawing in drawings:
        canvas = drawing.canvas
        (folder / f"{canvas.name}.svg").write_text(canvas.svg_file, "utf-8")
        (folder / f"{canvas.name}.pdf").write_bytes(canvas.pdf_file)
        files = [f"{FIGURES}/{canvas.name}.{ending}" for ending in ("svg", "pdf")]
        told.append({"files": files, "shows": canvas.label, "caption": drawing.caption})
    return told


def _tables(folder: Path, tables: Sequence[Table], lists: set[str]) -> list[dict[str, Any]]:
    folder.mkdir()
    told = []
    for table in tables:
        written = {"csv": as_csv(table), "tex": as_latex(table)}
        if table.name in lists:
            written["md"] = as_markdown(table)
        for ending, text in written.items():
            (folder / f"{table.name}.{ending}").write_text(text, "utf-8", newline="\n")
        files = [f"{TABLES}/{table.name}.{ending}" for ending in written]
        told.append({"files": files, "shows": table.title, "caption": table.caption})
    return told


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Give a folder to fill; its files take their places in `folder` when nothing failed.

    Files of an earlier report that the new one does not have are removed: a figure that is no
    longer on the page must not stand beside it. What a report did not write is left alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder) as name:
        partial = Path(name)
        yield partial
        stale = _listed(folder) - _listed(partial)
        for source in sorted(path for path in partial.rglob("*") if path.is_file()):
            target = folder / source.relative_to(partial)
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
        for old in stale:
            (folder / old).unlink(missing_ok=True)


def _listed(folder: Path) -> set[str]:
    """Give the figures and tables that a folder's contents name; none where they cannot be read."""
    try:
        told = json.loads((folder / CONTENTS).read_text("utf-8"))
        names = {
            name for part in (FIGURES, TABLES) for each in told[part] for name in each["files"]
        }
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    # only what a report could have written: somebody may have edited the list
    return {name for name in names if _is_ours(PurePosixPath(name))}


def _is_ours(path: PurePosixPath) -> bool:
    return len(path.parts) == 2 and path.parts[0] in (FIGURES, TABLES) and ".." not in path.parts
