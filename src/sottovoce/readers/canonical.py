"""The canonical files as a format: `chats.jsonl` and `labels.jsonl` come out as they went in.

Owns nothing but the signature that all readers share; reading and every rule is in
`conversations`. Of use to check a file line by line and to drop fields that are not canonical.
"""

from collections.abc import Iterator
from pathlib import Path

from sottovoce.conversations import (
    Conversation,
    QuestionnaireResponse,
    read_chats,
    read_labels,
)
from sottovoce.readers.options import ReadOptions, Tally


def read_canonical_chats(
    path: str | Path, _options: ReadOptions | None = None, _tally: Tally | None = None
) -> Iterator[Conversation]:
    """Read `chats.jsonl`; streams."""
    return read_chats(path)


def read_canonical_labels(
    path: str | Path, _options: ReadOptions | None = None, _tally: Tally | None = None
) -> Iterator[QuestionnaireResponse]:
    """Read `labels.jsonl`; streams."""
    return read_labels(path)
