"""The order of work: which calls are made, a few at a time, until all are done or none may be.

Owns what is pending, the reservation of each call's cost before it is made, and when to give up.
The result does not depend on the order in which answers come. Does not know what an answer says
(`results`).
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from sottovoce.annotate.annotator import Annotator, CallError, Kind, Request
from sottovoce.annotate.budget import Budget, Limit, Tokens, worst_case
from sottovoce.annotate.results import outcome
from sottovoce.annotate.store import Contents, Store
from sottovoce.annotate.work import Task, requests_of
from sottovoce.errors import AnnotatorError
from sottovoce.progress import Advance, silent

GIVE_UP = 10
"""Calls in a row without an answer, each with its repetitions, after which the server is taken to
be gone; ours."""

ANSWERED: frozenset[Kind] = frozenset({"garbage", "not recorded"})
"""Failures that do not tell of a server that is gone."""


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms calls are made.

    Parameters
    ----------
    limit
        What may be spent.
    concurrency
        Calls at once; 4 is ours. A service's rate limits may allow many more.
    retry_failed
        Ask again what failed before.
    """

    limit: Limit = field(default_factory=Limit)
    concurrency: int = 4
    retry_failed: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """How a run ended.

    Parameters
    ----------
    asked
        Calls that were made.
    left
        Calls that the budget did not allow.
    """

    asked: int
    left: int


def pending(tasks: Iterable[Task], contents: Contents, *, retry_failed: bool) -> list[Request]:
    """Give the requests that are still to be asked, person by person.

    What was answered is not, nor what failed, unless it is to be asked again or was just being
    asked again. What was in flight when a run ended is, under the number it had.
    """
    by_key = {each.key: task for task in tasks for each in task.requests}
    waiting = []
    for request in requests_of(by_key.values()):
        ended = contents.ended.get(request.key)
        failed = ended is not None and isinstance(outcome(ended, by_key[request.key]), str)
        asked = contents.asked(request)
        if ended is None or (failed and (retry_failed or contents.open[asked.idempotency])):
            waiting.append(asked)
    return waiting


def open_budget(store: Store, limit: Limit) -> Budget:
    """Give a budget that knows what earlier runs spent, or may have spent."""
    unknown = store.contents.unknown()
    cost = (store.cost or 0.0) + (0.0 if limit.prices is None else limit.prices.cost(unknown))
    return Budget(limit, store.contents.tokens + unknown, cost)


def ask_all(
    requests: Sequence[Request],
    annotator: Annotator,
    store: Store,
    terms: Terms,
    advance: Advance = silent,
) -> Run:
    """Ask until all is asked or the budget may not hold another call.

    On an interruption no new call is made, and those under way are waited for and kept.

    Raises
    ------
    AnnotatorError
        If nobody can be asked, or `GIVE_UP` calls in a row had no answer. What was answered by
        then is kept.
    """
    asking = _Asking(annotator, store, open_budget(store, terms.limit))
    done, queue = 0, list(reversed(requests))
    with ThreadPoolExecutor(terms.concurrency) as workers:
        while True:
            while queue and len(asking.under_way) < terms.concurrency and asking.may(queue[-1]):
                asking.begin(workers, queue.pop())
            if not asking.under_way:
                return Run(done, len(queue))
            done += asking.take_ended()
            advance(done, len(requests))


class _Asking:
    """The calls under way of one run."""

    def __init__(self, annotator: Annotator, store: Store, budget: Budget) -> None:
        self._annotator, self._store, self._budget = annotator, store, budget
        self.under_way: dict[Future[tuple[Tokens, Kind | None]], Request] = {}
        self._silent = 0

    def may(self, request: Request) -> bool:
        """Reserve what a call may cost; False if the budget might not hold it now."""
        return self._budget.reserve(request.key, worst_case(request))

    def begin(self, workers: ThreadPoolExecutor, request: Request) -> None:
        self._store.start(request, self._annotator.name)
        self.under_way[workers.submit(self._ask, request)] = request

    def _ask(self, request: Request) -> tuple[Tokens, Kind | None]:
        """Ask once and keep what came; give what it took, and why nothing came."""
        try:
            reply = self._annotator.ask(request)
        except CallError as error:
            return self._store.fail(request, error), error.kind
        except AnnotatorError:
            self._store.void(request)
            raise
        return self._store.answer(request, reply), None

    def take_ended(self) -> int:
        """Wait for at least one call; give the number that ended."""
        ended, _ = wait(self.under_way, return_when=FIRST_COMPLETED)
        for future in ended:
            request = self.under_way.pop(future)
            used, kind = future.result()
            self._budget.settle(request.key, used)
            self._silent = 0 if kind is None or kind in ANSWERED else self._silent + 1
        if self._silent >= GIVE_UP:
            raise AnnotatorError(
                f"the annotator gave no answer {self._silent} times in a row, lastly: {kind}; see "
                "what is wrong there, then run the same command again with --retry-failed"
            )
        return len(ended)
