"""Robustness: how far estimates move when people type otherwise, or say less, or say it anew.

Owns which disturbances are tried and what is told of each. Does not know how a text is disturbed
(`disturbances`), nor how the table is drawn.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from sottovoce.cohort import Window, WindowRules, timeline, too_little, window_before
from sottovoce.conversations import Conversation, read_chats
from sottovoce.disturbances import (
    PASSAGE_EVERY,
    PASSAGES,
    TYPO_RATE,
    Change,
    lower_case,
    newer_half,
    older_half,
    typos,
    upper_case,
    with_passages,
    without_emoji,
    without_punctuation,
)
from sottovoce.errors import DataError
from sottovoce.estimates import Estimate
from sottovoce.evaluation import Robustness, Settings, Shift
from sottovoce.evaluation.record import DEFAULT
from sottovoce.progress import Advance, silent
from sottovoce.rereading import Changed, Reread, Subject
from sottovoce.scorer import Scorer
from sottovoce.trial import Trial

PARAPHRASES = "paraphrases"
TITLES = {
    "typos": f"Typing errors, {TYPO_RATE:.0%} of the words",
    "lower_case": "All in small letters",
    "upper_case": "All in capitals",
    "punctuation": "Without punctuation",
    "emoji": "Without emoji",
    "passages": f"A sentence in another language after every {PASSAGE_EVERY} messages",
    "older_half": "The older half of the history",
    "newer_half": "The newer half of the history",
    PARAPHRASES: "Said in other words",
}
USUAL = ("typos", "emoji", "older_half")
"""What is tried unless somebody asks for more: what people do most. Each further way takes about a
reading a person, capitals two."""

NOBODY = {
    "emoji": "nobody among the people who were drawn sent an emoji",
    PARAPHRASES: "no paraphrases were given",
}
"""Why a row is empty, where "changes nothing" would not say it."""


@dataclass(frozen=True, slots=True)
class Disturbing:
    """Whom to disturb, and with what.

    Parameters
    ----------
    sample
        People who are drawn and re-read in each way.
    seed
        Of the draw and of the disturbances.
    paraphrases
        Person to the same chats in other words (`read_paraphrases`); everybody in it is re-read.
    passages
        Sentences that the person also says.
    ways
        Keys of `TITLES`; paraphrases are read wherever they are given.
    """

    sample: int = 20
    seed: int = 0
    paraphrases: Mapping[str, Sequence[Conversation]] = field(default_factory=dict, hash=False)
    passages: tuple[str, ...] = PASSAGES
    ways: tuple[str, ...] = USUAL


def read_paraphrases(path: str | Path) -> dict[str, list[Conversation]]:
    """Read people's chats in other words: a file like `chats.jsonl`, times as in the original.

    Raises
    ------
    DataError
        With file, line and field, at the first line that is not a conversation.
    """
    found: dict[str, list[Conversation]] = {}
    for conversation in read_chats(path):
        found.setdefault(conversation.user_id, []).append(conversation)
    return found


def disturb(
    trial: Trial,
    scorer: Scorer,
    estimates: Sequence[Estimate],
    disturbing: Disturbing | None = None,
    *,
    settings: Settings = DEFAULT,
    advance: Advance = silent,
) -> Robustness:
    """Disturb people's messages in several ways and see how far their estimates move.

    Parameters
    ----------
    trial
        Whose test windows are disturbed.
    scorer
        Reads them again.
    estimates
        Of the undisturbed test windows, in their order.
    disturbing
        Whom, and with what.
    settings
        Of the intervals.
    advance
        Called with windows read and their number, all disturbances together.

    Returns
    -------
    Robustness
        Intervals are over the people who were re-read. A window that is too little after a change
        is abstained, as it would be in use.

    Raises
    ------
    DataError
        If a way is unknown.
    """
    asked = disturbing or Disturbing()
    ways = _disturbances(asked)
    if not set(asked.ways) <= set(ways):
        raise DataError("a disturbance is unknown", field="ways", fix=f"use {', '.join(ways)}")
    subject = Subject(trial, scorer, tuple(estimates))
    rows = subject.drawn(asked.sample, asked.seed)
    changes = {
        key: _changed(trial.test, rows, change, scorer.rules)
        for key, change in ways.items()
        if key in asked.ways
    }
    changes[PARAPHRASES] = _paraphrased(trial.test, subject.scored, asked, scorer.rules)
    reread = subject.reread(changes, advance)
    shifts = [_shift(key, reread[key], trial, settings) for key in TITLES if key in reread]
    notes = (
        f"{len(rows)} people were drawn over all severities and re-read in each way; only their "
        "own messages were disturbed.",
    )
    return Robustness(tuple(shifts), notes)


def _disturbances(asked: Disturbing) -> dict[str, Change]:
    return {
        "typos": partial(typos, seed=asked.seed),
        "lower_case": lower_case,
        "upper_case": upper_case,
        "punctuation": without_punctuation,
        "emoji": without_emoji,
        "passages": partial(with_passages, seed=asked.seed, passages=asked.passages),
        "older_half": older_half,
        "newer_half": newer_half,
    }


def _changed(
    windows: Sequence[Window], rows: Iterable[int], change: Change, rules: WindowRules
) -> Changed:
    """Give the rows whose messages the change does not leave as they are."""
    changed = {row: change(windows[row]) for row in rows}
    return {
        row: replace(window, reason=too_little(window.messages, window.leaks, rules))
        for row, window in changed.items()
        if window.messages != windows[row].messages
    }


def _paraphrased(
    windows: Sequence[Window], rows: Iterable[int], asked: Disturbing, rules: WindowRules
) -> Changed:
    """Cut everybody's paraphrased chats as their own were cut."""
    found = {}
    for row in rows:
        window = windows[row]
        if window.user_id in asked.paraphrases:
            messages = timeline(asked.paraphrases[window.user_id])
            found[row] = window_before(window.user_id, messages, window.end, rules, window.label)
    return found


def _shift(key: str, reread: Reread, trial: Trial, settings: Settings) -> Shift:
    n, abstained = len(reread.rows), reread.abstained
    if not n:
        why = NOBODY.get(key, "it changes nothing that anybody who was drawn wrote")
        return Shift(key, TITLES[key], 0, 0, note=why)
    left = reread.scored
    figures = {
        "moved": left.moved(settings),
        "change": left.change(settings),
        "crossed": left.crossed(trial.instrument.screening_cut_off, settings),
        "mae_change": left.mae_change(settings),
    }
    note = f"{abstained} of {n} have too little text left to be read" if abstained else None
    return Shift(key, TITLES[key], n, abstained, figures, note)
