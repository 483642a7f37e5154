"""The processes that benchmarks of the service run: APIs, a worker, a server; and a bare API.

Owns starting them as an operator does, with settings in the environment, and waiting until they
answer. The bare API is what somebody writes in an afternoon: FastAPI, one insert, one commit; it
takes the same requests and has none of the service's guarantees. Does not know what is measured.
"""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy.engine import make_url

from sottovoce.client import Client
from sottovoce.service.accounts import add_account, add_key
from sottovoce.service.database import Database
from sottovoce.service.settings import PREFIX

HOST = "127.0.0.1"
PATIENCE = 120.0
"""Seconds that a process may take until it answers."""


def command(name: str, *arguments: str) -> list[str]:
    """Give the command line of one of the service's commands, in this Python."""
    begun = f"from sottovoce.cli.{name} import {name}; {name}()"
    return [sys.executable, "-c", begun, *arguments]


@dataclass
class Program:
    """A process with its settings, started and killed by whoever holds it.

    Parameters
    ----------
    command
        What is run.
    settings
        Variables beside those of this process.
    log
        File that its output is added to.
    port
        Where it listens; None where it does not.
    """

    command: Sequence[str]
    settings: Mapping[str, str]
    log: Path
    port: int | None = None
    process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    @property
    def pid(self) -> int:
        """The process id of what runs."""
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        """Start it."""
        with self.log.open("ab") as stream:
            self.process = subprocess.Popen(
                self.command, env=os.environ | dict(self.settings), stdout=stream, stderr=stream
            )

    def ended(self) -> bool:
        """Whether it does not run."""
        return self.process is None or self.process.poll() is not None

    def kill(self) -> None:
        """End it as a power cut does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """End it in order."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    def until_it_answers(self) -> None:
        """Wait until it answers, or say that it does not and stop."""
        limit = time.monotonic() + PATIENCE
        while not self.answers():
            if self.ended() or time.monotonic() > limit:
                sys.exit(f"Error: a process does not answer; see {self.log}")
            time.sleep(0.05)

    def answers(self) -> bool:
        """Whether it answers that it is ready."""
        assert self.port is not None
        asking = http.client.HTTPConnection(HOST, self.port, timeout=5)
        try:
            asking.request("GET", "/ready")
            return asking.getresponse().status == 200
        except OSError:
            return False
        finally:
            asking.close()


def free_port() -> int:
    """Give a port that nobody uses."""
    with socket.socket() as asking:
        asking.bind((HOST, 0))
        return int(asking.getsockname()[1])


def new_database(server: str, name: str) -> str:
    """Make an empty database on a server; give its address."""
    url = make_url(server)
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return url.set(database=name).render_as_string(hide_password=False)


def service_settings(url: str, folder: Path, **more: str) -> dict[str, str]:
    """Give the variables under which every process of one service runs."""
    said = {"database_url": url, "data_dir": str(folder), "requests_per_minute": "100000000"} | more
    return {PREFIX + name.upper(): value for name, value in said.items()}


def api(settings: Mapping[str, str], log: Path, port: int) -> Program:
    """Give the service's API, as `sottovoce serve` without a worker runs it."""
    return Program(command("serve", "--no-worker", "--port", str(port)), settings, log, port)


def worker(settings: Mapping[str, str], log: Path) -> Program:
    """Give a worker, as `sottovoce worker` runs it."""
    return Program(command("worker"), settings, log)


def bare_api(url: str, log: Path, port: int) -> Program:
    """Give the bare API on a database of its own."""
    return Program([sys.executable, "-m", "benchmarks.serving", url, str(port)], {}, log, port)


def new_app_key(database: Database) -> str:
    """Make an account of the role `app`; give its key."""
    at = datetime.now(UTC)
    with database.transaction() as connection:
        account = add_account(connection, "benchmark", "app", at)
        return add_key(connection, account.id, at)[1]


def welcome(port: int, key: str, people: Sequence[str]) -> None:
    """Register people who agree to be monitored."""
    with Client(f"http://{HOST}:{port}", key) as client:
        for person in people:
            client.register(person)
            client.consent(
                person, "monitoring", granted=True, text_version="v1", source="benchmark"
            )


def _bare(url: str) -> Any:
    from fastapi import FastAPI
    from sqlalchemy import Column, DateTime, MetaData, Table, Text, insert

    from sottovoce.service.api.answers import StoredOut
    from sottovoce.service.api.requests import MessagesIn, PersonId

    database = Database(url)  # the same engine and options as the service's
    texts = ("conversation_id", "role", "content")
    table = Table(
        "messages",
        MetaData(),
        Column("person_id", Text, primary_key=True),
        Column("id", Text, primary_key=True),
        *(Column(name, Text, nullable=False) for name in texts),
        Column("sent_at", DateTime(timezone=True), nullable=False),
    )
    table.create(database.engine, checkfirst=True)
    app = FastAPI()

    @app.get("/ready")
    def ready() -> dict[str, str]:
        return {"status": "ready"}

    @app.post("/v1/people/{person_id}/messages")
    def add_messages(person_id: PersonId, body: MessagesIn) -> StoredOut:
        rows = [
            {
                "person_id": person_id,
                "id": each.id,
                "conversation_id": each.conversation_id,
                "role": each.role,
                "content": each.content,
                "sent_at": each.sent_at,
            }
            for each in body.messages
        ]
        with database.engine.begin() as connection:
            connection.execute(insert(table), rows)
        return StoredOut(new=len(rows), known=0, ahead=0)

    return app


def _serve_bare(url: str, port: int) -> None:
    """Run the bare API by the server options of `sottovoce serve`."""
    import uvicorn

    chosen = {"log_config": None, "access_log": False, "server_header": False}
    uvicorn.run(_bare(url), host=HOST, port=port, **chosen)  # type: ignore[arg-type]


if __name__ == "__main__":
    _serve_bare(sys.argv[1], int(sys.argv[2]))
