"""Which messages may predict which questionnaire: windows, exclusions, splits by person.

Owns the rules that keep a cohort honest: a window ends strictly before its questionnaire, people
with too little conversation are left out with a reason, and no person stands on two sides of a
split. Does not know files, tokens or models.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
import numpy.typing as npt

from sottovoce.conversations import Conversation, Message, QuestionnaireResponse
from sottovoce.errors import DataError
from sottovoce.instruments import Instrument
from sottovoce.leakage import find_leaks, without_leaks

LeakPolicy = Literal["flag", "remove", "exclude"]

BARRED = "too little conversation, or excluded for a leak"
"""Why a questionnaire with a window is left out of a cohort."""


@dataclass(frozen=True, slots=True)
class WindowRules:
    """What a window is and when it is too little to read.

    None of these is published by the study (arXiv 2606.17973); the defaults are ours.

    Parameters
    ----------
    look_back_days
        Length of the window in days. 14, since the PHQ-9 asks about two weeks.
    min_user_messages
        User messages below which nobody is scored. 5, the least in the bundled cohort: below
        it there is no measurement to stand on.
    min_user_words
        User words below which nobody is scored. 45, the shortest kind of text for which
        published scores exist (one answer of the dep-wor study).
    leaks
        What becomes of questionnaire wording and spoken scores: ``flag`` keeps the messages and
        counts them, ``remove`` drops those messages, ``exclude`` drops the whole window.

    Raises
    ------
    DataError
        If a number is not positive or the policy unknown.
    """

    look_back_days: float = 14.0
    min_user_messages: int = 5
    min_user_words: int = 45
    leaks: LeakPolicy = "remove"

    def __post_init__(self) -> None:
        for name in ("look_back_days", "min_user_messages"):
            if getattr(self, name) <= 0:
                raise DataError("it is not above 0", field=name, fix="give a positive number")
        if self.min_user_words < 0:
            raise DataError("it is below 0", field="min_user_words", fix="give 0 or more")
        if self.leaks not in ("flag", "remove", "exclude"):
            raise DataError(
                "it is not a leak policy", field="leaks", fix="use flag, remove or exclude"
            )


@dataclass(frozen=True, slots=True)
class Window:
    """The messages of one person that may be read for one estimate.

    Parameters
    ----------
    user_id
        Who.
    start, end
        Every message has ``start <= timestamp < end``; timezone-aware UTC.
    messages
        In time order, ties in the order of the file; what the guard removed is not among them.
    leaks
        How many messages of each leak kind were found (and, by policy, removed).
    label
        The questionnaire that closes the window, or None.
    reason
        Why the window must not be scored ("2 user messages, 5 are needed"), or None.
    """

    user_id: str
    start: datetime
    end: datetime
    messages: tuple[Message, ...]
    leaks: Mapping[str, int] = field(default_factory=dict, hash=False)
    label: QuestionnaireResponse | None = None
    reason: str | None = None

    @property
    def user_messages(self) -> tuple[Message, ...]:
        """The messages that the person wrote."""
        return tuple(message for message in self.messages if message.role == "user")

    @property
    def total(self) -> float:
        """The label's total in points; DataError where there is none."""
        if self.label is None or self.label.total is None:
            raise DataError("the window has no label", field="total", fix="give labels")
        return self.label.total


@dataclass(frozen=True, slots=True)
class Cohort:
    """Labelled windows that may be used, and a count of what was left out and why.

    Parameters
    ----------
    windows
        Usable windows, each with a label that has a total.
    left_out
        Reason to number of questionnaires left out.
    leaks
        Leak kind to number of messages, over all windows including excluded ones.
    barred
        Labelled windows that may not be used, each with its reason; counted in `left_out`.
    """

    windows: tuple[Window, ...]
    left_out: Mapping[str, int] = field(default_factory=dict, hash=False)
    leaks: Mapping[str, int] = field(default_factory=dict, hash=False)
    barred: tuple[Window, ...] = ()

    @property
    def users(self) -> list[str]:
        """The person of each window."""
        return [window.user_id for window in self.windows]

    @property
    def totals(self) -> npt.NDArray[np.float64]:
        """The questionnaire total of each window, in points; shape (n_windows,)."""
        return np.array([window.total for window in self.windows], dtype=np.float64)


def timeline(conversations: Iterable[Conversation]) -> tuple[Message, ...]:
    """Put one person's messages in time order; ties keep the order of the file."""
    messages = [message for each in conversations for message in each.messages]
    return tuple(sorted(messages, key=lambda message: message.timestamp))


def window_before(
    user_id: str,
    messages: Sequence[Message],
    end: datetime,
    rules: WindowRules,
    label: QuestionnaireResponse | None = None,
) -> Window:
    """Cut the window that ends strictly before a moment.

    Parameters
    ----------
    user_id
        Whose messages these are.
    messages
        In time order (`timeline`).
    end
        Exclusive end, such as the time a questionnaire was completed.
    rules
        Look-back, minimum and leak policy.
    label
        The questionnaire completed at `end`, if the window is to be labelled.

    Returns
    -------
    Window
        With `reason` set when there is too little to read.
    """
    start = _days_before(end, rules.look_back_days)
    inside = tuple(message for message in messages if start <= message.timestamp < end)
    found = find_leaks(inside)
    counts: dict[str, int] = dict(Counter(leak.kind for leak in found))
    kept = without_leaks(inside, found) if rules.leaks == "remove" else inside
    return Window(user_id, start, end, kept, counts, label, too_little(kept, counts, rules))


def too_little(
    messages: Sequence[Message], leaks: Mapping[str, int], rules: WindowRules
) -> str | None:
    """Say why a window of these messages must not be scored, or None where it may be."""
    if rules.leaks == "exclude" and leaks:
        return f"{sum(leaks.values())} findings of questionnaire wording, excluded by rule"
    said = [message.content for message in messages if message.role == "user"]
    if len(said) < rules.min_user_messages:
        return f"{len(said)} user messages in the window, {rules.min_user_messages} are needed"
    words = sum(len(content.split()) for content in said)
    if words < rules.min_user_words:
        return f"{words} user words in the window, {rules.min_user_words} are needed"
    return None


def newest_window(user_id: str, messages: Sequence[Message], rules: WindowRules) -> Window:
    """Cut the window that ends with the person's last message.

    Its end is the next whole second after that message, so that the end stays exclusive and
    survives being written to a file.

    Raises
    ------
    DataError
        If there is no message at all, or the last one has no second after it.
    """
    if not messages:
        raise DataError("a person has no messages", fix="leave the person out")
    newest = messages[-1].timestamp
    try:
        end = newest.replace(microsecond=0) + timedelta(seconds=1)
    except OverflowError:  # the last second of the year 9999 stands for "never" in some databases
        raise DataError(
            "a message stands at the end of the calendar",
            field="timestamp",
            fix="write the time when it was sent",
        ) from None
    return window_before(user_id, messages, end, rules)


def build_cohort(
    conversations: Iterable[Conversation],
    labels: Iterable[QuestionnaireResponse],
    rules: WindowRules,
    instrument: Instrument,
) -> Cohort:
    """Give every questionnaire the window before it, and count what cannot be used.

    Parameters
    ----------
    conversations, labels
        Of any number of people, in any order.
    rules
        What a window is.
    instrument
        Only its questionnaires become labels; others are counted as left out.
    """
    by_user: dict[str, list[Conversation]] = {}
    for conversation in conversations:
        by_user.setdefault(conversation.user_id, []).append(conversation)
    timelines = {user: timeline(each) for user, each in by_user.items()}
    windows, barred, left_out, leaks = [], [], Counter[str](), Counter[str]()
    for label in labels:
        if label.instrument != instrument.key:
            left_out["another instrument"] += 1
        elif label.total is None:
            left_out["too many items missing for a total"] += 1
        elif label.user_id not in timelines:
            left_out["no conversations of this person"] += 1
        else:
            messages = timelines[label.user_id]
            window = window_before(label.user_id, messages, label.completed_at, rules, label)
            leaks.update(window.leaks)
            if window.reason is None:
                windows.append(window)
            else:
                left_out[BARRED] += 1
                barred.append(window)
    return Cohort(tuple(windows), dict(left_out), dict(leaks), tuple(barred))


def assign_folds(
    users: Sequence[str],
    n_folds: int,
    seed: int,
    totals: npt.ArrayLike | None = None,
) -> npt.NDArray[np.int64]:
    """Assign each row to a fold so that every person is in one fold only.

    Parameters
    ----------
    users
        Person of each row, length n.
    n_folds
        Number of folds, at least 2 and at most the number of people.
    seed
        Same seed, same people, same folds, whatever the order of the rows.
    totals
        Points of each row; when given, folds are stratified: people are ordered by their mean
        total, cut into blocks of `n_folds`, and each block is dealt over the folds at random.

    Returns
    -------
    array of int, shape (n,)
        Fold of each row, 0 to ``n_folds - 1``.

    Raises
    ------
    DataError
        If there are fewer people than folds.
    """
    people = sorted(set(users))
    if not 2 <= n_folds <= len(people):
        raise DataError(
            f"{len(people)} people cannot be split into {n_folds} folds",
            fix="use at least 2 folds and no more folds than people",
        )
    generator = np.random.default_rng(seed)
    order = [people[index] for index in generator.permutation(len(people))]
    if totals is not None:
        mean = _mean_by_user(users, np.asarray(totals, dtype=np.float64))
        order.sort(key=lambda user: mean[user])
    fold_of: dict[str, int] = {}
    for first in range(0, len(order), n_folds):
        for user, fold in zip(
            order[first : first + n_folds], generator.permutation(n_folds), strict=False
        ):
            fold_of[user] = int(fold)
    return np.array([fold_of[user] for user in users], dtype=np.int64)


def real_folds(
    users: Sequence[str], n_folds: int, seed: int, reported: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Assign the people who reported a total to folds (`assign_folds`); the others to none.

    Parameters
    ----------
    users, n_folds, seed
        As for `assign_folds`.
    reported
        Points of each row, shape (n,), NaN where the label is a pseudolabel.

    Returns
    -------
    array of int, shape (n,)
        -1 for a pseudolabel; the folds of the others do not depend on whether it is there.
    """
    real = np.flatnonzero(~np.isnan(reported))
    folds = np.full(len(users), -1, dtype=np.int64)
    folds[real] = assign_folds([users[int(row)] for row in real], n_folds, seed, reported[real])
    return folds


def split_people(
    users: Iterable[str], shares: Mapping[str, float], seed: int
) -> dict[str, frozenset[str]]:
    """Split people (never rows) into named parts at random.

    Parameters
    ----------
    users
        People, repeated or not.
    shares
        Part to share of the people; the shares add up to 1.
    seed
        Same seed and people, same split.

    Raises
    ------
    DataError
        If the shares do not add up to 1 or one is negative.
    """
    if any(share < 0 for share in shares.values()) or abs(sum(shares.values()) - 1) > 1e-9:
        raise DataError(
            "the shares of a split do not add up to 1", field="shares", fix="correct them"
        )
    people = sorted(set(users))
    shuffled = [people[index] for index in np.random.default_rng(seed).permutation(len(people))]
    parts, taken, reached = {}, 0, 0.0
    for name, share in shares.items():
        reached += share
        upto = round(reached * len(shuffled))
        parts[name] = frozenset(shuffled[taken:upto])
        taken = upto
    return parts


def _days_before(end: datetime, days: float) -> datetime:
    """Go back in time, at most to the beginning of the calendar."""
    try:
        return end - timedelta(days=days)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def _mean_by_user(users: Sequence[str], totals: npt.NDArray[np.float64]) -> dict[str, float]:
    sums: dict[str, list[float]] = {}
    for user, total in zip(users, totals, strict=True):
        sums.setdefault(user, []).append(float(total))
    return {user: sum(each) / len(each) for user, each in sums.items()}
