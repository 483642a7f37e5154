"""JSON values from a file, one at a time: lines, one array, or one document over many lines.

Owns the cutting, so that an array of any size is read without holding it. Does not know what the
values mean.
"""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from sottovoce.conversations import MAX_LINE_BYTES, open_data
from sottovoce.errors import DataError, describe

CHUNK_BYTES = 2**16
"""Read at a time; a longer value doubles it until the value is whole."""

CUT_MARGIN = 16
"""Characters before the end of what was read within which a mistake may be a cut: longer than
any JSON literal or escape."""


def read_documents(path: str | Path) -> Iterator[tuple[int, object]]:
    """Decode the values of a JSONL file, the elements of a JSON array, or one JSON document.

    Yields
    ------
    line, value
        The 1-based line on which the value begins, and the value.

    Raises
    ------
    DataError
        If the file is missing, empty, binary, or not JSON, or one value is longer than
        `MAX_LINE_BYTES`.
    """
    with open_data(path) as stream:
        source = _Source(stream, path)
        first = source.peek()
        if first == "":
            raise DataError("the file is empty", path=path, fix="write JSON into it")
        if first == "[":
            yield from _elements(source)
        while source.peek():
            yield source.line, source.value()


def read_objects(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Decode as `read_documents`, refusing every value that is not an object."""
    for line, value in read_documents(path):
        if not isinstance(value, dict):
            raise DataError(
                f"this is {describe(value)}", path=path, line=line, fix="write a JSON object"
            )
        yield line, value


def _elements(source: "_Source") -> Iterator[tuple[int, object]]:
    source.take()
    if source.peek() == "]":
        source.refuse("the list is empty")
    while True:
        source.peek()
        yield source.line, source.value()
        mark = source.peek()
        if mark not in (",", "]"):
            source.refuse("the JSON ends too early" if mark == "" else "not JSON")
        source.take()
        if mark == "]":
            break
    if source.peek():
        source.refuse("something follows the end of the list")


class _Source:
    """A text that is read on as it is needed, and the line that reading has come to."""

    def __init__(self, stream: BinaryIO, path: str | Path) -> None:
        self.stream, self.path = stream, path
        self.text, self.position, self.line, self.ended = "", 0, 1, False
        self.bytes = codecs.getincrementaldecoder("utf-8-sig")()
        self.json = json.JSONDecoder(parse_constant=self._refuse_constant)

    def peek(self) -> str:
        """Pass over white space and give the next character, or "" at the end."""
        while True:
            rest = self.text[self.position : self.position + 1]
            if rest and not rest.isspace():
                return rest
            if rest:
                self.take()
            elif not self._read_on():
                return ""

    def take(self, upto: int | None = None) -> None:
        """Move on to a position, by default the next character."""
        upto = self.position + 1 if upto is None else upto
        self.line += self.text.count("\n", self.position, upto)
        self.position = upto

    def value(self) -> object:
        """Decode the value at the present position."""
        while True:
            try:
                value, end = self.json.raw_decode(self.text, self.position)
            except json.JSONDecodeError as error:
                if self.ended or not self._may_be_cut(error):
                    near_end = error.pos >= len(self.text.rstrip())
                    cut = near_end or error.msg.startswith("Unterminated")
                    self.refuse("the JSON ends too early" if self.ended and cut else "not JSON")
            except ValueError:
                self.refuse("a number has too many digits")
            except RecursionError:
                self.refuse("the JSON is nested too deeply")
            else:
                if self.ended or end < len(self.text) or isinstance(value, dict | list | str):
                    self.take(end)
                    return value
            self._read_on()

    def refuse(self, problem: str) -> NoReturn:
        """Raise DataError here."""
        raise DataError(
            problem, path=self.path, line=self.line, fix="write whole JSON objects"
        ) from None

    def _may_be_cut(self, error: json.JSONDecodeError) -> bool:
        return error.msg.startswith("Unterminated") or error.pos >= len(self.text) - CUT_MARGIN

    def _read_on(self) -> bool:
        rest = self.text[self.position :]
        if len(rest) > MAX_LINE_BYTES:
            self.refuse(f"one value is longer than {MAX_LINE_BYTES // 2**20} MiB")
        raw = b"" if self.ended else self.stream.read(max(CHUNK_BYTES, len(rest)))
        self.ended = not raw
        if b"\x00" in raw:
            self.refuse("the file is binary")
        try:
            self.text, self.position = rest + self.bytes.decode(raw, final=self.ended), 0
        except UnicodeDecodeError:
            self.refuse("a byte is not UTF-8")
        return not self.ended

    def _refuse_constant(self, name: str) -> NoReturn:
        self.refuse(f"{name} is not a number")
