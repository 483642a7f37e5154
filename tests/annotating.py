"""A scripted annotation service over real HTTP, and people to ask it about.

It speaks Anthropic's Messages and Message Batches and OpenAI's chat completions, answers each
call by its idempotency key, and counts what it would bill. `script` decides what a call gets.
"""

import contextlib
import hashlib
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from sottovoce.annotate.annotator import Reply
from sottovoce.annotate.calls import Patience
from sottovoce.annotate.prompt import Asking, load_prompt
from sottovoce.annotate.work import make_tasks
from sottovoce.cohort import WindowRules, newest_window
from sottovoce.consent import Grant, grant_record
from sottovoce.conversations import Conversation, Message, conversation_record, write_json_lines
from sottovoce.disclosure import disclose
from sottovoce.instruments import PHQ_9

NOON = datetime(2025, 3, 14, 12, tzinfo=UTC)
IMPATIENT = Patience(timeout=5, attempts=3, connects=2, shortest=0.001, longest=0.002)
USAGE = (1000, 400)
"""Tokens of input and output that the service counts for every call."""


def answer(key: str = "", **changed: Any) -> str:
    """Give an answer that depends on the key alone, quoting what everybody said."""
    drawn = hashlib.sha256(key.encode()).digest()
    items = {str(item.number): drawn[item.number] % 4 for item in PHQ_9.items}
    quote = {"item": 3, "level": 2, "quote": "I lay awake until four", "trap": None}
    fields = {"evidence": [quote], "items": items, "total": sum(items.values()), "sd": 2.5}
    return json.dumps(fields | changed)


@dataclass(frozen=True)
class Call:
    """What reached the server."""

    path: str
    key: str
    body: dict[str, Any]
    headers: dict[str, str]
    number: int
    """How often a call of this key has come, from 1."""


@dataclass(frozen=True)
class Said:
    """What a call gets: a status and, if it is 200, the text of an answer and why it ended."""

    text: str = ""
    stop: str = "end_turn"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    error: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    body: bytes | None = None
    hang_up: bool = False


def fair(call: Call) -> Said:
    return Said(answer(call.key))


@dataclass
class Service:
    """The server's memory."""

    script: Callable[[Call], Said] = fair
    url: str = ""
    home: str = ""
    calls: list[Call] = field(default_factory=list)
    billed: Counter[str] = field(default_factory=Counter)
    honours: bool = True
    """Whether it bills a key once, however often it comes."""
    answered: dict[str, Said] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    looks: int = 0
    """Looks at a batch after which it has ended."""
    after_bill: Callable[[], None] = lambda: None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def forget(self) -> None:
        """Begin anew, at the same address."""
        fresh = Service(url=self.home, home=self.home)
        for each in fields(self):
            setattr(self, each.name, getattr(fresh, each.name))

    @property
    def asked(self) -> list[str]:
        return [each.key for each in self.calls]

    def take(self, path: str, key: str, body: dict, headers: dict) -> Said:
        with self.lock:
            call = Call(path, key, body, headers, self.asked.count(key) + 1)
            self.calls.append(call)
            if self.honours and key in self.answered:
                return self.answered[key]
        said = self.script(call)
        with self.lock:
            if said.status == 200:
                self.billed[key] += 1
                self.answered[key] = said
        return said


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: Service

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        key = headers.get("idempotency-key", "")
        if self.path.endswith("/messages/batches"):
            self._send(200, self._create(key, body))
            return
        said = self.service.take(self.path, key, body, headers)
        time.sleep(said.seconds)
        if said.hang_up:
            self.close_connection = True
            self.connection.close()
            return
        if said.body is not None:
            self._send(said.status, said.body, said.headers)
        elif said.status != 200:
            self._send(said.status, {"type": "error", "error": said.error}, said.headers)
        else:
            shape = _message if "messages" in self.path.rsplit("/", 1)[-1] else _completion
            self._send(200, shape(said), said.headers)

    def do_GET(self) -> None:
        parts = self.path.split("?")[0].strip("/").split("/")
        batches = self.service.batches
        if parts[-1] == "batches":
            newest = [self._batch(name) for name in reversed(batches)]
            page = {"data": newest, "has_more": False, "first_id": None, "last_id": None}
            self._send(200, page)
        elif parts[-1] == "results":
            lines = [json.dumps(each) for each in batches[parts[-2]]["results"]]
            self._send(200, "\n".join(lines).encode(), {"Content-Type": "application/binary"})
        else:
            batches[parts[-1]]["looks"] += 1
            self._send(200, self._batch(parts[-1]))

    def _create(self, token: str, body: dict) -> dict:
        service = self.service
        results = []
        for each in body["requests"]:
            key = each["custom_id"]
            said = service.take(self.path, key, each["params"], {})
            message = {"type": "succeeded", "message": _message(said)}
            wrong = {"type": "error", "error": said.error}
            failed = {"type": "errored", "error": wrong}
            results.append({"custom_id": key, "result": failed if said.status != 200 else message})
        name = f"msgbatch_{len(service.batches)}"
        service.batches[name] = {"results": results[::-1], "looks": 0, "token": token}
        service.after_bill()
        return self._batch(name)

    def _batch(self, name: str) -> dict[str, Any]:
        held = self.service.batches[name]
        ended = held["looks"] > self.service.looks
        count = len(held["results"])
        now = datetime.now(UTC).isoformat()
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        counts["succeeded" if ended else "processing"] = count
        return {
            "id": name,
            "type": "message_batch",
            "created_at": now,
            "expires_at": now,
            "processing_status": "ended" if ended else "in_progress",
            "request_counts": counts,
            "results_url": f"{self.service.url}/v1/messages/batches/{name}/results",
        }

    def _send(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        try:
            self.send_response(status)
            for name, text in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)
        except OSError:  # whoever asked has been killed, or did not want to wait
            self.close_connection = True


def _message(said: Said) -> dict[str, Any]:
    return {
        "id": "msg",
        "type": "message",
        "role": "assistant",
        "model": "scripted",
        "content": [{"type": "text", "text": said.text}],
        "stop_reason": said.stop,
        "stop_sequence": None,
        "usage": {"input_tokens": USAGE[0], "output_tokens": USAGE[1]},
    }


def _completion(said: Said) -> dict[str, Any]:
    stops = {"end_turn": "stop", "max_tokens": "length", "refusal": "content_filter"}
    return {
        "id": "cmpl",
        "object": "chat.completion",
        "created": 0,
        "model": "scripted",
        "choices": [
            {
                "index": 0,
                "finish_reason": stops[said.stop],
                "message": {"role": "assistant", "content": said.text},
            }
        ],
        "usage": {
            "prompt_tokens": USAGE[0],
            "completion_tokens": USAGE[1],
            "total_tokens": sum(USAGE),
        },
    }


@contextlib.contextmanager
def serving(script: Callable[[Call], Said] = fair) -> Iterator[Service]:
    """Run a service in a thread, on a free port of this machine."""
    service = Service(script)
    handler = type("Handler", (_Handler,), {"service": service})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    service.url = service.home = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def closed_port() -> int:
    """Give a port of this machine on which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def set_keys(monkeypatch: Any) -> None:
    """Give both SDKs a key and no other address or credential of the machine's."""
    for name in ("ANTHROPIC_BASE_URL", "OPENAI_BASE_URL", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret-a")
    monkeypatch.setenv("OPENAI_API_KEY", "secret-o")


SAID = (
    "I lay awake until four again and then it was light.",
    "My sister Wilhelmina (wil@mail.test) says I should go out more, I have no wish to.",
    "Work is fine. I read the same page over and over.",
    "I ate some toast, I was not hungry before that either.",
    "It is raining here and everything takes so long.",
    "I am so tired that the stairs look like a hill.",
)


def conversation(user: str, extra: str = "") -> Conversation:
    """Give a person's conversation, long enough to be read; its last words are the person's own."""
    said = (*SAID, f"I thought about it {extra or user} times today.")
    messages = []
    for number, text in enumerate(said):
        at = NOON + timedelta(minutes=10 * number)
        messages.append(Message("user", text, at))
        messages.append(Message("assistant", "How was the night?", at + timedelta(minutes=1)))
    return Conversation(user, f"{user}-1", tuple(messages))


def write_chats(path: Path, *users: str) -> Path:
    """Write a chat file of people who differ in their last message."""
    rows = [conversation(user, str(number)) for number, user in enumerate(users, start=2)]
    write_json_lines(path, map(conversation_record, rows))
    return path


def write_consent(path: Path, *users: str) -> Path:
    """Write a ledger in which they agreed to be sent."""
    given = datetime(2025, 1, 1, tzinfo=UTC)
    grants = [Grant(user, "external_annotation", given) for user in users]
    write_json_lines(path, map(grant_record, grants))
    return path


def tasks(*users: str, samples: int = 1, name: str = "scripted", max_tokens: int = 2000):
    """Make the tasks of people, sent as they are."""
    windows = [
        newest_window(user, conversation(user, str(number)).messages, WindowRules())
        for number, user in enumerate(users, start=2)
    ]
    disclosure = disclose(windows, None, None, trusted=True)
    asking = Asking(load_prompt(PHQ_9), name, samples, max_tokens)
    return make_tasks(windows, disclosure, asking)


class InMemory:
    """An annotator without a network that bills a key once, and can be told what to answer."""

    def __init__(self, script: Callable[[Any], Reply] | None = None, name: str = "scripted"):
        self.name, self.billed, self.calls = name, Counter[str](), 0
        self._script = script or (lambda request: Reply(answer(request.key), *USAGE, "end"))
        self._lock = threading.Lock()

    def ask(self, request: Any) -> Reply:
        with self._lock:
            self.calls += 1
            reply = self._script(request)
            if request.idempotency not in self.billed:
                self.billed[request.idempotency] += 1
            return reply
