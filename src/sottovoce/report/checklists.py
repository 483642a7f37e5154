"""Reporting checklists: what reviewers ask for, and which of it a run can answer by itself.

Owns the records. Does not know how they are drawn or written to files.
"""

from dataclasses import dataclass
from typing import Any


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
        What this run knows of it; None leaves it open for the authors.
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
    def counted(self) -> str:
        """Say how many items are answered, "21 of 52 answered by this run"."""
        return f"{self.n_answered} of {len(self.rows)} answered by this run"

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
        return {**named, "answered": self.n_answered, "items": len(self.rows), "rows": rows}
