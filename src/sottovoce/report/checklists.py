"""Reporting checklists: what reviewers ask for, and which of it a run can answer by itself.

Owns the records and reading the items, which are data (`guidelines/`). Does not know the answers
(`knowledge`, and `holdings` for a data set), nor how a checklist is drawn or written to files.

The items were checked in November 2026 against reproductions of the published tables in public
repositories: TRIPOD+AI has 27 items in 52 numbered rows. TRIPOD-LLM has 19 items, and its table
prints 49 rows where its abstract speaks of 50; the rows here are those of the table.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sottovoce.datasets import Dataset
from sottovoce.report.content import Report
from sottovoce.report.holdings import HOLDINGS
from sottovoce.report.knowledge import KNOWLEDGE, PARTLY, Run

GUIDELINES = Path(__file__).parent / "guidelines"


@dataclass(frozen=True, slots=True)
class ChecklistRow:
    """One item of a checklist.

    Parameters
    ----------
    number
        As published, "5a".
    section
        The part of a paper that it belongs to.
    asks
        What it asks for, in our own words.
    answer
        What this run knows of it, beginning with "In part:" where that is not all; None leaves
        it open for the authors.
    """

    number: str
    section: str
    asks: str
    answer: str | None


@dataclass(frozen=True, slots=True)
class Checklist:
    """A checklist with every item in the order of its publication.

    Parameters
    ----------
    key
        Short name, as files use it ("tripod-ai").
    title
        What a heading calls it.
    citation
        Where it was published.
    rows
        Its items.
    """

    key: str
    title: str
    citation: str
    rows: tuple[ChecklistRow, ...]

    @property
    def n_answered(self) -> int:
        """How many items this run answers."""
        return sum(row.answer is not None for row in self.rows)

    @property
    def n_partly(self) -> int:
        """How many of these answers are not the whole answer."""
        return sum(row.answer is not None and row.answer.startswith(PARTLY) for row in self.rows)

    @property
    def counted(self) -> str:
        """Say how many are answered, "24 of 52 answered by this run, 13 of these in part"."""
        said = f"{self.n_answered} of {len(self.rows)} answered by this run"
        return f"{said}, {self.n_partly} of these in part" if self.n_partly else said

    def as_dict(self) -> dict[str, Any]:
        """Give the checklist as JSON can hold it; an open item is null."""
        rows = [
            {
                "number": row.number,
                "section": row.section,
                "asks": row.asks,
                "answer": row.answer,
            }
            for row in self.rows
        ]
        named = {"key": self.key, "title": self.title, "citation": self.citation}
        counts = {"answered": self.n_answered, "in_part": self.n_partly, "items": len(self.rows)}
        return {**named, **counts, "rows": rows}


def tripod_ai(report: Report, dataset: Dataset | None = None) -> Checklist:
    """Fill in TRIPOD+AI, for prediction models of any kind.

    Parameters
    ----------
    report
        What the run found.
    dataset
        What the report is on, where the run itself cut the windows that the model read.
    """
    run = Run(report, dataset)
    return _filled("tripod_ai", lambda name: KNOWLEDGE[name](run))


def tripod_llm(report: Report, dataset: Dataset | None = None) -> Checklist:
    """Fill in TRIPOD-LLM, for studies of language models; parameters as of `tripod_ai`."""
    run = Run(report, dataset)
    return _filled("tripod_llm", lambda name: KNOWLEDGE[name](run))


def datasheet(report: Report, dataset: Dataset) -> Checklist:
    """Fill in a datasheet of the data set that a report is on; what is open is its keepers'."""
    return _filled("datasheet", lambda name: HOLDINGS[name](dataset, report))


def _filled(guideline: str, known: Callable[[str], str | None]) -> Checklist:
    read = yaml.safe_load((GUIDELINES / f"{guideline}.yaml").read_text("utf-8"))
    rows = []
    for item in read["items"]:
        answer = known(item["knows"]) if "knows" in item else None
        rows.append(ChecklistRow(item["number"], item["section"], item["asks"], answer))
    return Checklist(read["key"], read["title"], read["citation"].strip(), tuple(rows))
