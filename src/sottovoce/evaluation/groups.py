"""Groups of people: columns about them cut into groups that a table can show.

Owns the bins, and which groups are too small to show. Does not know files (`people`), nor compute
any metric.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

NOT_GIVEN = "not given"

MOST_GROUPS = 20
"""A text column with more different values than this is free text, not a grouping."""

MOST_NUMBERS = 6
"""A numeric column with more different values than this is a measure, not a code, and is cut at its
quartiles; ours: of 120 people a seventh would be 17, whose cases alone are too few to show."""

AGE_EDGES = (18, 30, 45, 60)
"""Ages at which a band begins. 60 because that is where models have been seen to fail (a voice
model's sensitivity of .155 at 60+ against .581 overall); 18 because minors are a group apart."""

AGE_NAMES = frozenset({"age", "age_years", "age_in_years"})


@dataclass(frozen=True, slots=True)
class Column:
    """One column as groups: the group of each row, the groups in order, how it was cut."""

    name: str
    cells: tuple[str, ...]
    order: tuple[str, ...]
    note: str | None


def cut_column(name: str, values: Sequence[object]) -> Column | str:
    """Cut one column into groups, or say why it cannot be a grouping.

    Ages fall into bands that begin at `AGE_EDGES`; another numeric column with more than
    `MOST_NUMBERS` values is cut at its quartiles; texts stay as they are.

    Parameters
    ----------
    name
        The column's name.
    values
        One value per row: text, number, true or false, or None.
    """
    given = [value for value in values if value is not None]
    if any(isinstance(value, list | dict) for value in given):
        return f"{name}: holds lists or objects"
    numbers = [_number(value) for value in values]
    numeric = [number for number in numbers if number is not None]
    edges: tuple[float, ...] = ()
    if given and len(numeric) == len(given):
        edges = _edges(name, numeric)
    if edges:
        column = _cut_numbers(name, numbers, edges)
    else:
        texts = tuple(_text(value) for value in values)
        column = Column(name, texts, _ordered(texts, numbers), None)
    if len(column.order) > MOST_GROUPS:
        return f"{name}: {len(column.order)} different values, more than {MOST_GROUPS}"
    return column if len(column.order) > 1 else f"{name}: the same for everybody"


def suppressed(people: Mapping[str, int], minimum: int) -> tuple[set[str], set[str]]:
    """Give the groups that are too small, and those hidden so that these cannot be worked out.

    What is hidden is everybody minus what is shown: it must be of several groups and of as many
    people as a cell needs. Hiding the next smallest group is the usual remedy (Hundepool et al.
    2012, Statistical Disclosure Control, doi:10.1002/9781118348239).

    Parameters
    ----------
    people
        Group to number of people in it.
    minimum
        Fewest people that a group may have and be shown.

    Examples
    --------
    >>> suppressed({"a": 4, "b": 20, "c": 30}, 10)
    ({'a'}, {'b'})
    """
    small = {label for label, count in people.items() if count < minimum}
    more: set[str] = set()
    shown = sorted((count, label) for label, count in people.items() if label not in small)
    while small and shown:
        out = small | more
        if len(out) > 1 and sum(people[label] for label in out) >= minimum:
            break
        more.add(shown.pop(0)[1])
    return small, more


def _edges(name: str, numbers: Sequence[float]) -> tuple[float, ...]:
    """Give where groups of a numeric column begin; nothing when its values are the groups."""
    if name.lower() in AGE_NAMES:
        return AGE_EDGES
    if len(set(numbers)) <= MOST_NUMBERS:
        return ()
    return tuple(sorted({float(edge) for edge in np.quantile(numbers, (0.25, 0.5, 0.75))}))


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _text(value: object) -> str:
    if value is None:
        return NOT_GIVEN
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _ordered(texts: Sequence[str], numbers: Sequence[float | None]) -> tuple[str, ...]:
    """Order groups by number where they are numbers, else by frequency; not given comes last."""
    rank: dict[str, tuple[bool, float, str]] = {}
    for text, number in zip(texts, numbers, strict=True):
        first = number if number is not None else -texts.count(text)
        rank[text] = (text == NOT_GIVEN, float(first), text)
    return tuple(sorted(rank, key=lambda text: rank[text]))


def _cut_numbers(name: str, numbers: Sequence[float | None], edges: Sequence[float]) -> Column:
    kind = "bands that begin at" if name.lower() in AGE_NAMES else "cut at its quartiles"
    labels = [f"under {edges[0]:g}"]
    labels += [f"{low:g} to under {high:g}" for low, high in pairwise(edges)]
    labels.append(f"{edges[-1]:g} and over")
    cells = tuple(
        NOT_GIVEN if number is None else labels[int(np.searchsorted(edges, number, side="right"))]
        for number in numbers
    )
    order = tuple(label for label in (*labels, NOT_GIVEN) if label in cells)
    listed = ", ".join(f"{edge:g}" for edge in edges)
    return Column(name, cells, order, f"{kind} {listed}")
