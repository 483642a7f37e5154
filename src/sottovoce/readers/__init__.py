"""Readers: other people's files in, conversations or questionnaire responses out.

Owns the list of formats, what each reads and which options it takes, and the rule that no two
records of a file carry the same ids. A format's module is imported when it is first used. Does
not know where the records go.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from typing import Literal, cast

from sottovoce.conversations import Conversation, QuestionnaireResponse, format_time
from sottovoce.errors import DataError
from sottovoce.instruments import INSTRUMENTS
from sottovoce.readers.options import ReadOptions, Tally, zone_named

__all__ = ["FORMATS", "Format", "ReadOptions", "Record", "Tally", "read", "zone_named"]

Record = Conversation | QuestionnaireResponse
Reader = Callable[[str | Path, ReadOptions, Tally], Iterator[Record]]

_CHAT_NAMES = ("user_id", "conversation_id", "started_at", "timestamp")
_MOST_ITEMS = max(len(each.items) for each in INSTRUMENTS.values())
_ITEM_NAMES = tuple(f"item{number}" for number in range(1, _MOST_ITEMS + 1))


@dataclass(frozen=True, slots=True)
class Format:
    """A format that can be read.

    Parameters
    ----------
    name
        By which it is asked for.
    kind
        What comes out: ``chats`` or ``labels``.
    summary
        One line that says what goes in.
    reader
        Where its function is: "module.function" in this package.
    columns
        Our names that may be mapped to the source's.
    takes
        Which of the other options it uses: roles, start, timezone, instrument.
    """

    name: str
    kind: Literal["chats", "labels"]
    summary: str
    reader: str
    columns: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()

    @property
    def function(self) -> Reader:
        """The reader; its module is imported now."""
        module, function = self.reader.split(".")
        return cast("Reader", getattr(import_module(f"{__name__}.{module}"), function))


_ALL = (
    Format(
        "openai-chat",
        "chats",
        'JSONL of {"messages": [{"role", "content"}, ..]}',
        "openai_chat.read_openai_chat",
        _CHAT_NAMES,
        ("role", "start", "timezone"),
    ),
    Format(
        "sharegpt",
        "chats",
        'JSON array or JSONL of {"conversations": [{"from", "value"}, ..]}',
        "sharegpt.read_sharegpt",
        _CHAT_NAMES,
        ("role", "start", "timezone"),
    ),
    Format(
        "csv",
        "chats",
        "CSV with one row a message",
        "table.read_csv",
        (*_CHAT_NAMES, "role", "content", "order"),
        ("role", "start", "timezone"),
    ),
    Format(
        "parquet",
        "chats",
        "Parquet with one row a message",
        "table.read_parquet",
        (*_CHAT_NAMES, "role", "content", "order"),
        ("role", "start", "timezone"),
    ),
    Format(
        "daic-woz",
        "chats",
        "a DAIC-WOZ transcript, or a folder of them",
        "daic_woz.read_daic_woz",
        (),
        ("role", "start"),
    ),
    Format(
        "daic-woz-labels",
        "labels",
        "PHQ-8 from a DAIC-WOZ split file",
        "daic_woz.read_daic_woz_labels",
        (),
        ("start",),
    ),
    Format(
        "redcap",
        "labels",
        "REDCap export, or any CSV with one questionnaire a row",
        "redcap.read_redcap",
        ("user_id", "completed_at", "items", "total", *_ITEM_NAMES),
        ("timezone", "instrument"),
    ),
    Format(
        "fhir",
        "labels",
        "FHIR R4 QuestionnaireResponse: JSON, Bundle or NDJSON",
        "fhir.read_fhir",
        ("total", *_ITEM_NAMES),
        ("timezone", "instrument"),
    ),
    Format("chats", "chats", "canonical chats.jsonl, checked", "canonical.read_canonical_chats"),
    Format(
        "labels", "labels", "canonical labels.jsonl, checked", "canonical.read_canonical_labels"
    ),
)

FORMATS: dict[str, Format] = {each.name: each for each in _ALL}
"""Every format by its name."""


def read(
    path: str | Path, name: str, options: ReadOptions | None = None, tally: Tally | None = None
) -> Iterator[Record]:
    """Read a file of a named format record by record.

    Parameters
    ----------
    path, name
        The file (for some formats a folder), and one of `FORMATS`.
    options
        The choices that the file cannot make.
    tally
        Counts what was left out or assumed.

    Raises
    ------
    DataError
        If a record cannot be read, two carry the same ids, or nothing is left of the file.
    """
    if name not in FORMATS:
        raise DataError("the format is not known", fix=f"use one of {', '.join(FORMATS)}")
    used, tally = FORMATS[name], tally or Tally()
    seen: dict[bytes, int] = {}
    for number, record in enumerate(used.function(path, options or ReadOptions(), tally), start=1):
        before = seen.setdefault(_key(record), number)
        if before != number:
            raise DataError(
                f"record {number} has the same {_KEY_WORDS[used.kind]} as record {before}",
                path=path,
                fix="keep one of them, or give them ids of their own",
            )
        yield record
    if not seen:
        counted = ", ".join(f"{count} {what}" for what, count in tally.left_out.items())
        raise DataError(
            f"nothing is left to write ({counted or 'there is no record'})",
            path=path,
            fix="check the format and the mapping",
        )


_KEY_WORDS = {
    "chats": "user_id and conversation_id",
    "labels": "user_id, instrument and completed_at",
}


def _key(record: Record) -> bytes:
    """Give 16 bytes that stand for a record's ids: a set of these is small and holds no id."""
    parts: tuple[str, ...]
    if isinstance(record, Conversation):
        parts = (record.user_id, record.conversation_id)
    else:
        parts = (record.user_id, record.instrument, format_time(record.completed_at))
    return blake2b(json.dumps(parts).encode(), digest_size=16).digest()
