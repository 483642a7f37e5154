"""Kills the parts of a service at random moments and starts them again, as a machine would.

Owns when (exponential gaps), what (kill -9, nothing gentler) and starting again after a short
pause. Does not know what the service does meanwhile.
"""

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg

from benchmarks.serving import Program
from sottovoce.service.embedded import Embedded

GAPS = {"api": 9.0, "worker": 15.0, "postgresql": 15.0, "backend": 12.0}
"""Mean seconds from a part's start to its next kill; API and worker take some to come up."""

PAUSE = 1.0
"""Seconds at the most until what was killed is started again."""

LOOK = 0.1


@dataclass
class Killer:
    """Kills until it is told to stop, and leaves everything running.

    Parameters
    ----------
    server
        The embedded PostgreSQL.
    programs
        API and worker by name.
    seed
        Of when, and which session of the server.
    """

    server: Embedded
    programs: dict[str, Program]
    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _server: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Begin."""
        kills: dict[str, Callable[[], None]] = {
            "postgresql": self._kill_server,
            "backend": self._kill_backend,
        }
        for name in self.programs:
            self._begin(name, self._kill_program(name))
        for name, kill in kills.items():
            self._begin(name, kill)

    def stop(self) -> None:
        """Kill no more; see that everything runs."""
        self._over.set()
        for each in self._threads:
            each.join()
        self._revive_server()
        for program in self.programs.values():
            if program.ended():
                program.start()

    def _begin(self, name: str, kill: Callable[[], None]) -> None:
        thread = threading.Thread(target=self._again_and_again, args=(name, kill))
        self._threads.append(thread)
        thread.start()

    def _again_and_again(self, name: str, kill: Callable[[], None]) -> None:
        drawn = random.Random(f"{self.seed}-{name}")
        due = time.monotonic() + drawn.expovariate(1 / GAPS[name])
        while not self._over.wait(LOOK):
            program = self.programs.get(name)
            if program is not None and program.ended():  # it found no database, and ended
                self.kills[f"{name}_ended"] += 1
                program.start()
            if time.monotonic() < due:
                continue
            kill()
            self._over.wait(drawn.uniform(0, PAUSE))
            if program is not None:
                program.start()
            elif name == "postgresql":
                self._revive_server()
            due = time.monotonic() + drawn.expovariate(1 / GAPS[name])

    def _kill_program(self, name: str) -> Callable[[], None]:
        def kill() -> None:
            self.programs[name].kill()
            self.kills[name] += 1

        return kill

    def _kill_server(self) -> None:
        with self._server:
            pid = self.server.pid
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
                self.kills["postgresql"] += 1

    def _revive_server(self) -> None:
        with self._server:
            self.server.restart()

    def _kill_backend(self) -> None:
        """Kill one session; PostgreSQL then ends all others and recovers by itself."""
        address = self.server.url.replace("+psycopg", "")
        with contextlib.suppress(psycopg.Error, ProcessLookupError):
            with psycopg.connect(address, connect_timeout=2) as connection:
                asked = connection.execute(
                    "SELECT pid FROM pg_stat_activity WHERE datname = 'service' "
                    "AND backend_type = 'client backend' ORDER BY state DESC, random()"
                )
                pids = [row[0] for row in asked]
            if pids:
                os.kill(pids[0], signal.SIGKILL)
                self.kills["backend"] += 1
