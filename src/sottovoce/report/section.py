"""A section of the report: a heading, and below it words, figures and tables in their order.

Owns the records from which the page and the files beside it are made. Does not know what a
section says (`results`, `trust`, ...) nor how it is laid out (`page`).
"""

from dataclasses import dataclass
from typing import ClassVar

from sottovoce.metrics import Figure
from sottovoce.report.canvas import Canvas
from sottovoce.report.content import Example
from sottovoce.report.table import Table


@dataclass(frozen=True, slots=True)
class Words:
    """A paragraph; `quiet` ones are remarks in small type."""

    kind: ClassVar[str] = "words"

    text: str
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading within a section."""

    kind: ClassVar[str] = "heading"

    text: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure and what stands beneath it."""

    kind: ClassVar[str] = "drawing"

    canvas: Canvas
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Abreast:
    """Figures, or a figure and a table, side by side where there is room."""

    kind: ClassVar[str] = "abreast"

    items: tuple[Drawing | Table, ...]


@dataclass(frozen=True, slots=True)
class Tiles:
    """The few figures that open the report, each with its title."""

    kind: ClassVar[str] = "tiles"

    figures: tuple[tuple[str, Figure], ...]
    level: str


@dataclass(frozen=True, slots=True)
class People:
    """Persons, each with a gauge."""

    kind: ClassVar[str] = "people"

    items: tuple[tuple[Example, Drawing], ...]
    questionnaire: str


@dataclass(frozen=True, slots=True)
class Points:
    """A list of sentences in a frame."""

    kind: ClassVar[str] = "points"

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Commands:
    """Command lines."""

    kind: ClassVar[str] = "commands"

    lines: tuple[str, ...]


Block = Words | Heading | Drawing | Abreast | Tiles | People | Points | Commands | Table


@dataclass(frozen=True, slots=True)
class Section:
    """A section.

    Parameters
    ----------
    key
        Its anchor.
    title, short
        Its heading, and its name in the list of sections.
    blocks
        What stands in it, in order.
    """

    key: str
    title: str
    short: str
    blocks: tuple[Block, ...]

    @property
    def _leaves(self) -> list[Block]:
        """Every block, those inside others in their place."""
        found: list[Block] = []
        for block in self.blocks:
            if isinstance(block, Abreast):
                found += block.items
            elif isinstance(block, People):
                found += [drawing for _, drawing in block.items]
            else:
                found.append(block)
        return found

    @property
    def tables(self) -> list[Table]:
        """Every table, in order."""
        return [block for block in self._leaves if isinstance(block, Table)]

    @property
    def drawings(self) -> list[Drawing]:
        """Every figure, in order."""
        return [block for block in self._leaves if isinstance(block, Drawing)]
