"""Who was erased, noted outside the database: a backup made before still holds them.

Owns the file, which holds random numbers of rows and times, and nothing that leads to anybody.
Does not know how a person is erased (`erasure`) nor how a backup is restored (`backup`).
"""

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy import delete

from sottovoce.conversations import format_time
from sottovoce.errors import ServiceError
from sottovoce.service.database import Database
from sottovoce.service.settings import ServiceSettings
from sottovoce.service.tables import people

FILE_NAME = "erased.txt"


def tombstones(settings: ServiceSettings) -> Path:
    """Give the file in which erasures are noted."""
    return settings.erased_file or settings.data_dir / FILE_NAME


def bury(path: Path, person: UUID, at: datetime) -> None:
    """Note an erasure, on disk before this returns.

    Raises
    ------
    ServiceError
        If it cannot be written down: then nobody should be told that it is done.
    """
    line = f"{person} {format_time(at)}\n".encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        place = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(place, line)  # one write of few bytes: lines of several processes never mix
            os.fsync(place)
        finally:
            os.close(place)
    except OSError as error:
        raise ServiceError(
            f"{path}: an erasure cannot be noted ({error.strerror}); see SOTTOVOCE_ERASED_FILE"
        ) from None


def buried(path: Path) -> Iterator[UUID]:
    """Give the numbers of the rows that were erased; none where there is no file.

    Raises
    ------
    ServiceError
        If a line is not one that `bury` writes.
    """
    if not path.exists():
        return
    with path.open(encoding="ascii", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield UUID(line.split()[0])
            except (ValueError, IndexError):
                raise ServiceError(
                    f"{path}, line {number}: this is no note of an erasure; restore the file"
                ) from None


def erase_again(database: Database, path: Path) -> int:
    """Erase those who were erased before, after an older copy came back; give how many it held."""
    count = 0
    for person in buried(path):
        with database.transaction() as connection:
            gone = connection.execute(delete(people).where(people.c.id == person))
            count += gone.rowcount
    return count
