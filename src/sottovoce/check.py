"""What would go wrong with a chat file and its labels, all of it, before anything runs.

Owns the looking: it streams the files once and keeps a summary per person (and a few numbers per
conversation: when it was, on which line, a digest). Does not know how a finding is worded
(`findings`) nor shown. Reads the window rules from `cohort` and the guard from `leakage`, so that
it tells what they will do.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Any

from sottovoce.cohort import WindowRules
from sottovoce.conversations import (
    MAX_LINE_BYTES,
    Conversation,
    Message,
    QuestionnaireResponse,
    conversation_from,
    decode_json,
    format_time,
    line_text,
    open_data,
    response_from,
)
from sottovoce.errors import DataError
from sottovoce.findings import Collector, Findings
from sottovoce.leakage import find_leaks
from sottovoce.progress import Advance, silent

LONG_PAUSE = timedelta(days=1)
"""Between two messages of one conversation; after a day it is hardly the same one."""


@dataclass(slots=True)
class _Label:
    """A label, and what was said in the window before it."""

    line: int
    end: datetime
    has_total: bool
    user_messages: int = 0
    user_words: int = 0


@dataclass(slots=True)
class _Person:
    """What is kept of a person; spans are (first message, last message, line)."""

    labels: list[_Label] = field(default_factory=list)
    spans: list[tuple[datetime, datetime, int]] = field(default_factory=list)
    chat_line: int | None = None


def check(
    chats: str | Path,
    labels: str | Path | None = None,
    *,
    rules: WindowRules | None = None,
    now: datetime | None = None,
    advance: Advance = silent,
) -> Findings:
    """Look a chat file and its labels over.

    Parameters
    ----------
    chats, labels
        Canonical files.
    rules, now
        What a usable window is, and when the future begins; by default those of `cohort`, now.
    advance
        Told the number of conversations read so far.

    Returns
    -------
    Findings
        Counts and every finding; lines that cannot be read are findings too.

    Raises
    ------
    DataError
        If a file is missing, empty, a folder or binary, so that there is nothing to look at.
    """
    audit = _Audit(rules or WindowRules(), now or datetime.now(UTC))
    if labels is not None:
        audit.read_labels(labels)
    audit.read_chats(chats, advance)
    audit.compare(chats, labels)
    return Findings(
        audit.chat_counts(chats),
        None if labels is None else audit.label_counts(labels),
        audit.collector.findings(),
    )


class _Audit:
    """One pass over labels, then chats, then what only both together show."""

    def __init__(self, rules: WindowRules, now: datetime) -> None:
        self.rules, self.now = rules, now
        self.look_back = timedelta(days=rules.look_back_days)
        self.collector = Collector()
        self.people: dict[str, _Person] = {}
        self.counts: Counter[str] = Counter()
        self.instruments: Counter[str] = Counter()
        self.label_keys: set[bytes] = set()
        self.own_ids: set[bytes] = set()
        self.id_owners: dict[bytes, bytes] = {}
        self.chat_owners: dict[bytes, bytes] = {}
        self.silence = timedelta(0)

    def read_labels(self, path: str | Path) -> None:
        """Read the labels, each with an empty window."""
        for line, record in _records(path):
            try:
                response = response_from(_usable(record))
            except DataError as error:
                self.collector.add_unreadable(error, path, line)
            else:
                self._label(response, path, line)

    def read_chats(self, path: str | Path, advance: Advance) -> None:
        """Read the conversations, filling the windows of the labels."""
        for line, record in _records(path):
            try:
                conversation = conversation_from(_usable(record))
            except DataError as error:
                self.collector.add_unreadable(error, path, line)
            else:
                self._conversation(conversation, path, line)
                advance(self.counts["conversations"], None)

    def _label(self, response: QuestionnaireResponse, path: str | Path, line: int) -> None:
        add = self.collector.add
        when = response.completed_at
        key = _digest(response.user_id, response.instrument, format_time(when))
        if key in self.label_keys:
            add("duplicate-label", path, line)
        self.label_keys.add(key)
        if when > self.now:
            add("future-label", path, line)
        if response.total is None:
            add("label-without-total", path, line)
        self.counts["labels"] += 1
        self.instruments[response.instrument] += 1
        person = self.people.setdefault(response.user_id, _Person())
        person.labels.append(_Label(line, when, response.total is not None))

    def _conversation(self, conversation: Conversation, path: str | Path, line: int) -> None:
        messages = conversation.messages
        self.counts["conversations"] += 1
        person = self.people.setdefault(conversation.user_id, _Person())
        person.chat_line = person.chat_line or line
        self._identity(conversation, path, line)
        if not messages:
            self.collector.add("no-messages", path, line)
            return
        if all(message.role != "user" for message in messages):
            self.collector.add("no-user-messages", path, line)
        times = [message.timestamp for message in messages]
        person.spans.append((min(times), max(times), line))
        self._clock(times, path, line)
        self._contents(messages, person, path, line)

    def _identity(self, conversation: Conversation, path: str | Path, line: int) -> None:
        user = _digest(conversation.user_id)
        own_id = _digest(conversation.user_id, conversation.conversation_id)
        is_duplicate = own_id in self.own_ids
        self.own_ids.add(own_id)
        id_owner = self.id_owners.setdefault(_digest(conversation.conversation_id), user)
        if is_duplicate:
            self.collector.add("duplicate-conversation-id", path, line)
        elif id_owner != user:
            self.collector.add("shared-conversation-id", path, line)
        if not conversation.messages:
            return
        said = _digest(
            *(
                part
                for each in conversation.messages
                for part in (each.role, format_time(each.timestamp), each.content)
            )
        )
        earlier = self.chat_owners.get(said)
        self.chat_owners.setdefault(said, user)
        if earlier is not None and earlier != user:
            self.collector.add("same-chat-two-people", path, line)
        elif earlier is not None and not is_duplicate:
            self.collector.add("repeated-chat", path, line)

    def _clock(self, times: list[datetime], path: str | Path, line: int) -> None:
        steps = [after - before for before, after in pairwise(times)]
        for code, count in (
            ("out-of-order", sum(step < timedelta(0) for step in steps)),
            ("tied-times", sum(step == timedelta(0) for step in steps)),
            ("gap-in-chat", sum(step > LONG_PAUSE for step in steps)),
            ("future-message", sum(time > self.now for time in times)),
        ):
            if count:
                self.collector.add(code, path, line, count)

    def _contents(
        self, messages: tuple[Message, ...], person: _Person, path: str | Path, line: int
    ) -> None:
        leaks = find_leaks(messages)
        for kind, count in Counter(leak.kind for leak in leaks).items():
            self.collector.add(f"leak-{kind}", path, line, count)
        removed = {leak.message for leak in leaks} if self.rules.leaks == "remove" else set()
        for index, message in enumerate(messages):
            words = len(message.content.split())
            self.counts[f"{message.role}_messages"] += 1
            self.counts[f"{message.role}_words"] += words
            if not words:
                self.collector.add("empty-content", path, line)
            if message.role == "user" and index not in removed:
                self._fill(person, message.timestamp, words)

    def _fill(self, person: _Person, time: datetime, words: int) -> None:
        for label in person.labels:
            if label.end - self.look_back <= time < label.end:
                label.user_messages += 1
                label.user_words += words

    def compare(self, chats: str | Path, labels: str | Path | None) -> None:
        """Find what only the whole shows: overlaps, silences, people in one file only."""
        for person in self.people.values():
            self._spans(person, chats)
            if labels is None:
                continue
            if person.chat_line is None:
                self.collector.add("label-without-chats", labels, person.labels[0].line)
            elif not person.labels:
                self.collector.add("chats-without-label", chats, person.chat_line)
            for label in person.labels:
                self._window(person, label, labels)

    def _spans(self, person: _Person, chats: str | Path) -> None:
        latest: datetime | None = None
        for start, end, line in sorted(person.spans):
            if latest is not None:
                if start < latest:
                    self.collector.add("overlap", chats, line)
                if start - latest > self.look_back:
                    self.collector.add("gap-between-chats", chats, line)
                self.silence = max(self.silence, start - latest)
            latest = end if latest is None else max(latest, end)

    def _window(self, person: _Person, label: _Label, labels: str | Path) -> None:
        if person.chat_line is None:
            return
        if person.spans and label.end <= min(start for start, _, _ in person.spans):
            self.collector.add("label-before-chats", labels, label.line)
        elif (
            label.user_messages < self.rules.min_user_messages
            or label.user_words < self.rules.min_user_words
        ):
            self.collector.add("too-little-chat", labels, label.line)
        elif label.has_total:
            self.counts["usable_windows"] += 1

    def chat_counts(self, path: str | Path) -> dict[str, Any]:
        """Give the figures of the chat file."""
        people = [each for each in self.people.values() if each.chat_line is not None]
        spans = [span for each in people for span in each.spans]
        return {
            "people": len(people),
            "conversations": self.counts["conversations"],
            "user_messages": self.counts["user_messages"],
            "assistant_messages": self.counts["assistant_messages"],
            "user_words": self.counts["user_words"],
            "assistant_words": self.counts["assistant_words"],
            "first": format_time(min(span[0] for span in spans)) if spans else None,
            "last": format_time(max(span[1] for span in spans)) if spans else None,
            "longest_silence_days": round(self.silence / timedelta(days=1), 1),
            "unreadable_lines": self.collector.unreadable.get(str(path), 0),
        }

    def label_counts(self, path: str | Path) -> dict[str, Any]:
        """Give the figures of the label file."""
        times = [label.end for each in self.people.values() for label in each.labels]
        return {
            "people": sum(bool(each.labels) for each in self.people.values()),
            "labels": self.counts["labels"],
            "by_instrument": dict(sorted(self.instruments.items())),
            "usable_windows": self.counts["usable_windows"],
            "first": format_time(min(times)) if times else None,
            "last": format_time(max(times)) if times else None,
            "unreadable_lines": self.collector.unreadable.get(str(path), 0),
        }


def _records(path: str | Path) -> Iterator[tuple[int, object]]:
    """Decode a JSONL file line by line; a line that cannot be read gives its DataError."""
    found = False
    with open_data(path) as stream:
        number = 0
        while raw := stream.readline(MAX_LINE_BYTES + 1):
            number += 1
            found = found or bool(raw.strip())
            if b"\x00" in raw:
                raise DataError("the file is binary", path=path, line=number, fix=_TEXT_FIX)
            record: object
            try:
                text = line_text(raw, path, number).strip()
                record = decode_json(text, path, number) if text else None
            except DataError as error:
                text, record = "unreadable", error
            while len(raw) > MAX_LINE_BYTES and not raw.endswith(b"\n"):
                raw = stream.readline(MAX_LINE_BYTES + 1) or b"\n"
            if text:
                yield number, record
    if not found:
        raise DataError("the file is empty", path=path, fix="write one JSON object a line")


_TEXT_FIX = "give a UTF-8 text file"


def _usable(record: object) -> object:
    if isinstance(record, DataError):
        raise record
    return record


def _digest(*parts: str) -> bytes:
    """Give 12 bytes that stand for texts, so that neither ids nor words are kept."""
    hashed = blake2b(digest_size=12)
    for part in parts:
        encoded = part.encode()
        hashed.update(len(encoded).to_bytes(8, "big") + encoded)
    return hashed.digest()
