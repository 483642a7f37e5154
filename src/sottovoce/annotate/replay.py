"""Replay as annotator: answers that are in a file already.

Owns finding the recorded answer to a request, in a store or in an `annotations.jsonl`. Opens no
connection and costs nothing.
"""

import json
from pathlib import Path

from sottovoce.annotate.annotator import CallError, Reply, Request
from sottovoce.annotate.store import is_store, read_store
from sottovoce.annotations import Annotation, read_annotations
from sottovoce.conversations import open_data
from sottovoce.errors import DataError


class StoreReplay:
    """The answers of a store, found by what was asked.

    Parameters
    ----------
    path
        The store.

    Attributes
    ----------
    name
        Of the annotator that was asked: part of the keys.
    salt
        Of the store, so that de-identification finds the same words again.

    Raises
    ------
    DataError
        If it is no store, or holds answers of none or several annotators.
    """

    def __init__(self, path: str | Path) -> None:
        self._contents = read_store(path)
        names = sorted(self._contents.annotators)
        if len(names) != 1:
            raise DataError(
                f"it holds answers of {len(names)} annotators",
                path=path,
                fix="give a store of one, or the annotations.jsonl that was made from it",
            )
        self.name, self.salt = names[0], self._contents.salt

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def ask(self, request: Request) -> Reply:
        """Give the recorded reply, or fail as the recorded call did."""
        ended = self._contents.ended.get(request.key)
        if ended is None:
            raise CallError("not recorded", billed=False)
        if ended.reply is None:
            assert ended.kind is not None
            raise CallError(ended.kind, billed=False)
        return ended.reply


class AnnotationReplay:
    """The annotations of a file, found by the person; their quotes are checked anew.

    Parameters
    ----------
    path
        `annotations.jsonl`.
    instrument
        Of lines that name none.

    Raises
    ------
    DataError
        If a line is no annotation, or a person has two.
    """

    salt: bytes | None = None

    def __init__(self, path: str | Path, instrument: str) -> None:
        self._annotations: dict[str, Annotation] = {}
        for each in read_annotations(path, instrument):
            if each.user_id in self._annotations:
                raise DataError("a person is in it twice", path=path, fix="keep one line each")
            self._annotations[each.user_id] = each
        self.name = ", ".join(sorted({each.annotator for each in self._annotations.values()}))

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def ask(self, request: Request) -> Reply:
        """Give the person's annotation in the form of an answer; there is one of each."""
        found = self._annotations.get(request.user_id)
        if found is None or request.sample > 1:
            raise CallError("not recorded", billed=False)
        return Reply(answer_of(found), 0, 0, "end")


def answer_of(annotation: Annotation) -> str:
    """Give an annotation in the form of an answer."""
    answer = {
        "evidence": [
            {"item": each.item, "level": each.level, "quote": each.text, "trap": each.trap}
            for each in annotation.quotes
        ],
        "items": {str(number): each for number, each in enumerate(annotation.items, start=1)},
        "total": annotation.total,
        "sd": annotation.sd,
    }
    return json.dumps(answer, ensure_ascii=False)


def open_replay(path: str | Path, instrument: str) -> StoreReplay | AnnotationReplay:
    """Open either kind of file by how it begins."""
    open_data(path).close()  # one sentence where it cannot be read
    return StoreReplay(path) if is_store(path) else AnnotationReplay(path, instrument)
