"""The whole border behind a real uvicorn: what is printed, sent and refused over a socket."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

CANARY = "canary7f3e"
PROGRAM = """
import socket, sys, warnings
import uvicorn
from fastapi import FastAPI, Request
from starlette.responses import StreamingResponse
from sottovoce.service import logs
from sottovoce.service.api import middleware, problems

app = FastAPI(openapi_url=None)

@app.post("/v1/people/{person_id}/messages")
async def take(person_id: str, body: dict[str, int]) -> int:
    return len(body)

@app.get("/v1/people/{person_id}/fail")
def fail(person_id: str) -> None:
    warnings.warn(person_id)
    raise RuntimeError(person_id)

@app.get("/v1/people/{person_id}/break")
def broken(person_id: str) -> StreamingResponse:
    def parts():
        yield b"a"
        raise RuntimeError(person_id)
    return StreamingResponse(parts())

problems.install(app)
middleware.install(app, 1000)
logs.configure()
uvicorn.run(app, fd=int(sys.argv[1]), log_config=None, server_header=False)
"""


class Served:
    def __init__(self, port: int) -> None:
        self.port = port
        self.client = httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)


@pytest.fixture
def served(tmp_path):
    program, printed = tmp_path / "program.py", tmp_path / "printed"
    program.write_text(PROGRAM)
    with socket.socket() as listening, printed.open("w") as into:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        process = subprocess.Popen(
            [sys.executable, str(program), str(listening.fileno())],
            stdout=into,
            stderr=into,
            pass_fds=[listening.fileno()],
        )
        made = Served(listening.getsockname()[1])
        try:
            yield made, lambda: ended(process, printed)
        finally:
            made.client.close()
            process.kill()
            process.wait()


def ended(process: subprocess.Popen, printed: Path) -> list[dict]:
    process.terminate()
    process.wait(30)
    text = printed.read_text()
    assert CANARY not in text
    return [json.loads(line) for line in text.splitlines()]


def raw(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request)
        connection.settimeout(30)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer


def test_nothing_of_any_request_is_printed_or_sent_back(served):
    made, finish = served
    client, here = made.client, f"/v1/people/{CANARY}"
    answers = [
        client.post(f"{here}/messages", json={CANARY: CANARY}),
        client.post(f"{here}/messages", content=f'{{"{CANARY}'.encode()),
        client.post(f"{here}/messages", content=iter([CANARY.encode()] * 200)),
        client.post(f"{here}/messages", json={"a": 1}, headers={"x-request-id": CANARY}),
        client.get(f"{here}/fail", headers={"authorization": f"Bearer {CANARY}"}),
        client.get(f"/{CANARY}?{CANARY}={CANARY}"),
        client.request(CANARY.upper(), here),
    ]
    assert [each.status_code for each in answers] == [422, 422, 413, 200, 500, 404, 404]
    for each in answers:
        assert CANARY not in (each.text + str(each.headers)).lower()
        assert "server" not in each.headers
    with pytest.raises(httpx2.RemoteProtocolError):
        client.get(f"{here}/break")
    bad = raw(made.port, f"GET / {CANARY}\r\n{CANARY}\r\n\r\n".encode())
    assert bad.startswith(b"HTTP/1.1 400")
    assert CANARY.encode() not in bad
    said = finish()
    requests = [line for line in said if line["event"] == "request"]
    assert len(requests) == len(answers) + 1
    assert {line["event"] for line in said} >= {"request", "request-failed", "warning", "library"}


def test_a_body_that_never_ends_is_refused_while_it_is_sent(served):
    made, finish = served
    with socket.create_connection(("127.0.0.1", made.port)) as connection:
        connection.settimeout(30)
        connection.sendall(
            b"POST /v1/people/1/messages HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        connection.sendall((b"1f4\r\n" + b"x" * 500 + b"\r\n") * 3)  # and no last chunk
        assert connection.recv(100).startswith(b"HTTP/1.1 413")
    assert [line["status"] for line in finish() if line["event"] == "request"] == [413]
