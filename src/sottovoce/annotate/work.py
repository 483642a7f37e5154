"""Whom to ask about: people's windows, those that may be sent, and the requests about them.

Owns the way from a chat file to requests, and the count of whoever is left out. Holds all
transcripts in memory: people whom somebody pays for one by one are not millions. Does not know
who is asked.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sottovoce.annotate.annotator import Request
from sottovoce.annotate.prompt import Asking, ask_about
from sottovoce.cohort import Window, WindowRules, newest_window, timeline
from sottovoce.conversations import read_json_lines
from sottovoce.disclosure import Disclosed, Disclosure
from sottovoce.errors import DataError, describe
from sottovoce.histories import Histories
from sottovoce.instruments import Instrument

NO_MESSAGE = "no message"
TOO_LITTLE = "too little conversation, or excluded for a leak"
NOT_THERE = "asked for, and not in the chats"


@dataclass(frozen=True, slots=True)
class Task:
    """One person: the true window, what is sent of it, what is estimated, and the requests."""

    window: Window
    disclosed: Disclosed
    instrument: Instrument
    requests: tuple[Request, ...]


def cut_windows(
    chats: str | Path, rules: WindowRules, only: Collection[str] | None = None
) -> tuple[list[Window], dict[str, int]]:
    """Cut each person's newest window, as `sottovoce score` does.

    Parameters
    ----------
    chats
        Canonical `chats.jsonl`.
    rules
        What a window is and when it is too little to read.
    only
        People to take; None takes all.

    Returns
    -------
    tuple of (windows, left out)
        In the order of the file; and reason to number of people.
    """
    windows, left_out, seen = [], Counter[str](), 0
    with Histories(chats) as people:
        for history in people:
            if only is not None and history.user_id not in only:
                continue
            seen += 1
            messages = timeline(history.conversations)
            if not messages:
                left_out[NO_MESSAGE] += 1
                continue
            window = newest_window(history.user_id, messages, rules)
            if window.reason is None:
                windows.append(window)
            else:
                left_out[TOO_LITTLE] += 1
    if only is not None and len(only) > seen:
        left_out[NOT_THERE] = len(only) - seen
    return windows, dict(left_out)


def make_tasks(
    windows: Iterable[Window], disclosure: Disclosure, asking: Asking
) -> tuple[Task, ...]:
    """Make the requests about those windows that the gate let through."""
    true: Mapping[str, Window] = {each.user_id: each for each in windows}
    return tuple(
        Task(true[each.user_id], each, asking.prompt.instrument, ask_about(each, asking))
        for each in disclosure.windows
    )


def requests_of(tasks: Iterable[Task]) -> list[Request]:
    """Give every request once, person by person.

    Two people whose transcripts are the same word for word share a key, and one answer.
    """
    return list({each.key: each for task in tasks for each in task.requests}.values())


def read_people(path: str | Path) -> frozenset[str]:
    """Read the people of a JSONL file: the field `user_id` of each line, whatever else it holds.

    Raises
    ------
    DataError
        With file and line, where there is no id.
    """
    people = set()
    for line, record in read_json_lines(path):
        user = record.get("user_id") if isinstance(record, dict) else None
        if not isinstance(user, str) or not user:
            raise DataError(
                f"it is {describe(user)}",
                path=path,
                line=line,
                field="user_id",
                fix="write one object with a user_id a line",
            )
        people.add(user)
    return frozenset(people)
