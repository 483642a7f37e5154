"""The order of work with Message Batches: half the price, and kept by the service meanwhile.

Owns handing in, waiting, fetching, and finding a batch again whose handing in was cut off. Only
for whoever asks for it: batches are outside zero data retention. Does not know how a batch is
called over HTTP (`anthropic`).
"""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

from sottovoce.annotate.annotator import CallError, Request
from sottovoce.annotate.anthropic import Batched
from sottovoce.annotate.budget import Budget, worst_case
from sottovoce.annotate.run import Run, Terms, open_budget
from sottovoce.annotate.store import Batch, Store
from sottovoce.errors import AnnotatorError
from sottovoce.progress import Advance, silent

LARGEST = 2000
"""Requests of one batch. Ours: Anthropic takes 100,000 and 256 MB (its documentation of batch
processing, read in November 2026), and 2,000 transcripts of 64 kB are half of that."""

PAUSE = 30.0
"""Seconds between two looks at a batch; ours. Most end within an hour, says the same page."""


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


def finish_batches(
    annotator: BatchAnnotator, store: Store, known: Sequence[Request], pause: float = PAUSE
) -> int:
    """Fetch what earlier runs handed in; give the number of results.

    A batch whose handing in was cut off is looked for in the account before its calls may be
    made again: a batch of its size made since then is waited for, and is it if its results bear
    its calls' keys.

    Parameters
    ----------
    annotator
        Whom it was handed to.
    store
        What earlier runs wrote.
    known
        The requests of this run, whose transcripts say what the results are about.
    pause
        Seconds between two looks.

    Raises
    ------
    AnnotatorError
        If the server does not answer, or a batch is about other chats than these.
    """
    fetched = 0
    by_call = {store.contents.asked(each).idempotency: each for each in known}
    for batch in list(store.contents.batches.values()):
        if not set(batch.calls) & set(by_call):
            continue
        if batch.id is None:
            _look_for(batch, annotator, store, pause)
        if batch.id is not None:
            requests = [store.contents.asked(by_call[each]) for each in batch.calls if each in by_call]
            fetched += _fetch(batch, requests, annotator, store, pause)
    return fetched
