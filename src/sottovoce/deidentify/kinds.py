"""The kinds of things that tell who somebody is, and where one stands in a text.

Owns the list of kinds, after the identifiers of HIPAA's Safe Harbor, and what a finder is. Does
not know how anything is found or replaced.

References
----------
45 CFR 164.514(b)(2)(i), (A) to (R).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

Kind = Literal[
    "person",
    "organisation",
    "place",
    "address",
    "postcode",
    "phone",
    "email",
    "url",
    "ip_address",
    "handle",
    "identifier",
    "date",
    "age",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""(A) names; employers, which (i) names beside the individual; (B) places smaller than a state;
(C) full dates and ages over 89; (D) (E) phone and fax; (F) e-mail; (G) to (M) numbers of any kind;
(N) URLs; (O) IP addresses; (R) any other unique code: handles. Not text: (P) (Q)."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where something of a kind stands: characters ``start <= position < end`` of a text."""

    start: int
    end: int
    kind: Kind


class Finder(Protocol):
    """What finds the places of one person's texts that tell who somebody is."""

    @property
    def label(self) -> str:
        """What it is, for every output: "presidio" or "patterns only"."""
        ...

    def find(self, texts: list[str]) -> list[list[Span]]:
        """Give the spans of each text, in any order; they may overlap."""
        ...


def without_overlap(spans: Iterable[Span]) -> list[Span]:
    """Keep of overlapping spans the longest, of equally long ones the first; in order of place."""
    kept: list[Span] = []
    for each in sorted(spans, key=lambda span: (span.start - span.end, span.start)):
        if all(each.end <= other.start or other.end <= each.start for other in kept):
            kept.append(each)
    return sorted(kept, key=lambda span: span.start)
