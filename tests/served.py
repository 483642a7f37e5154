"""`sottovoce serve` as a process of its own, and commands beside it."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import click
import httpx2

from sottovoce.cli import cli

PATIENCE = 120
"""Seconds after which what a busy machine has not done counts as never done."""


@dataclass
class Served:
    """A running service.

    Parameters
    ----------
    process, folder, url
        Of it.
    said
        What it has printed so far, line by line.
    """

    process: subprocess.Popen[str]
    folder: Path
    url: str = ""
    said: list[str] = field(default_factory=list)
    _lines: "Queue[str]" = field(default_factory=Queue)

    def read(self) -> None:
        """Take what it prints, until it prints no more."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            self._lines.put(line)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait for a line; what came before it is passed over."""
        while True:
            try:
                line = self._lines.get(timeout=PATIENCE)
            except Empty:
                raise AssertionError(f"never said {pattern}: {''.join(self.said)}") from None
            if found := re.search(pattern, line):
                return found

    def ask(self, method: str, path: str, key: str | None = None, **given: Any) -> httpx2.Response:
        """Send a request."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return httpx2.request(method, self.url + path, headers=headers, timeout=PATIENCE, **given)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command beside it, as a process of its own."""
        return subprocess.run(
            command(*arguments, "--data-dir", str(self.folder)),
            capture_output=True, text=True, check=False, timeout=PATIENCE, env=_environment(),
        )  # fmt: skip

    def key(self, role: str = "app") -> str:
        """Make a key by `sottovoce keys create`."""
        done = self.command("keys", "create", "--role", role, "--name", f"the {role}", "--json")
        assert done.returncode == 0, done.stderr
        secret = json.loads(done.stdout)["secret"]
        assert isinstance(secret, str)
        return secret

    def end(self) -> int:
        """Ask it to end, wait, and give its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


def understood(name: str, *rest: str) -> bool:
    """Whether the command line knows a command and its options; nothing is run."""
    # as the group makes it: click keeps a command's help option as its first context asks for it
    context = click.Context(cli, **cli.context_settings)
    found, words = cli.get_command(context, name), list(rest)
    while isinstance(found, click.Group):
        found, words = found.commands[words[0]], words[1:]
    return found.make_context(name, words, context).command is found


def command(*arguments: str) -> list[str]:
    """Give what runs a command."""
    return [sys.executable, "-m", "sottovoce.cli", *arguments]


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SOTTOVOCE_")}
    return kept | {"OMP_NUM_THREADS": "1"}


@contextmanager
def serve(folder: Path, *options: str) -> Iterator[Served]:
    """Run the service on a free port of this machine; it is ended in the end, whatever happens."""
    started = command("serve", "--port", "0", "--data-dir", str(folder), *options)
    process = subprocess.Popen(started, stderr=subprocess.PIPE, text=True, env=_environment())
    running = Served(process, folder)
    reader = threading.Thread(target=running.read)
    reader.start()
    try:
        running.url = running.wait_for(r"Listening on (http://[^ ]+:\d+)")[1]
        yield running
    finally:
        if process.poll() is None:
            running.end()
        reader.join()
        assert process.stderr is not None
        process.stderr.close()
