"""What `sottovoce serve` looks after on one machine: its worker, and the embedded PostgreSQL.

Owns noticing that one of them ended and starting it again. On a cluster whatever runs containers
does this instead. Does not know what they do.
"""

import subprocess
import threading
import time
from collections.abc import Sequence

import structlog

from sottovoce.errors import ServiceError
from sottovoce.service.embedded import Embedded
from sottovoce.service.logs import failure

LOOK = 0.5
"""Seconds between two looks; ours."""

LONGEST_PAUSE = 30.0
"""Seconds before something that ends again and again is started again, at the most; ours."""

HEALTHY = 60.0
"""Seconds after which a start counts as one that went well; ours."""

GRACE = 30.0
"""Seconds that a worker has to finish what it scores. Kubernetes gives as many by default."""


class Supervisor:
    """Keeps a worker process and an embedded server running, in a thread, until it is closed.

    Parameters
    ----------
    command
        Of the worker; empty for none.
    embedded
        The server; None where another runs it.
    """

    def __init__(self, command: Sequence[str], embedded: Embedded | None) -> None:
        self._command, self._embedded = list(command), embedded
        self._worker: subprocess.Popen[bytes] | None = None
        self._begun, self._pause = 0.0, LOOK
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_after, name="supervisor", daemon=True)

    def start(self) -> None:
        """Start the worker, and looking after it."""
        if self._command:
            self._spawn()
        self._thread.start()

    def close(self) -> None:
        """Let the worker finish what it is at, and end it."""
        self._over.set()
        self._thread.join()
        if self._worker is not None and self._worker.poll() is None:
            self._worker.terminate()
            try:
                self._worker.wait(GRACE)
            except subprocess.TimeoutExpired:
                self._worker.kill()
                self._worker.wait()

    def _look_after(self) -> None:
        while not self._over.wait(LOOK):
            try:
                self._look()
            except ServiceError as error:
                structlog.get_logger().error("supervisor-failed", **failure(error))

    def _look(self) -> None:
        if self._embedded is not None and not self._embedded.running():
            structlog.get_logger().error("database-ended")
            self._embedded.restart()
        if self._worker is None or self._worker.poll() is None:
            return
        lived = time.monotonic() - self._begun
        self._pause = LOOK if lived > HEALTHY else min(self._pause * 2, LONGEST_PAUSE)
        structlog.get_logger().error("worker-ended", status=self._worker.returncode)
        if not self._over.wait(self._pause):
            self._spawn()

    def _spawn(self) -> None:
        self._begun = time.monotonic()
        # its end of the pipe closes with this process, however that ends
        self._worker = subprocess.Popen(self._command, stdin=subprocess.PIPE)  # noqa: S603 - ours
