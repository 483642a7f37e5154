"""The form that all model cards share: front matter, opening, limits, tables.

Owns the Markdown in Hugging Face form. Does not know what a card is of (`model_card`,
`evaluation_card`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from sottovoce.report.markdown import plain

_CARD = """---
{matter}---

# {name}

{what}

**It supports clinicians and researchers; it never diagnoses.** A total cannot clear suicide risk:
risk language needs a separate, faster path.

{middle}

## Limits
{limits}
"""

UNTESTED = """Other apps, other populations and other ways of talking are untested.
{}Depends on how much a person lets on."""
"""What limits every estimate of this kind, and room for what limits one model."""


@dataclass(frozen=True, slots=True)
class Card:
    """What cards do not share: the model, what it is, the middle of the card, and its limits."""

    name: str
    what: str
    middle: str
    limits: str


def write_card(path: Path, card: Card, matter: Mapping[str, Any]) -> None:
    """Write a card; what stands there is replaced."""
    text = yaml.safe_dump(
        dict(matter), sort_keys=False, allow_unicode=True, default_flow_style=None, width=1000
    )
    path.write_text(_CARD.format(matter=text, **asdict(card)), "utf-8")


def front_matter(instrument: str, *, simulated: bool) -> dict[str, Any]:
    """Give the front matter that every card has."""
    tags = ["depression-severity", instrument, f"simulated-data-{'yes' if simulated else 'no'}"]
    return {"library_name": "sottovoce", "license": "other", "tags": tags}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Write a table of pipes, line by line."""
    lines = [[plain(cell) for cell in row] for row in (head, *rows)]
    lines.insert(1, ["---"] * len(head))
    return [f"| {' | '.join(cells)} |" for cells in lines]
