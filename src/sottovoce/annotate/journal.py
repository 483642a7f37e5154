"""An append-only file of JSON lines that survives being killed at any moment.

Owns the lock, the healing of a torn last line, and that a line is on the disk before the next
thing happens. Does not know what the lines say.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sottovoce.conversations import decode_json, line_text, open_data
from sottovoce.errors import DataError, require


class Journal:
    """One run's hold on a file; every other run is refused until it is closed.

    Parameters
    ----------
    path
        The file; made, readable by its owner alone, if it is not there.
    opening
        How every such file begins, so that no other one is ever appended to or cut.

    Attributes
    ----------
    healed
        Lines that a kill had torn and that were cut off: 0 or 1.

    Raises
    ------
    DataError
        If another run holds it, it cannot be opened, or it is something else.
    """

    def __init__(self, path: str | Path, opening: str) -> None:
        filelock = require("filelock", what="Keeping a store", extra="annotate")
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = filelock.FileLock(f"{self.path}.lock", timeout=0)
            self._lock.acquire()
        except filelock.Timeout:
            raise DataError(
                "another run is using this store", path=path, fix="wait for it, or name another"
            ) from None
        except OSError as error:
            raise _unusable(self.path, error) from None
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
            self._file = os.open(self.path, flags, 0o600)
        except OSError as error:
            self._lock.release()
            raise _unusable(self.path, error) from None
        try:
            self.healed = self._heal(opening.encode())
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)
        self._lock.release()

    def append(self, record: dict[str, Any]) -> None:
        """Write one line and wait until the disk has it; one thread at a time.

        Raises
        ------
        DataError
            If it cannot be written.
        """
        line = json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"
        try:
            self._write(line.encode("utf-8", errors="replace"))
            os.fsync(self._file)
        except OSError as error:
            raise _unusable(self.path, error) from None

    def _write(self, rest: bytes) -> None:
        while rest:
            rest = rest[os.write(self._file, rest) :]

    def _heal(self, opening: bytes) -> int:
        """End a last line that lacks only its end, and cut off one that lacks more."""
        text = self.path.read_bytes()
        if not (text.startswith(opening) or opening.startswith(text)):
            raise DataError("this is no store", path=self.path, fix="name another file")
        if not text or text.endswith(b"\n"):
            return 0
        whole = text.rfind(b"\n") + 1
        torn = not _is_json(text[whole:])
        if torn:
            os.ftruncate(self._file, whole)
        else:
            self._write(b"\n")
        os.fsync(self._file)
        return int(torn)


def lines(path: str | Path) -> Iterator[tuple[int, object]]:
    """Give number and value of each whole line; a file that is not there has none."""
    path = Path(path)
    if not path.exists():
        return
    with open_data(path) as stream:
        for number, raw in enumerate(stream, start=1):
            if raw.endswith(b"\n") or _is_json(raw):
                yield number, decode_json(line_text(raw, path, number), path, number)


def _is_json(raw: bytes) -> bool:
    try:
        json.loads(raw)
    except ValueError:
        return False
    return True


def _unusable(path: Path, error: OSError) -> DataError:
    reason = error.strerror or type(error).__name__
    return DataError(
        f"the store cannot be used ({reason})", path=path, fix="check its folder, or name another"
    )
