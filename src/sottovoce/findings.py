"""What is wrong with a file, counted: the catalogue of findings, and the collecting of them.

Owns the wording and severity of every finding and the cap on printed examples. Does not read
files nor know what makes a finding true (`check`). No finding holds message text, a name or an
id: it says where to look, by line.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from sottovoce.errors import DataError

Severity = Literal["error", "warning"]

MAX_LINES = 5
"""Lines given as examples of one finding; the count is of all."""

MAX_GROUPS = 20
"""Different reasons for which lines of one file cannot be read that are told one by one."""

CATALOGUE: dict[str, tuple[Severity, str]] = {
    "duplicate-conversation-id": (
        "error",
        "conversations have the user_id and conversation_id of an earlier one; give each its own",
    ),
    "same-chat-two-people": (
        "error",
        (
            "conversations stand word for word and second for second under another person too; a "
            "split by person would leak: correct the user_id"
        ),
    ),
    "out-of-order": (
        "error",
        (
            "messages are earlier than the message before them; sort each conversation or correct "
            "the clock"
        ),
    ),
    "future-message": ("error", "messages lie in the future; correct the clock or the time zone"),
    "duplicate-label": (
        "error",
        "labels have the person, instrument and time of an earlier one; keep one of them",
    ),
    "future-label": ("error", "labels lie in the future; correct the clock or the time zone"),
    "repeated-chat": (
        "warning",
        "conversations repeat an earlier one of the same person under another id; they count twice",
    ),
    "shared-conversation-id": (
        "warning",
        "conversations have the conversation_id of another person's",
    ),
    "no-messages": ("warning", "conversations have no messages"),
    "no-user-messages": ("warning", "conversations have no message of the person"),
    "empty-content": ("warning", "messages are empty or blank"),
    "tied-times": (
        "warning",
        "messages have the time of the message before them; the order of the file decides",
    ),
    "overlap": (
        "warning",
        (
            "conversations begin before the person's previous one ended; their messages are read "
            "in the order of time"
        ),
    ),
    "gap-in-chat": (
        "warning",
        "messages come more than a day after the message before them; perhaps a new conversation",
    ),
    "gap-between-chats": (
        "warning",
        (
            "conversations begin after a silence longer than the look-back; nothing can be scored "
            "within it"
        ),
    ),
    "leak-questionnaire_name": (
        "warning",
        "messages name a questionnaire; the window rules remove or flag them",
    ),
    "leak-spoken_score": (
        "warning",
        "messages say a questionnaire's score; the window rules remove or flag them",
    ),
    "leak-item_wording": (
        "warning",
        "messages read a questionnaire item aloud; the window rules remove or flag them",
    ),
    "leak-item_answer": (
        "warning",
        "messages answer a questionnaire item read aloud; the window rules remove or flag them",
    ),
    "label-without-total": (
        "warning",
        "labels have too many items missing for a total; they are not used",
    ),
    "label-without-chats": ("warning", "people have labels and no conversations"),
    "chats-without-label": ("warning", "people have conversations and no label"),
    "label-before-chats": ("warning", "labels lie before the person's first message"),
    "too-little-chat": (
        "warning",
        "labels have too little conversation in the window before them to be scored",
    ),
}
"""Code to severity and sentence, in the order in which findings are told."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of trouble in one file.

    Parameters
    ----------
    severity
        ``error`` stops the work; ``warning`` is worth knowing.
    code
        Short and stable, for programs.
    sentence
        What it is and what to do.
    path
        The file.
    lines
        The first few lines, 1-based, where it is.
    count
        How often it was found.
    """

    severity: Severity
    code: str
    sentence: str
    path: str
    lines: tuple[int, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Findings:
    """The outcome of a check: what there is, and what is wrong with it.

    Parameters
    ----------
    chats, labels
        Name to figure; `labels` is None when there was no label file.
    findings
        Errors first.
    """

    chats: Mapping[str, Any] = field(hash=False)
    labels: Mapping[str, Any] | None = field(hash=False)
    findings: tuple[Finding, ...]

    def total(self, severity: Severity) -> int:
        """Count the findings of a severity."""
        return sum(finding.severity == severity for finding in self.findings)

    def record(self) -> dict[str, Any]:
        """Give everything as one JSON object."""
        return {
            "chats": dict(self.chats),
            "labels": None if self.labels is None else dict(self.labels),
            "errors": self.total("error"),
            "warnings": self.total("warning"),
            "findings": [asdict(each) | {"lines": list(each.lines)} for each in self.findings],
        }


@dataclass(slots=True)
class _Group:
    sentence: str
    count: int = 0
    lines: list[int] = field(default_factory=list)


class Collector:
    """Gathers findings by code and file; memory is that of the different findings."""

    def __init__(self) -> None:
        self._groups: dict[tuple[Severity, str, str, str], _Group] = {}
        self.unreadable: dict[str, int] = {}

    def add(self, code: str, path: str | Path, line: int, count: int = 1) -> None:
        """Count a finding of the catalogue."""
        severity, sentence = CATALOGUE[code]
        self._count((severity, code, str(path), ""), sentence, line, count)

    def add_unreadable(self, error: DataError, path: str | Path, line: int) -> None:
        """Count a line that cannot be read; like reasons are told once."""
        place = re.sub(r"\d+", "", error.field or "")
        code = "bad-" + (re.sub(r"\W+|_", "-", place.rsplit(".", 1)[-1]).strip("-") or "line")
        sentence = f"{error.problem}; {error.fix}" if error.fix else error.problem
        sentence = f"{place}: {sentence}" if place else sentence
        key: tuple[Severity, str, str, str]
        key = ("error", code, str(path), re.sub(r"\d+", "#", sentence))
        if key not in self._groups and self._reasons(path) >= MAX_GROUPS:
            key = ("error", "bad-line", str(path), "")
            sentence = "lines cannot be read for yet other reasons; mend those above first"
        self._count(key, sentence, line, 1)
        self.unreadable[str(path)] = self.unreadable.get(str(path), 0) + 1

    def findings(self) -> tuple[Finding, ...]:
        """Give what was found: errors first, lines that cannot be read before all else."""
        order = {code: index for index, code in enumerate(CATALOGUE)}
        found = [
            Finding(severity, code, group.sentence, path, tuple(group.lines), group.count)
            for (severity, code, path, _), group in self._groups.items()
        ]
        return tuple(
            sorted(found, key=lambda each: (each.severity == "warning", order.get(each.code, -1)))
        )

    def _reasons(self, path: str | Path) -> int:
        return sum(code.startswith("bad-") and at == str(path) for _, code, at, _ in self._groups)

    def _count(
        self, key: tuple[Severity, str, str, str], sentence: str, line: int, count: int
    ) -> None:
        group = self._groups.setdefault(key, _Group(sentence))
        group.count += count
        if line not in group.lines and len(group.lines) < MAX_LINES:
            group.lines.append(line)
