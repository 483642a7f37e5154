"""Teaching an evidence reader: an annotator's quotes, items and totals become its weights.

Owns what a quote says of a message, the three steps of the training, and that each step learns
from what the one before says of people it has not seen. Does not know text or backbones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sottovoce.annotations import Quote, find_quote
from sottovoce.cohort import Window
from sottovoce.conversations import Message
from sottovoce.errors import DataError
from sottovoce.evidence import EvidenceReader, pool
from sottovoce.features import MessageStates
from sottovoce.instruments import Instrument
from sottovoce.probe import Lesson
from sottovoce.settings import ReaderSettings
from sottovoce.supervision import Supervision

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

PROFILE_PENALTY = 2.0
"""Ridge penalty per feature of the items on pooled readings; ours, not searched."""

TOTAL_PENALTY = 10.0
"""Ridge penalty per feature of the total on the items; ours, not searched. Against a plain line
through the items' sum it lowers the out-of-fold MAE of the bundled training people from 3.64 to
3.63 and leaves that of dep-wor (docs/decisions/0011)."""


@dataclass(frozen=True, slots=True)
class Pages:
    """Windows as their messages' states, with everything an annotator and the people said.

    Parameters
    ----------
    read
        States of each window's messages, length n.
    marks
        What quotes say of them, shape (m, 2 * n_items) each (`marked`); None where nobody marked.
    items
        Points, shape (n, n_items), NaN where not known.
    lesson
        What the total aims at, and what each window counts.
    folds
        Fold of each window, shape (n,): -1 where the label is a pseudolabel.
    groups
        As `folds`, with a group of its own in place of each -1: whoever is read is never read by
        what the same person's quotes have taught.
    """

    read: Sequence[MessageStates]
    marks: Sequence[Array | None]
    items: Array
    lesson: Lesson
    folds: Rows
    groups: Rows

    @classmethod
    def of(
        cls,
        windows: Sequence[Window],
        rendered: Sequence[Sequence[Message]],
        read: Sequence[MessageStates],
        supervision: Supervision,
        folds: Rows,
        n_items: int,
    ) -> "Pages":
        """Put together what windows, labels and annotations say.

        Parameters
        ----------
        windows, rendered, read
            Each window, its messages that were rendered, and their states.
        supervision
            With annotations; those without a quote teach items and totals only.
        folds, n_items
            See above; items of the questionnaire.
        """
        marks: list[Array | None] = []
        for window, messages, states in zip(windows, rendered, read, strict=True):
            annotation = supervision.annotations.get(window.user_id)
            quotes = annotation.quotes if annotation is not None else ()
            marks.append(marked(messages, states, quotes, n_items) if quotes else None)
        items = supervision.items(windows, n_items, as_read=True)
        lesson = Lesson(supervision.aims(windows), supervision.counts(len(windows)))
        return cls(read, marks, items, lesson, folds, _groups(windows, folds))


@dataclass(frozen=True, slots=True)
class Distilled:
    """A taught reader, and what its like, taught without the person's fold, said of each window.

    Parameters
    ----------
    reader
        Taught by everybody.
    held_out
        Points, not bounded, shape (n,); NaN for a window of no fold.
    """

    reader: EvidenceReader
    held_out: Array


def _groups(windows: Sequence[Window], folds: Rows) -> Rows:
    """Deal people without a fold to the folds, in the order of their ids."""
    count = int(folds.max()) + 1
    own = sorted({w.user_id for w, fold in zip(windows, folds, strict=True) if fold < 0})
    dealt = {user: number % count for number, user in enumerate(own)}
    return np.array(
        [dealt.get(w.user_id, int(fold)) for w, fold in zip(windows, folds, strict=True)]
    )


def marked(
    messages: Sequence[Message], read: MessageStates, quotes: Sequence[Quote], n_items: int
) -> Array:
    """Say what quotes teach about each message that was read.

    Parameters
    ----------
    messages
        Those of the window that were rendered.
    read
        Which of them have states.
    quotes
        Of the person; those whose words stand in no message that was read teach nothing.
    n_items
        Items of the questionnaire.

    Returns
    -------
    array, shape (m, 2 * n_items)
        The highest level that a quote in the message speaks for on each item, then 1 where one
        says that it is absent. A trap (an idiom, somebody else's symptom) is neither: the message
        teaches that such words carry nothing.
    """
    places = {int(number): row for row, number in enumerate(read.messages)}
    marks = np.zeros((len(read.messages), 2 * n_items))
    for quote in quotes:
        found = find_quote(quote.text, messages)
        if found is None or found[0] not in places or quote.trap is not None:
            continue
        row, item = places[found[0]], quote.item - 1
        if quote.level > 0:
            marks[row, item] = max(marks[row, item], quote.level)
        else:
            marks[row, n_items + item] = 1
    return marks


def distil(pages: Pages, settings: ReaderSettings, instrument: Instrument) -> Distilled:
    """Teach a reader, and for every fold one that saw nobody of it.

    Raises
    ------
    DataError
        If no quotes, or no items, teach it.

    Notes
    -----
    First step: ridge regressions of the marks on a message's states, one per layer, averaged.
    Second step: ridge regressions of the items on pooled readings. Third: one of the total on the
    items. What the second step learns from are readings by a first step that did not hold the
    person's group, since on people it was taught by it is surer than on anybody else; the third
    learns from items made in the same way. With folds of people, that leaves out pairs of
    groups: every such regression is solved from the groups' sums of squares. A window's weight
    is what its total counts; quotes and items count alike, whoever's they are.
    """
    _refuse_untaught(pages)
    bench = _Bench(pages, settings, instrument)
    groups = sorted({int(group) for group in pages.groups})
    held_out = np.full(len(pages.read), np.nan)
    for fold in np.unique(pages.folds[pages.folds >= 0]):
        others = [group for group in groups if group != fold]
        unseen = np.flatnonzero(pages.folds == fold).tolist()
        reader = bench.taught(others)
        held_out[unseen] = reader.points([pages.read[row].states for row in unseen])
    return Distilled(bench.taught(groups), held_out)


def _refuse_untaught(pages: Pages) -> None:
    if all(marks is None or not marks.any() for marks in pages.marks):
        raise DataError(
            "no annotation of the training people has a quote that stands in their messages",
            field="annotations",
            fix="give annotations with evidence, as sottovoce annotate writes them",
        )
    if not np.isfinite(pages.items).all(axis=1).any():
        raise DataError(
            "nobody's items are known", field="annotations", fix="give annotations with items"
        )


class _Bench:
    """The sums that every regression of the first step is solved from, by group."""

    def __init__(self, pages: Pages, settings: ReaderSettings, instrument: Instrument) -> None:
        self.pages, self.settings, self.instrument = pages, settings, instrument
        states = np.concatenate([each.states for each in pages.read])
        self.mean = states.mean(axis=0, dtype=np.float64)
        scale = states.std(axis=0, dtype=np.float64)
        self.scale = np.where(scale > 1e-9, scale, 1.0)  # a constant feature keeps scale 1
        self.sums = {
            int(group): [self._sums(group, layer) for layer in range(states.shape[1])]
            for group in np.unique(pages.groups)
        }
        self.solved: dict[tuple[int, ...], tuple[Array, Array]] = {}

    def _sums(self, group: int, layer: int) -> tuple[Array, Array]:
        """Squares and products of one group's marked messages, a column of ones last."""
        states, marks = [], []
        for row in np.flatnonzero(self.pages.groups == group).tolist():
            said = self.pages.marks[row]
            if said is not None:
                states.append(self.pages.read[row].states[:, layer])
                marks.append(said)
        width, n_marks = self.mean.shape[1] + 1, 2 * len(self.instrument.items)
        if not states:
            return np.zeros((width, width)), np.zeros((width, n_marks))
        scaled = (np.concatenate(states) - self.mean[layer]) / self.scale[layer]
        inputs = np.column_stack([scaled, np.ones(len(scaled))])
        return inputs.T @ inputs, inputs.T @ np.concatenate(marks)

    def first_step(self, groups: Sequence[int]) -> tuple[Array, Array]:
        """Give weights, shape (L, hidden_size, k), and intercepts, shape (k,), for raw states.

        Solved once for each set of groups: a pair is left out for the sake of either.
        """
        key = tuple(groups)
        if key not in self.solved:
            self.solved[key] = self._solve(key)
        return self.solved[key]

    def _solve(self, groups: Sequence[int]) -> tuple[Array, Array]:
        weights, intercepts = [], []
        for layer in range(len(self.mean)):
            squares = np.sum([self.sums[group][layer][0] for group in groups], axis=0)
            products = np.sum([self.sums[group][layer][1] for group in groups], axis=0)
            penalty = np.full(len(squares), self.settings.penalty * (len(squares) - 1))
            penalty[-1] = 1e-9  # the intercept is not shrunk; nothing divides by zero
            solved = np.linalg.solve(squares + np.diag(penalty), products)
            own = solved[:-1] / self.scale[layer][:, None]
            weights.append(own)
            intercepts.append(solved[-1] - self.mean[layer] @ own)
        return np.array(weights), np.mean(intercepts, axis=0)

    def taught(self, groups: Sequence[int]) -> EvidenceReader:
        """Teach all three steps by the people of some groups."""
        n_items = len(self.instrument.items)
        empty = np.zeros((6 * n_items, n_items))
        reader = EvidenceReader(
            self.settings.layers,
            *self.first_step(groups),
            empty,
            np.zeros(n_items),
            np.zeros(1 + n_items),
            self.instrument.item_maximum,
        )
        rows = np.flatnonzero(np.isin(self.pages.groups, groups))
        pooled = self._pooled(reader, groups)[rows]
        lesson = Lesson(self.pages.lesson.targets[rows], self.pages.lesson.weights[rows])
        total = _total(self._apart(pooled, rows), lesson)
        weights, intercepts = self._profile(pooled, self.pages.items[rows])
        return replace(
            reader, profile_weights=weights, profile_intercepts=intercepts, total_weights=total
        )

    def _pooled(self, reader: EvidenceReader, groups: Sequence[int]) -> Array:
        """Pool each person's readings by a first step without their group; other rows stay 0."""
        pooled = np.zeros((len(self.pages.read), len(reader.profile_weights)))
        for group in groups:
            without = [each for each in groups if each != group]
            weights, intercepts = self.first_step(without)
            apart = replace(reader, weights=weights, intercepts=intercepts)
            for row in np.flatnonzero(self.pages.groups == group).tolist():
                pooled[row] = pool(apart.readings(self.pages.read[row].states))
        return pooled

    def _apart(self, pooled: Array, rows: Rows) -> Array:
        """Give items within their range, each by people of the other groups."""
        items = np.empty((len(rows), self.pages.items.shape[1]))
        groups = self.pages.groups[rows]
        for group in np.unique(groups):
            inside = groups == group
            known = self.pages.items[rows[~inside]]
            weights, intercepts = self._profile(pooled[~inside], known)
            items[inside] = pooled[inside] @ weights + intercepts
        return np.clip(items, 0, self.instrument.item_maximum)

    def _profile(self, pooled: Array, items: Array) -> tuple[Array, Array]:
        """Regress items on pooled readings, for raw readings."""
        known = np.isfinite(items).all(axis=1)
        if not known.any():
            raise DataError(
                "too few people's items are known", field="annotations", fix="annotate more people"
            )
        return _ridge(pooled[known], items[known], np.ones(int(known.sum())), PROFILE_PENALTY)


def _total(items: Array, lesson: Lesson) -> Array:
    """Regress the total on the items, for points of items; the intercept first."""
    targets = lesson.targets[:, None]
    weights, intercept = _ridge(items, targets, lesson.weights, TOTAL_PENALTY)
    return np.concatenate([intercept, weights[:, 0]])


def _ridge(inputs: Array, wanted: Array, weights: Array, penalty: float) -> tuple[Array, Array]:
    """Regress on standardised inputs; give weights for raw ones, shape (k, m), and intercepts."""
    mean = np.average(inputs, axis=0, weights=weights)
    scale = inputs.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)  # a constant feature keeps scale 1
    centred = (inputs - mean) / scale
    level = np.average(wanted, axis=0, weights=weights)
    squares = (centred.T * weights) @ centred + penalty * inputs.shape[1] * np.eye(inputs.shape[1])
    found = np.linalg.solve(squares, (centred.T * weights) @ (wanted - level)) / scale[:, None]
    return found, level - mean @ found
