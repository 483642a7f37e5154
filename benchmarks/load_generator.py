"""Sends batches of messages as fast as an API takes them, and measures how long each took.

A process of its own that reads one order a line from its standard input and answers each with a
line. Requests are written out in full before the clock starts, and answers are read no further
than their status and length: on two cores the generator must cost little beside what it measures.
The texts are those of the bundled, simulated people.
"""

import asyncio
import json
import random
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

from sottovoce import bundled


@dataclass(frozen=True)
class Order:
    """What is to be sent.

    Parameters
    ----------
    port
        Of the API.
    key
        API key.
    people
        Pseudonyms; each request is about one of them, drawn at random.
    requests, batch
        How many requests, and messages of each.
    connections
        Requests under way at the same time.
    name
        Distinguishes this order's messages from those of others.
    """

    port: int
    key: str
    people: list[str]
    requests: int
    batch: int
    connections: int
    name: str


def texts() -> list[str]:
    """Give what the bundled people say."""
    said = bundled.conversations("train")
    return [each.content for conversation in said for each in conversation.messages]


def request(path: str, port: int, key: str, body: Any) -> bytes:
    """Write a request out in full."""
    sent = json.dumps(body, ensure_ascii=False).encode()
    lines = (
        f"POST {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        f"Authorization: Bearer {key}",
        "Content-Type: application/json",
        f"Content-Length: {len(sent)}",
    )
    return "\r\n".join([*lines, "", ""]).encode() + sent


def requests_of(order: Order, said: list[str]) -> "deque[bytes]":
    """Write all requests of an order; the seed is its name, so that rivals get the same."""
    drawn = random.Random(order.name)
    waiting: deque[bytes] = deque()
    for number in range(order.requests):
        person = drawn.choice(order.people)
        batch = [
            {
                "id": f"{order.name}-{number}-{place}",
                "conversation_id": f"{order.name}-{number}",
                "role": "user" if place % 2 == 0 else "assistant",
                "content": drawn.choice(said),
                "sent_at": f"2026-11-01T12:{place // 60 % 60:02}:{place % 60:02}Z",
            }
            for place in range(order.batch)
        ]
        path = f"/v1/people/{person}/messages"
        waiting.append(request(path, order.port, order.key, {"messages": batch}))
    return waiting


async def _connection(port: int, waiting: "deque[bytes]", took: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while waiting:
        sent, begun = waiting.popleft(), time.perf_counter()
        writer.write(sent)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        answer = await reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{head.splitlines()[0]!r} {answer[:300]!r}")
        took.append(time.perf_counter() - begun)
    writer.close()
    await writer.wait_closed()


async def _send(order: Order, waiting: "deque[bytes]") -> dict[str, Any]:
    took: list[float] = []
    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(order.connections):
            group.create_task(_connection(order.port, waiting, took))
    return {"seconds": time.perf_counter() - begun, "took": took}


def line(order: Order) -> bytes:
    """Give the line that orders it."""
    return json.dumps(asdict(order)).encode() + b"\n"


def main() -> None:
    """Do order by order until there is none."""
    said = texts()
    for ordered in sys.stdin:
        order = Order(**json.loads(ordered))
        found = asyncio.run(_send(order, requests_of(order, said)))
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
