"""When a check passes, warns or fails: the bounds, each with its reason, and how figures meet them.

Owns the bounds and the titles. Does not know how a figure came about. A status rests on intervals:
a figure whose interval holds a bound has not shown anything, in either direction.
"""

from collections.abc import Callable, Mapping

from sottovoce.errors import DataError
from sottovoce.evaluation import Check
from sottovoce.evaluation.suite import Status
from sottovoce.metrics import Figure

NOTABLE_R = 0.1
"""Correlation from which something is there to be followed: Cohen's small effect (Cohen 1988,
Statistical Power Analysis, chapter 3)."""

SOME_SHARE = 0.1
MOST = 0.5
"""Share of what a model says that comes from the companion: a tenth is worth a warning, and above
a half it says more of the companion than of the person."""

ALIKE_R = 0.9
"""Correlation from which two readings say the same: they share four fifths of their variance."""

POINT = 1.0
"""Points that matter: one is the smallest step of a total, and about what a model is better than
words and their pairs on the bundled test people (MAE 3.80 against 4.80)."""

LENGTH_GAP = 0.2
FAR_LENGTH_GAP = 0.5
"""How much closer estimates may follow length than the totals do, in units of r. An estimate holds
less noise than a total, so the part of a total that goes with length shows more in it: with r .3
of totals and length and r .6 of estimates and totals it may reach .5, a gap of .2. At .5 length is
most of what the estimate holds."""

FEW_SPOKEN = 0.01
"""Share of windows in which a finding of a spoken score may be the guard's mistake; it found none
in the 826 bundled conversations, where there is none. Ours."""

TITLES = {
    "data_user": "Data: the person's words, by a reader of words",
    "data_companion": "Data: the companion's turns alone, by a reader of words",
    "data_length": "Data: length alone",
    "data_first_message": "Data: the first message alone, by a reader of words",
    "data_permuted": "Data: labels dealt out anew fall to chance",
    "time_order": "Data: every message comes before its questionnaire",
    "data_mentions": "Data: no window mentions a questionnaire or score",
    "people_overlap": "Nobody who is tested was learnt from",
    "near_duplicates": "No text that is tested was learnt from by another name",
    "annotator_exposure": "No tested person's annotation was learnt from",
    "repeated": "The same text read again",
    "companion_alone": "The companion's turns alone",
    "companion_swapped": "The companion's turns of somebody else",
    "user_alone": "The person's turns alone",
    "first_message": "The first message alone",
    "shuffled": "Messages in another order",
    "mentions": "Without any mention of a questionnaire or score",
    "length": "Estimates and length",
    "label": "Another answer to the questionnaire, the same chats",
    "user_id": "Another name for the same person",
    "clock": "The same chats at another time",
}
"""Key of a check to its title, in the order of the table."""

Figures = Mapping[str, Figure]


def verdict(key: str, status: Status, why: str, figures: Figures | None = None) -> Check:
    """Give a check of a known key."""
    return Check(key, TITLES[key], status, why, figures or {})


def unseen(key: str, reason: str, figures: Figures | None = None) -> Check:
    """Give the check that could not be made, which is never a pass."""
    return verdict(key, "warn", f"could not be looked at: {reason}", figures)


def attempt(key: str, check: Callable[[], Check]) -> Check:
    """Make a check; data that do not allow it are told as a warning."""
    try:
        return check()
    except DataError as error:
        return unseen(key, error.problem)


def above(figure: Figure, bound: float) -> bool:
    """Whether the whole interval lies above a bound."""
    return figure.lower is not None and figure.lower > bound


def below(figure: Figure, bound: float) -> bool:
    """Whether the whole interval lies below a bound."""
    return figure.upper is not None and figure.upper < bound


def graded(figure: Figure, bound: float, far: float) -> Status:
    """Warn above one bound, fail above the far one."""
    return "fail" if above(figure, far) else "warn" if above(figure, bound) else "pass"


def unclear(*figures: Figure) -> str | None:
    """Say why the first figure without an interval has none; None where all have one."""
    return next((each.reason for each in figures if each.lower is None), None)
