"""The store: what was asked, what came back and what it cost, so that nothing is paid for twice.

Owns the lines of the file and what they add up to. A line is on the disk before a call is made
and after it ended; lines are never changed. Each names the person (so that somebody's lines can
be found and erased) and holds the annotator's raw answer with its quotes: the store belongs where
the chats are. Does not know when a call is made (`run`, `batch`), nor what an answer is worth:
that is judged whenever it is read (`results`).
"""

import secrets
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from sottovoce.annotate.annotator import KINDS, CallError, Kind, Reply, Request
from sottovoce.annotate.budget import Prices, Tokens, worst_case
from sottovoce.annotate.journal import Journal, lines
from sottovoce.conversations import format_time, parse_time
from sottovoce.errors import DataError

OPENING = '{"store": "sottovoce annotations"'
VERSION = 1

NOTHING = Tokens()


@dataclass(frozen=True, slots=True)
class Ended:
    """The last word on a call: a reply, or why there is none."""

    reply: Reply | None
    kind: Kind | None


@dataclass(slots=True)
class Batch:
    """A Message Batch that was begun and of which not every result is here yet.

    Parameters
    ----------
    token
        Our name for it.
    annotator
        Whom it was handed to.
    began
        When it was about to be handed in.
    calls
        Idempotency keys to what a line of one of its calls says.
    id
        The service's name for it; None while it is not known whether it arrived.
    """

    token: str
    annotator: str
    began: datetime
    calls: Mapping[str, Mapping[str, Any]]
    id: str | None = None


@dataclass(slots=True)
class Contents:
    """What the lines of a store add up to.

    Parameters
    ----------
    salt
        Secret of the store; de-identification uses it, so that the same chat is sent in the same
        words by every run and found again.
    ended
        Key to the last word on it.
    attempts
        Key to the number of calls that ended.
    open
        Idempotency key to the worst case of every call that began and did not end: each may have
        been billed.
    batches
        Those that are not done, by token.
    tokens, cost
        Of the calls that ended.
    unpriced
        Tokens of those that were noted without a cost, for want of prices.
    annotators
        Names of all that were asked.
    """

    salt: bytes = b""
    ended: dict[str, Ended] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    open: dict[str, list[Tokens]] = field(default_factory=lambda: defaultdict(list))
    batches: dict[str, Batch] = field(default_factory=dict)
    tokens: Tokens = NOTHING
    cost: float = 0.0
    unpriced: Tokens = NOTHING
    annotators: set[str] = field(default_factory=set)

    @property
    def in_flight(self) -> int:
        """Calls whose end is not known."""
        return sum(bool(each) for each in self.open.values())

    def unknown(self) -> Tokens:
        """Give what calls whose end is not known took at most."""
        return sum((one for each in self.open.values() for one in each), NOTHING)

    def asked(self, request: Request) -> Request:
        """Give the request with the number of this attempt: the same as long as none ended."""
        return replace(request, attempt=self.attempts[request.key] + 1)

    def take(self, line: Mapping[str, Any]) -> None:
        """Add one line."""
        event = line["event"]
        if event == "started":
            self._start(line)
        elif event in ("answered", "failed"):
            self._end(line)
        elif event == "void":
            self.open[_idempotency(line)].pop()
        elif event == "batch":
            self._batch(line)
        else:
            raise ValueError

    def _start(self, line: Mapping[str, Any]) -> None:
        self.annotators.add(line["annotator"])
        self.open[_idempotency(line)].append(_tokens(line))

    def _end(self, line: Mapping[str, Any]) -> None:
        key, used = str(line["key"]), _tokens(line)
        begun = self.open[_idempotency(line)]
        if begun:
            begun.pop()
        self.attempts[key] = max(self.attempts[key], int(line["attempt"]))
        self.tokens += used
        if line["cost"] is None:
            self.unpriced += used
        else:
            self.cost += float(line["cost"])
        if line["event"] == "failed":
            if line["kind"] not in KINDS:
                raise ValueError
            self.ended[key] = Ended(None, line["kind"])
        else:
            reply = Reply(str(line["text"]), used.input, used.output, line["stop"])
            self.ended[key] = Ended(reply, None)

    def _batch(self, line: Mapping[str, Any]) -> None:
        token = str(line["token"])
        if line["state"] == "creating":
            calls = {_idempotency(each): each for each in line["calls"]}
            began = parse_time(line["at"], field="at")
            annotator = str(line["calls"][0]["annotator"])
            self.batches[token] = Batch(token, annotator, began, calls)
            for each in line["calls"]:
                self._start(each)
        elif line["state"] == "made":
            self.batches[token].id = str(line["id"])
        else:
            batch = self.batches.pop(token)
            if line["state"] == "absent":
                for each in batch.calls:
                    self.open[each].pop()


class Store:
    """A store that is being written, by any number of threads; see the module.

    Parameters
    ----------
    path
        The file; None keeps everything in memory, for what costs nothing.
    prices
        To note with each call what it cost.

    Raises
    ------
    DataError
        If the file is no store, is broken, or belongs to another run.
    """

    def __init__(self, path: str | Path | None, prices: Prices | None = None) -> None:
        self._prices, self._one = prices, threading.Lock()
        self.journal = None if path is None else Journal(path, OPENING)
        try:
            self.contents = Contents() if path is None else read_store(path)
            if not self.contents.salt:
                self.contents.salt = secrets.token_bytes(32)
                if self.journal is not None:
                    self.journal.append(_header(self.contents.salt))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def healed(self) -> int:
        """Lines that a kill had torn and that were cut off."""
        return 0 if self.journal is None else self.journal.healed

    def close(self) -> None:
        """Let go of the file."""
        if self.journal is not None:
            self.journal.close()

    @property
    def cost(self) -> float | None:
        """What calls that ended cost: as noted then, else at today's prices; None without."""
        if self._prices is None:
            return None
        return self.contents.cost + self._prices.cost(self.contents.unpriced)

    def start(self, request: Request, annotator: str) -> None:
        """Say that a call is about to be made."""
        self._take({"event": "started", **_call(request, annotator), "at": _now()})

    def answer(self, request: Request, reply: Reply) -> Tokens:
        """Keep what came back; give what it took."""
        used = Tokens(reply.input_tokens, reply.output_tokens)
        self._take(
            {
                "event": "answered",
                **self._ending(request, used),
                "stop": reply.stop,
                "text": reply.text,
            }
        )
        return used

    def fail(self, request: Request, error: CallError) -> Tokens:
        """Keep that nothing came back; give what it may have taken."""
        used = worst_case(request) if error.billed else NOTHING
        self._take({"event": "failed", **self._ending(request, used), "kind": error.kind})
        return used

    def void(self, request: Request) -> None:
        """Say that a call was refused before anything was done, as if it had not been made."""
        self._take({"event": "void", **self._ending(request, NOTHING)})

    def begin_batch(self, requests: Iterable[Request], annotator: str) -> str:
        """Say that a batch is about to be handed in; give its token."""
        token = secrets.token_hex(16)
        calls = [_call(each, annotator) for each in requests]
        self._take(
            {"event": "batch", "state": "creating", "token": token, "calls": calls, "at": _now()}
        )
        return token

    def note_batch(self, token: str, state: str, **more: str) -> None:
        """Say how a batch goes on: ``made`` with its id, ``absent``, or ``done``."""
        self._take({"event": "batch", "state": state, "token": token, **more, "at": _now()})

    def _ending(self, request: Request, used: Tokens) -> dict[str, Any]:
        return {
            "key": request.key,
            "attempt": request.attempt,
            "user_id": request.user_id,
            "sample": request.sample,
            "input_tokens": used.input,
            "output_tokens": used.output,
            "cost": None if self._prices is None else self._prices.cost(used),
            "at": _now(),
        }

    def _take(self, line: dict[str, Any]) -> None:
        with self._one:
            if self.journal is not None:
                self.journal.append(line)
            self.contents.take(line)


def read_store(path: str | Path) -> Contents:
    """Read a store without holding it; what is not there is empty.

    Raises
    ------
    DataError
        With the line, if one is not what this version writes.
    """
    contents = Contents()
    for number, line in lines(path):
        try:
            fields = cast("Mapping[str, Any]", line)
            if number == 1:
                if fields["version"] != VERSION:
                    raise ValueError
                contents.salt = bytes.fromhex(fields["salt"])
            else:
                contents.take(fields)
        except (KeyError, TypeError, ValueError, IndexError, DataError):
            raise DataError(
                "this is no line of a store",
                path=path,
                line=number,
                fix="name a store that this version of sottovoce annotate wrote",
            ) from None
    return contents


def request_of(line: Mapping[str, Any]) -> Request:
    """Give the request of a batch's line: enough to keep its result, not to ask again."""
    return Request(
        key=str(line["key"]),
        user_id=str(line["user_id"]),
        sample=int(line["sample"]),
        prompt=str(line["prompt"]),
        system="",
        text="",
        schema={},
        max_tokens=0,
        attempt=int(line["attempt"]),
    )


def is_store(path: str | Path) -> bool:
    """Whether a file begins as a store does."""
    with Path(path).open("rb") as stream:
        return stream.read(len(OPENING)) == OPENING.encode()


def _header(salt: bytes) -> dict[str, Any]:
    return {"store": "sottovoce annotations", "version": VERSION, "salt": salt.hex()}


def _call(request: Request, annotator: str) -> dict[str, Any]:
    most = worst_case(request)
    return {
        "key": request.key,
        "attempt": request.attempt,
        "user_id": request.user_id,
        "sample": request.sample,
        "annotator": annotator,
        "prompt": request.prompt,
        "input_tokens": most.input,
        "output_tokens": most.output,
    }


def _idempotency(line: Mapping[str, Any]) -> str:
    return f"{line['key']}-{int(line['attempt'])}"


def _tokens(line: Mapping[str, Any]) -> Tokens:
    return Tokens(int(line["input_tokens"]), int(line["output_tokens"]))


def _now() -> str:
    return format_time(datetime.now(UTC))
