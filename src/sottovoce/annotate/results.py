"""From what a store holds to annotations, and to the list of what failed.

Owns what each call came to, how samples become one annotation, and that nobody is dropped in
silence. Does not know how the calls were made (`run`, `batch`).
"""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sottovoce.annotate.agreement import Agreement, self_agreement
from sottovoce.annotate.annotator import Kind
from sottovoce.annotate.answer import Reading, judge
from sottovoce.annotate.store import Contents, Ended
from sottovoce.annotate.work import Task
from sottovoce.annotations import Annotation


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that gave no reading: its key, which tells nobody who it is about, and why."""

    key: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Results:
    """What came of all calls so far.

    Parameters
    ----------
    annotations
        One for each person with at least one reading, in the order of the tasks.
    failures
        Every call without a reading.
    partial
        People whose annotation rests on fewer readings than were asked for.
    without
        People without any.
    quotes, rejected, bare
        Quotes that were found, quotes that were not, and items left without any by that.
    agreement
        Of the annotator with itself; None of single readings.
    """

    annotations: tuple[Annotation, ...]
    failures: tuple[Failure, ...]
    partial: int
    without: int
    quotes: int
    rejected: int
    bare: int
    agreement: Agreement | None

    @property
    def kinds(self) -> Mapping[str, int]:
        """Failures by kind, the most frequent first."""
        return dict(Counter(str(each.kind) for each in self.failures).most_common())


def outcome(ended: Ended, task: Task) -> Reading | Kind:
    """Give the reading of a call that ended, or why there is none."""
    if ended.reply is None:
        assert ended.kind is not None
        return ended.kind
    return judge(ended.reply, task.instrument, task.window, task.disclosed)


def collect(tasks: Sequence[Task], contents: Contents, annotator: str) -> Results:
    """Put everybody's readings together.

    Parameters
    ----------
    tasks
        Who was asked about.
    contents
        What the store holds.
    annotator
        Who is named in the annotations.
    """
    failures: dict[str, Failure] = {}
    annotations, readings, partial = [], list[Reading](), 0
    totals = []
    for task in tasks:
        mine = _readings(task, contents, failures)
        if mine:
            annotations.append(_annotation(task, mine, annotator))
            partial += len(mine) < len(task.requests)
        readings += mine
        totals.append([each.total for each in mine])
    return Results(
        tuple(annotations),
        tuple(failures.values()),
        partial,
        len(tasks) - len(annotations),
        sum(len(each.quotes) for each in readings),
        sum(each.rejected for each in readings),
        sum(each.bare for each in readings),
        self_agreement(totals, max((len(task.requests) for task in tasks), default=0)),
    )


def _readings(task: Task, contents: Contents, failures: dict[str, Failure]) -> list[Reading]:
    found = []
    for request in task.requests:
        ended = contents.ended.get(request.key)
        if ended is None:
            continue
        came = outcome(ended, task)
        if isinstance(came, Reading):
            found.append(came)
        else:
            failures[request.key] = Failure(request.key, came)
    return found


def _annotation(task: Task, readings: Iterable[Reading], annotator: str) -> Annotation:
    """Average the readings; every quote is kept once."""
    mine = list(readings)
    totals = [each.total for each in mine]
    items = zip(*(each.items for each in mine), strict=True)
    return Annotation(
        task.window.user_id,
        annotator,
        tuple(statistics.fmean(each) for each in items),
        statistics.fmean(totals),
        statistics.fmean(each.sd for each in mine),
        tuple(dict.fromkeys(quote for each in mine for quote in each.quotes)),
        task.instrument.key,
        len(mine),
        statistics.stdev(totals) if len(mine) > 1 else None,
    )
