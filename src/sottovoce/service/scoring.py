"""From a person to a stored estimate: reading, scoring in batches, storing.

Owns the order of the work and its outcomes. Does not know the queue (`jobs`), nor how a model
scores (`sottovoce.scorer`). Reading and storing each pass the gate by themselves, so that nothing
is locked while the model works, and whoever withdraws consent meanwhile is not scored.

A person is scored when something new was said. Another model, after a restart, changes nothing of
what is stored: it scores each person from their next message on.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sottovoce.cohort import Window, WindowRules, newest_window
from sottovoce.explanation import Explained, explanation_record
from sottovoce.scorer import Scorer
from sottovoce.service import erasure, estimates, events, ledger, messages
from sottovoce.service.gate import Gate
from sottovoce.service.jobs import Released
from sottovoce.service.principals import SERVICE
from sottovoce.service.refusals import ConsentMissing, NotFound
from sottovoce.service.telemetry import span
from sottovoce.stream import NO_MESSAGE, PEOPLE_AT_ONCE

AIM = 5.0
"""Seconds that a batch should take at most. Ours: a worker that is told to stop finishes the batch
it is at, and whoever waits behind it waits no longer. On two busy cores 29 windows of the bundled
cohort took the package's estimator 96 to 142 s at once."""

FIRST = 4
"""People of the first batch, before it is known how long one takes; ours."""

WAIT = 0.02
"""Seconds for which a batch waits for more people. Ours: reading a person takes a few milliseconds
and scoring one tens of them, so that people who come in together are scored together."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A person as they were read.

    Parameters
    ----------
    person
        Id of the row.
    revision
        The newest change that is in the window.
    window
        Under the row's id; None of a person who said nothing.
    """

    person: UUID
    revision: int
    window: Window | None


def read(gate: Gate, rules: WindowRules, person: UUID) -> Asked | None:
    """Read a person's newest window; None where an estimate has read all of it already.

    Raises
    ------
    NotFound, ConsentMissing
        If the person was erased, or does not agree to `monitoring`.
    """
    with gate.open(SERVICE, "score.read", person) as case:
        if case.revision <= case.scored_revision:
            return None
        newest = messages.newest(case)
        if newest is None:
            return Asked(person, case.revision, None)
        said = [each.message for each in messages.since(case, _days_before(newest, rules))]
        return Asked(person, case.revision, newest_window(str(person), said, rules))


def store(gate: Gate, asked: Asked, explained: Explained) -> str:
    """Store what was made of a reading, and say what came of it.

    Returns
    -------
    str
        "scored" or "abstained"; "known" where an estimate that read as much or more is there.

    Raises
    ------
    NotFound, ConsentMissing
        If the person was erased meanwhile, or withdrew their consent: nothing is stored.
    """
    with gate.open(SERVICE, "score.store", asked.person) as case:
        if asked.revision <= case.scored_revision:
            return "known"
        estimate = explained.estimate
        made = estimates.add(case, estimate, asked.revision, explanation_record(explained))
        if made is not None:
            events.emit(case, "estimate.created", made.id)
        return "abstained" if estimate.abstained else "scored"


def purge(gate: Gate, person: UUID, wait: timedelta) -> str:
    """Purge a person whose withdrawal of `monitoring` is some time ago.

    Returns
    -------
    str
        "purged"; "kept" where they agree again; "later" where they did and withdrew again, and the
        time since that is not over; "gone" where they were erased.
    """
    try:
        with gate.open(SERVICE, "score.purge", person) as case:
            if "monitoring" in case.purposes:
                return "kept"
            lines = [each for each in ledger.lines_of(case) if each.purpose == "monitoring"]
            heard = [each.recorded_at for each in lines if each.recorded_at is not None]
            left = max(heard) + wait - case.at if heard else timedelta()
            if left > timedelta():
                erasure.purge_later(case, left)
                return "later"
            erasure.purge(case)
            return "purged"
    except NotFound:
        return "gone"


@dataclass
class Batcher:
    """Scores windows that come in at the same time together, in one thread.

    Batches grow up to what the model reads in `AIM` seconds. One that fails is scored again person
    by person, so that whoever the model cannot read fails alone. It holds no more than the windows
    of those who wait for it.

    Parameters
    ----------
    scorer
        Loaded once.
    most
        Windows of a batch at most.
    wait
        Seconds for which a batch that is not full waits for more.
    took
        Hears how many seconds each batch took.
    """

    scorer: Scorer
    most: int = PEOPLE_AT_ONCE
    wait: float = WAIT
    took: Callable[[float], None] = field(default=lambda _: None)
    _size: int = FIRST
    _stopped: bool = False
    _waiting: list[tuple[Window, "asyncio.Future[Explained]"]] = field(default_factory=list)
    _work: "asyncio.Task[None] | None" = None
    # one thread for all batches: every thread that torch works in keeps workers of its own
    _thread: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="scoring")
    )

    def explain(self, window: Window) -> Awaitable[Explained]:
        """Score a window, with others.

        Raises
        ------
        Released
            If it was given back meanwhile.
        """
        if self._stopped:
            raise Released
        place: asyncio.Future[Explained] = asyncio.get_running_loop().create_future()
        self._waiting.append((window, place))
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._score_waiting())
        return place

    def give_back(self) -> None:
        """Score no more than the batch that is being scored; give everybody else back."""
        self._stopped = True
        for _, place in self._waiting:
            _fail(place, Released())
        self._waiting.clear()

    def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _score_waiting(self) -> None:
        while self._waiting:
            size = min(self._size, self.most)
            if len(self._waiting) < size:
                await asyncio.sleep(self.wait)
            batch = self._waiting[:size]
            del self._waiting[:size]
            if not batch:  # given back
                return
            try:
                await self._score(batch)
            except Exception as error:
                if len(batch) == 1:
                    _fail(batch[0][1], error)
                    continue
                for each in batch:
                    await self._score_alone(each)

    async def _score_alone(self, each: "tuple[Window, asyncio.Future[Explained]]") -> None:
        try:
            await self._score([each])
        except Exception as error:
            _fail(each[1], error)

    async def _score(self, batch: "list[tuple[Window, asyncio.Future[Explained]]]") -> None:
        loop, windows = asyncio.get_running_loop(), [window for window, _ in batch]
        began = time.monotonic()
        with span("score batch", sottovoce__batch__size=len(batch)):
            found = await loop.run_in_executor(self._thread, self.scorer.explain, windows)
        seconds = time.monotonic() - began
        self.took(seconds)
        each = seconds / len(batch)
        self._size = max(1, min(int(AIM / max(each, 1e-3)), 2 * len(batch), self.most))
        for (_, place), explained in zip(batch, found, strict=True):
            if not place.done():
                place.set_result(explained)


def _fail(place: "asyncio.Future[Explained]", error: Exception) -> None:
    if not place.done():
        place.set_exception(error)


@dataclass(frozen=True, slots=True)
class Scoring:
    """The job `score`.

    Parameters
    ----------
    gate
        Through which people are read and estimates stored.
    batcher
        Scores.
    """

    gate: Gate
    batcher: Batcher

    async def __call__(self, person: UUID) -> str:
        """Score a person, and say what came of it.

        Returns
        -------
        str
            As of `store`; "refused" without consent, "gone" of somebody who was erased.
        """
        scorer = self.batcher.scorer
        try:
            asked = await asyncio.to_thread(read, self.gate, scorer.rules, person)
            if asked is None:
                return "known"
            if asked.window is None:
                explained = Explained(scorer.abstain(str(person), NO_MESSAGE))
            else:
                explained = await self.batcher.explain(asked.window)
            return await asyncio.to_thread(store, self.gate, asked, explained)
        except ConsentMissing:
            return "refused"
        except NotFound:
            return "gone"


def _days_before(newest: datetime, rules: WindowRules) -> datetime | None:
    """Give a moment at or before the window's start; None where the calendar begins later."""
    try:
        return newest - timedelta(days=rules.look_back_days)
    except OverflowError:
        return None
