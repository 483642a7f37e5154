"""The order of work with Message Batches: half the price, and kept by the service meanwhile.

Owns handing in, waiting, fetching, and finding a batch again whose handing in was cut off. Only
for whoever asks for it: batches are outside zero data retention. Does not know how a batch is
called over HTTP (`anthropic`).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from sottovoce.annotate.annotator import CallError, Request
from sottovoce.annotate.anthropic import Batched
from sottovoce.annotate.budget import Budget, worst_case
from sottovoce.annotate.run import Run, Terms, open_budget
from sottovoce.annotate.store import Batch, Store, request_of
from sottovoce.errors import AnnotatorError
from sottovoce.progress import Advance, silent

LARGEST = 2000
"""Requests of one batch. Ours: Anthropic takes 100,000 and 256 MB (its documentation of batch
processing, read in November 2026), and 2,000 transcripts of 64 kB are half of that."""

PAUSE = 30.0
"""Seconds between two looks at a batch; ours. Most end within an hour, says the same page."""

T = TypeVar("T")


class BatchAnnotator(Protocol):
    """An annotator that also takes batches; see `AnthropicAnnotator`."""

    name: str

    def create_batch(self, requests: list[Request], token: str, /) -> str:
        """Hand a batch in; give its id."""

    def batch_ended(self, batch: str, /) -> bool:
        """Whether all its results are there."""

    def batches_since(self, moment: datetime, size: int, /) -> list[str]:
        """Give the account's batches of that size made since a moment."""

    def batch_results(self, batch: str, /) -> Iterator[Batched]:
        """Give the results of a batch that has ended."""


def finish_batches(annotator: BatchAnnotator, store: Store, pause: float = PAUSE) -> int:
    """Fetch what earlier runs handed in; give the number of results.

    A batch whose handing in was cut off is looked for in the account before its calls may be
    made again: a batch of its size made since then is waited for, and is the one if its results
    bear its calls' keys. If there is none, its calls were never made.

    Parameters
    ----------
    annotator
        Whom it was handed to.
    store
        What earlier runs wrote.
    pause
        Seconds between two looks.

    Raises
    ------
    AnnotatorError
        If the server does not answer.
    """
    fetched = 0
    for batch in list(store.contents.batches.values()):
        if batch.annotator != annotator.name:
            continue
        if batch.id is None:
            _look_for(batch, annotator, store, pause)
        if batch.id is not None:
            fetched += _fetch(batch, annotator, store, pause)
    return fetched


def ask_in_batches(
    requests: Sequence[Request],
    annotator: BatchAnnotator,
    store: Store,
    terms: Terms,
    advance: Advance = silent,
    pause: float = PAUSE,
) -> Run:
    """Ask batch after batch, each as large as the budget may hold at its worst.

    Raises
    ------
    AnnotatorError
        If the server does not answer; the next run goes on where this one was.
    """
    done = 0
    advance(done, len(requests))
    while done < len(requests):
        budget = open_budget(store, terms.limit)
        some = _that_fit(requests[done : done + LARGEST], budget)
        if not some:
            break
        batch = _hand_in(some, annotator, store)
        done += _fetch(batch, annotator, store, pause)
        advance(done, len(requests))
    return Run(done, len(requests) - done)


def _hand_in(some: list[Request], annotator: BatchAnnotator, store: Store) -> Batch:
    token = store.begin_batch(some, annotator.name)
    try:
        made = annotator.create_batch(some, token)
    except (CallError, AnnotatorError) as error:
        if not (isinstance(error, CallError) and error.billed):
            store.note_batch(token, "absent")  # else it may have arrived: the next run looks
        raise _lost(error) from None
    store.note_batch(token, "made", id=made)
    return store.contents.batches[token]


def _that_fit(requests: Sequence[Request], budget: Budget) -> list[Request]:
    some = []
    for each in requests:
        if not budget.reserve(each.key, worst_case(each)):
            break
        some.append(each)
    return some


def _look_for(batch: Batch, annotator: BatchAnnotator, store: Store, pause: float) -> None:
    """Find a batch that may or may not have arrived."""
    for each in _told(lambda: annotator.batches_since(batch.began, len(batch.calls))):
        if {result.idempotency for result in _results(each, annotator, pause)} == set(batch.calls):
            store.note_batch(batch.token, "made", id=each)
            return
    store.note_batch(batch.token, "absent")


def _fetch(batch: Batch, annotator: BatchAnnotator, store: Store, pause: float) -> int:
    """Wait for a batch and keep its results that are not kept yet; give the number of calls."""
    assert batch.id is not None
    for result in _results(batch.id, annotator, pause):
        if result.idempotency not in batch.calls or not store.contents.open[result.idempotency]:
            continue
        request = request_of(batch.calls[result.idempotency])
        if isinstance(result.outcome, CallError):
            store.fail(request, result.outcome)
        else:
            store.answer(request, result.outcome)
    store.note_batch(batch.token, "done")
    return len(batch.calls)


def _results(batch: str, annotator: BatchAnnotator, pause: float) -> list[Batched]:
    while not _told(lambda: annotator.batch_ended(batch)):
        time.sleep(pause)
    return _told(lambda: list(annotator.batch_results(batch)))


def _told(ask: Callable[[], T]) -> T:
    """Ask about batches; without an answer nothing can go on."""
    try:
        return ask()
    except CallError as error:
        raise _lost(error) from None


def _lost(error: CallError | AnnotatorError) -> AnnotatorError:
    if isinstance(error, AnnotatorError):
        return error
    return AnnotatorError(
        f"the server did not answer about a batch ({error.kind}); run the same command again to "
        "go on"
    )
