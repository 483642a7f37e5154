"""`sottovoce serve` as a real process: starting, surviving a killed database, ending."""

import asyncio
import os
import signal
import socket
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests import served

from sottovoce.cli.serve import _bound
from sottovoce.service.embedded import Embedded
from sottovoce.service.settings import ServiceSettings

BATCH = {
    "messages": [
        {"id": f"m{n}", "conversation_id": "c", "role": "user", "content": "I sleep badly " * 5,
         "sent_at": f"2026-03-02T09:00:{n:02d}Z"}
        for n in range(12)
    ]
}  # fmt: skip


def agreed(running, key: str, person: str) -> None:
    """Register a person who agrees to be monitored."""
    assert running.ask("PUT", f"/v1/people/{person}", key).status_code == 201
    line = {"purpose": "monitoring", "granted": True, "at": datetime.now(UTC).isoformat()}
    body = {"consent": [line | {"text_version": "v1", "source": "app"}]}
    assert running.ask("POST", f"/v1/people/{person}/consent", key, json=body).status_code == 201


def postgres(running) -> int:
    """Give the process of the embedded server."""
    lock = running.folder / "postgresql" / "cluster" / "postmaster.pid"
    return int(lock.read_text("utf-8").splitlines()[0])


def alive(process: int) -> bool:
    """Whether a process runs; one that waits for its parent to look at it does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_it_answers_probes_and_asks_everything_else_for_a_key(serving):
    assert serving.url.startswith("http://127.0.0.1:")
    assert serving.ask("GET", "/health").json() == {"status": "ok"}
    assert serving.ask("GET", "/ready").json()["status"] == "ready"
    assert serving.ask("GET", "/v1/people").status_code == 401
    assert serving.ask("GET", "/v1/people", "sv_" + "x" * 43).status_code == 401
    key = serving.key()
    agreed(serving, key, "ada")
    sent = serving.ask("POST", "/v1/people/ada/messages", key, json=BATCH)
    assert sent.json() == {"new": 12, "known": 0, "ahead": 0}
    assert "server" not in sent.headers


def test_what_it_prints_is_sentences_and_lines_of_json_without_the_words(serving):
    said = "".join(serving.said)
    assert "An estimate is not a diagnosis." in said
    assert "SOTTOVOCE_PRODUCTION=1" in said
    assert "Next: sottovoce keys create" in said
    assert "I sleep badly" not in said
    assert "Traceback" not in said


def test_a_second_one_at_the_same_port_says_so_and_ends(serving, tmp_path):
    port = serving.url.rpartition(":")[2]
    arguments = ("serve", "--no-worker", "--port", port, "--data-dir", str(tmp_path / "other"))
    done = subprocess.run(
        served.command(*arguments), capture_output=True, text=True, check=False,
        timeout=served.PATIENCE,
    )  # fmt: skip
    assert done.returncode == 1
    (sentence,) = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert f"port {port}" in sentence
    assert "--port" in sentence


def test_a_killed_database_is_brought_back_and_the_end_leaves_nothing_behind(tmp_path):
    with served.serve(tmp_path / "data", "--no-worker") as running:
        key = running.key()
        agreed(running, key, "ada")
        assert running.ask("POST", "/v1/people/ada/messages", key, json=BATCH).status_code == 200
        killed = postgres(running)
        os.kill(killed, signal.SIGKILL)
        until = time.monotonic() + served.PATIENCE
        while (answer := running.ask("GET", "/v1/people/ada", key)).status_code != 200:
            assert answer.status_code == 503, answer.text
            assert answer.headers["retry-after"]
            assert time.monotonic() < until
            time.sleep(0.2)
        again = running.ask("POST", "/v1/people/ada/messages", key, json=BATCH)
        assert again.json() == {"new": 0, "known": 12, "ahead": 0}
        second = postgres(running)
        assert second != killed
        assert running.end() == 0
        assert not alive(second)
        assert "Traceback" not in "".join(running.said)
    with Embedded(tmp_path / "data" / "postgresql") as server:  # the folder is whole
        assert server.running()


def test_a_worker_scores_who_said_something(tmp_path, tiny_run):
    with served.serve(tmp_path / "data", "--model", str(tiny_run)) as running:
        key = running.key()
        agreed(running, key, "ada")
        running.ask("POST", "/v1/people/ada/messages", key, json=BATCH)
        until = time.monotonic() + served.PATIENCE
        while running.ask("GET", "/v1/people/ada", key).json()["pending"]:
            assert time.monotonic() < until
            time.sleep(0.2)
        (estimate,) = running.ask("GET", "/v1/people/ada/trajectory", key).json()["estimates"]
        assert estimate["n_messages"] == 12
        assert running.end() == 0
        assert "Traceback" not in "".join(running.said)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("PORT", "99999", "port"), ("HOST", "0.0.0.0", "SOTTOVOCE_ALLOWED_HOSTS"),
     ("PRODUCTION", "1", "SOTTOVOCE_MASTER_KEY_FILE"), ("BODY_LIMIT", "much", "whole number")],
)  # fmt: skip
def test_settings_that_cannot_be_meant_are_one_sentence(operate, monkeypatch, name, value, said):
    monkeypatch.setenv(f"SOTTOVOCE_{name}", value)
    done = operate("serve", "--no-worker")
    assert done.exit_code == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_answer_in_two_pieces_does_not_wait_for_the_clients_acknowledgement():
    async def undelayed() -> int:
        accepted = asyncio.get_running_loop().create_future()
        with _bound(ServiceSettings(port=0)) as listener:
            port = listener.getsockname()[1]
            server = await asyncio.start_server(lambda _, w: accepted.set_result(w), sock=listener)
            async with server:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                served = (await accepted).get_extra_info("socket")
                found = served.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                writer.close()
                await writer.wait_closed()
                (await accepted).close()
                return found

    assert asyncio.run(undelayed()) != 0
