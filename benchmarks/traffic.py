"""What people say while their service is being killed, and what of it was acknowledged.

Owns the plan (who says what, in which batches, who withdraws or is erased in the middle) and the
threads that send it by the package's own client until every call has had an answer. Batches come
out of order, twice and overlapping, from several threads at once. Does not know who kills.
"""

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import httpx2

from benchmarks.load_generator import texts
from sottovoce.client import Client, OutgoingMessage, ServiceRefusal
from sottovoce.errors import ServiceError

Fate = Literal["stays", "withdraws", "erased"]

THREADS = 6
LARGEST = 20
"""Messages of the largest batch; they are drawn from one to this."""

TWICE, OVERLAPPING, DISORDERLY = 0.1, 0.1, 0.5
"""Shares of batches sent twice and of batches that hold some of the one before; of people whose
batches come in any order."""

LEAVING = {"withdraws": 0.05, "erased": 0.05}
"""Shares of people who withdraw their consent, or are erased, in the middle."""


@dataclass
class Talker:
    """A person, what they say, and what was acknowledged of it.

    Parameters
    ----------
    id, fate
        The app's pseudonym; what becomes of the person in the middle.
    says
        Messages by their ids.
    acknowledged
        Ids of messages in batches that were answered with 200.
    """

    id: str
    fate: Fate
    says: dict[str, OutgoingMessage]
    acknowledged: set[str] = field(default_factory=set)
    joined: bool = False
    left: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class Step:
    """One call: messages to send, or, without any, the person's leaving."""

    talker: Talker
    batch: tuple[OutgoingMessage, ...]


def plan(seed: int, people: int, messages: int) -> tuple[list[Talker], list[Step]]:
    """Draw people and the calls about them, in the order in which they are begun."""
    drawn, said = random.Random(seed), texts()
    now = datetime.now(UTC).replace(microsecond=0)
    talkers, placed = [], list[tuple[float, Step]]()
    for number in range(people):
        count = messages // people + (number < messages % people)
        fates = [*LEAVING, "stays"]
        shares = [*LEAVING.values(), 1 - sum(LEAVING.values())]
        fate: Any = drawn.choices(fates, shares)[0]
        talker = Talker(f"p{seed}-{number}", fate, _says(drawn, said, now, number, count))
        talkers.append(talker)
        batches = _batches(drawn, list(talker.says.values()))
        places = sorted(drawn.random() for _ in batches)
        if drawn.random() < DISORDERLY:
            drawn.shuffle(places)
        steps = [Step(talker, batch) for batch in batches]
        placed += zip(places, steps, strict=True)
        if fate != "stays":
            placed.append((drawn.uniform(0.3, 0.9), Step(talker, ())))
    placed.sort(key=lambda each: each[0])
    return talkers, [step for _, step in placed]


def _says(
    drawn: random.Random, said: list[str], now: datetime, person: int, count: int
) -> dict[str, OutgoingMessage]:
    """Draw a person's messages over the last month; every text is one of a kind."""
    at, says = now - timedelta(days=30), dict[str, OutgoingMessage]()
    for number in range(count):
        at += timedelta(seconds=drawn.randint(1, 20 * 24 * 3600 // count))
        role: Any = "assistant" if number % 4 == 3 else "user"
        id_ = f"m{number}"
        text = f"{drawn.choice(said)} ({person}, {number})"
        says[id_] = OutgoingMessage(id_, f"c{number // 20}", role, text, at)
    return says


def _batches(
    drawn: random.Random, says: list[OutgoingMessage]
) -> list[tuple[OutgoingMessage, ...]]:
    batches, first = list[tuple[OutgoingMessage, ...]](), 0
    while first < len(says):
        size = drawn.randint(1, LARGEST)
        begin = max(0, first - 3) if drawn.random() < OVERLAPPING else first
        batches.append(tuple(says[begin : first + size]))
        first += size
        if drawn.random() < TWICE:
            batches.append(batches[-1])
    return batches


class _Counting(httpx2.HTTPTransport):
    """Counts what goes over the wire, so that repeats are known."""

    attempts = 0

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request."""
        self.attempts += 1
        return super().handle_request(request)


@dataclass
class Traffic:
    """Sends steps from several threads until each has had an answer.

    Parameters
    ----------
    url, key
        Of the service.
    steps
        In the order in which they are begun.
    seconds
        How long the sending takes at least, so that there is time to kill.
    """

    url: str
    key: str
    steps: list[Step]
    seconds: float
    seen: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Send everything."""
        waiting, threads = deque(self.steps), []
        for number in range(THREADS):
            threads.append(threading.Thread(target=self._work, args=(waiting, number)))
            threads[-1].start()
        for each in threads:
            each.join()

    def _work(self, waiting: "deque[Step]", number: int) -> None:
        drawn = random.Random(number)
        pause = self.seconds * THREADS / len(self.steps)
        transport, calls = _Counting(), Counter[str]()
        with Client(self.url, self.key, transport=transport) as client:
            while waiting:
                try:
                    step = waiting.popleft()
                except IndexError:
                    break
                self._do(client, step, calls)
                time.sleep(drawn.uniform(0, 2 * pause))
        calls["retries"] = transport.attempts - calls["calls"]
        with _COUNTING:
            self.seen += calls

    def _do(self, client: Client, step: Step, calls: "Counter[str]") -> None:
        talker = step.talker
        with talker.lock:
            if not talker.joined:
                self._ask(lambda: client.register(talker.id), calls)
                self._ask(lambda: _consents(client, talker, granted=True), calls)
                talker.joined = True
        if not step.batch:
            withdraws = talker.fate == "withdraws"
            talker.left = True
            if withdraws:
                self._ask(lambda: _consents(client, talker, granted=False), calls)
            else:
                self._ask(lambda: client.erase(talker.id), calls)
            return
        answer = self._ask(lambda: client.send(talker.id, step.batch), calls)
        calls["batches"] += 1
        if not isinstance(answer, ServiceRefusal):
            calls["acknowledged_batches"] += 1
            with talker.lock:
                talker.acknowledged.update(each.id for each in step.batch)
        elif talker.left and answer.status == (403 if talker.fate == "withdraws" else 404):
            calls["refused"] += 1
        else:
            self.wrong.append(f"a batch was refused with {answer.status}")

    def _ask(self, call: Callable[[], Any], calls: "Counter[str]") -> Any:
        """Call until there is an answer that stays; the client itself repeats for a while."""
        calls["calls"] += 1
        while True:
            try:
                return call()
            except ServiceRefusal as refusal:
                if refusal.status < 500:
                    return refusal
                calls[f"status_{refusal.status}"] += 1
            except (httpx2.TransportError, ServiceError):
                calls["gave_up"] += 1
            time.sleep(0.2)


_COUNTING = threading.Lock()


def _consents(client: Client, talker: Talker, *, granted: bool) -> None:
    client.consent(talker.id, "monitoring", granted=granted, text_version="v1", source="benchmark")
