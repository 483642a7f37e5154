"""Windows with a part of them taken away, replaced or put in another order.

Owns pure functions from a window to a window. Does not know what any of them is to show.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import cycle

from sottovoce.cohort import Window
from sottovoce.conversations import Message, Role
from sottovoce.instruments import instrument
from sottovoce.leakage import find_leaks, without_leaks

NOD = "OK."
"""What the person says where only the companion is to speak."""

LATER = timedelta(days=400, hours=7, minutes=13)
"""Another year, season, weekday and hour; ours."""


def person_alone(window: Window) -> Window:
    """Keep the person's messages."""
    return replace(window, messages=window.user_messages)


def companion_as_person(window: Window) -> Window:
    """Keep the companion's messages, as if the person had said them: for readers of the person."""
    turns = (each for each in window.messages if each.role == "assistant")
    return replace(window, messages=tuple(replace(each, role="user") for each in turns))


def companion_alone(window: Window) -> Window:
    """Keep the companion's messages."""
    return replace(window, messages=tuple(e for e in window.messages if e.role == "assistant"))


def nodding(window: Window) -> Window:
    """Let the person say `NOD` in each of their turns."""
    return _said(window, "user", [NOD])


def first_message(window: Window) -> Window:
    """Keep the first of the person's messages."""
    return replace(window, messages=window.user_messages[:1])


def beginning(window: Window) -> Window:
    """Keep everything up to the first of the person's messages."""
    own = [at for at, each in enumerate(window.messages) if each.role == "user"]
    return replace(window, messages=window.messages[: own[0] + 1] if own else ())


def shuffled(window: Window, seed: int) -> Window:
    """Put the person's messages in another order, and the companion's; turns and times stay."""
    drawn = random.Random(f"{seed} order {window.user_id}")  # noqa: S311 - an order is no secret
    for role in ("user", "assistant"):
        texts = [each.content for each in window.messages if each.role == role]
        drawn.shuffle(texts)
        window = _said(window, role, texts)
    return window


def with_companion_of(window: Window, other: Window) -> Window:
    """Let the companion say in turn what it said to somebody else, from the start if need be."""
    texts = [each.content for each in other.messages if each.role == "assistant"]
    return _said(window, "assistant", texts) if texts else person_alone(window)


def mentions(window: Window) -> bool:
    """Whether a questionnaire is still named, read aloud or scored in the window."""
    return bool(find_leaks(window.messages))


def without_mentions(window: Window) -> Window:
    """Take out every message that mentions a questionnaire or a score, and replies to those."""
    messages = window.messages
    while found := find_leaks(messages):
        replied = [
            replace(leak, message=leak.message + 1)
            for leak in found
            if messages[leak.message].role == "assistant"
            and messages[leak.message + 1 : leak.message + 2]
            and messages[leak.message + 1].role == "user"
        ]
        messages = without_leaks(messages, [*found, *replied])
    return replace(window, messages=messages)


def without_as_much(window: Window, seed: int) -> Window:
    """Take out as many of the person's messages as `without_mentions` does, but others.

    The control of that change: what the loss of any message does.
    """
    left = set(map(id, without_mentions(window).messages))
    own = window.user_messages
    lost = sum(id(each) not in left for each in own)
    others = [each for each in own if id(each) in left]
    drawn = random.Random(f"{seed} control {window.user_id}")  # noqa: S311 - as above
    gone = set(map(id, drawn.sample(others, min(lost, len(others)))))
    return replace(window, messages=tuple(e for e in window.messages if id(e) not in gone))


def answered_otherwise(window: Window) -> Window:
    """Turn the label round: what was the lowest total is the highest."""
    label = window.label
    if label is None or label.total is None:
        return window
    used = instrument(label.instrument)
    turned = used.minimum + used.maximum - label.total
    return replace(window, label=replace(label, total=turned, items=None))


def renamed(window: Window) -> Window:
    """Give the person another id."""
    name = f"{window.user_id}-renamed"
    label = None if window.label is None else replace(window.label, user_id=name)
    return replace(window, user_id=name, label=label)


def later(window: Window) -> Window:
    """Move everything by `LATER`; what would end after the calendar stays."""
    try:
        label = window.label
        if label is not None:
            label = replace(label, completed_at=label.completed_at + LATER)
        messages = tuple(replace(e, timestamp=e.timestamp + LATER) for e in window.messages)
        moved = replace(window, start=window.start + LATER, end=window.end + LATER)
    except OverflowError:
        return window
    return replace(moved, messages=messages, label=label)


def _said(window: Window, role: Role, texts: Sequence[str]) -> Window:
    """Put texts, in order and over again, into the turns of a role."""
    supply = cycle(texts)

    def turn(message: Message) -> Message:
        return replace(message, content=next(supply)) if message.role == role else message

    return replace(window, messages=tuple(map(turn, window.messages)))
