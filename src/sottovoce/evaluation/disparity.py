"""Tables by group of people: the metrics of each group, and how far it is from everybody else.

Owns which gaps are tested. Does not know how a column is cut nor which of its groups are too small
to show (`groups`), nor the arithmetic of a test (`metrics.permutation`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sottovoce.evaluation.groups import Column, cut_column, suppressed
from sottovoce.evaluation.headline import missed, of_group
from sottovoce.evaluation.record import Gap, GroupRow, GroupTable
from sottovoce.evaluation.table import Rows, Table
from sottovoce.metrics import Figure, Shuffles, gap, holm, mae
from sottovoce.metrics.columns import floats
from sottovoce.metrics.figure import Floats

SEED_STEP = 1
"""Added to the seed of the bootstrap: orders of people are other draws than resamples of them."""

_Division = tuple[str, bytes]


@dataclass(frozen=True, slots=True)
class _Compared:
    """A metric that groups are compared on: its figure, and the values that it is the mean of."""

    figure: Callable[[Table, Rows], Figure]
    values: Callable[[Table], tuple[Floats, Rows]]


def _mae_of(table: Table, rows: Rows) -> Figure:
    return table.measure(mae, rows, table.total, table.predictions.score)


def _distances(table: Table) -> tuple[Floats, Rows]:
    return np.abs(table.predictions.score - table.total), table.scored


def _misses(table: Table) -> tuple[Floats, Rows]:
    screening = table.instrument.screening_cut_off
    return 1 - table.called(screening), table.scored & (table.positive(screening) != 0)


COMPARED = {"fnr": _Compared(missed, _misses), "mae": _Compared(_mae_of, _distances)}
"""Missed cases first: that is the harm that groups are compared for."""


def group_tables(
    table: Table, groups: Mapping[str, Sequence[object]], labelled: Rows
) -> tuple[tuple[GroupTable, ...], tuple[str, ...]]:
    """Give a table for each column that can be cut into groups, and notes on what is left out.

    A gap's p value is the chance of one as large if people were put into the group at random; it
    is adjusted over all gaps of all tables (Holm). A column of two groups is one comparison, seen
    from either side, and counts once.
    """
    tests, found, notes = _Tests(table), [], []
    for name, values in groups.items():
        kept = [value for value, keep in zip(values, labelled, strict=True) if keep]
        column = cut_column(name, kept)
        if isinstance(column, str):
            notes.append(f"No table by {column}.")
            continue
        cells = {label: np.array(column.cells, dtype=object) == label for label in column.order}
        people = {label: table.people(rows) for label, rows in cells.items()}
        small, more = suppressed(people, table.settings.minimum)
        if more:
            listed = ", ".join(more)
            notes.append(
                f"By {name}, suppressed so that smaller groups cannot be worked out: {listed}."
            )
        found.append(_group_table(table, column, small | more, tests))
    return tuple(tests.adjusted(each) for each in found), tuple(notes)


def _group_table(table: Table, column: Column, hidden: set[str], tests: "_Tests") -> GroupTable:
    rows = []
    for label in column.order:
        cell = np.array(column.cells, dtype=object) == label
        if label in hidden:
            reason = (
                f"suppressed: fewer than {table.settings.minimum} people, or a smaller group "
                "could be worked out from it"
            )
            figures = dict.fromkeys(of_group(table, cell), Figure.missing(reason))
            rows.append(GroupRow(label, None, None, figures))
            continue
        figures = of_group(table, cell)
        abstained = int((cell & table.predictions.abstained).sum())
        gaps = tests.gaps(column.name, label, cell, figures)
        rows.append(GroupRow(label, table.people(cell), abstained, figures, gaps))
    return GroupTable(column.name, column.note, tuple(rows))


@dataclass(slots=True)
class _Tests:
    """All gaps that were looked at; their p values are adjusted when all are known.

    `p_values` holds one for each metric and division of the rows into two, `divisions` which of
    them a gap (column, group, metric) rests on.
    """

    table: Table
    p_values: dict[_Division, float] = field(default_factory=dict)
    divisions: dict[tuple[str, str, str], _Division] = field(default_factory=dict)
    shuffles: dict[int, Shuffles] = field(default_factory=dict)

    def gaps(
        self, column: str, label: str, cell: Rows, figures: Mapping[str, Figure]
    ) -> dict[str, Gap]:
        """Give how far a group is from everybody else, on each metric that is compared."""
        found = {}
        for key, compared in COMPARED.items():
            difference = self._difference(figures[key], compared.figure(self.table, ~cell), cell)
            division = (key, min(cell.tobytes(), (~cell).tobytes()))
            if division not in self.p_values and difference.computed:
                p = self._p_value(*compared.values(self.table), cell)
                if p is not None:
                    self.p_values[division] = p
            self.divisions[column, label, key] = division
            found[key] = Gap(difference, self.p_values.get(division))
        return found

    def adjusted(self, table: GroupTable) -> GroupTable:
        """Add the adjusted p values to a table."""
        holms = dict(zip(self.p_values, holm(list(self.p_values.values())), strict=True))
        rows = []
        for row in table.rows:
            gaps = {
                key: replace(each, adjusted=holms.get(self.divisions[table.column, row.label, key]))
                for key, each in row.gaps.items()
            }
            rows.append(replace(row, gaps=gaps))
        return replace(table, rows=tuple(rows))

    def _difference(self, group: Figure, rest: Figure, cell: Rows) -> Figure:
        person = self.table.resamples.person
        apart = not np.isin(person[cell], person[~cell]).any()
        return gap(group, rest, apart=apart, level=self.table.settings.level)

    def _p_value(self, values: Floats, rows: Rows, cell: Rows) -> float | None:
        """Test a gap in a mean over rows; None where somebody's rows lie on both sides."""
        _, person = np.unique(self.table.resamples.person[rows], return_inverse=True)
        counts = floats(np.bincount(person))
        inside = np.bincount(person, weights=cell[rows].astype(float))
        if ((inside > 0) & (inside < counts)).any():
            return None
        people, settings = len(counts), self.table.settings
        if people not in self.shuffles:
            seed = settings.seed + SEED_STEP
            self.shuffles[people] = Shuffles.of(people, count=settings.resamples, seed=seed)
        sums = floats(np.bincount(person, weights=values[rows]))
        return self.shuffles[people].p_value(sums, counts, inside > 0)
