"""An estimate with what it rests on: the item profile and the messages that speak for it.

Owns the line of `evidence.jsonl`, the one output of scoring that repeats what a person said. Does
not know how messages are read (`evidence`), nor which model reads them.
"""

from dataclasses import dataclass
from typing import Any

from sottovoce.cohort import Window
from sottovoce.conformal import PredictiveDistribution
from sottovoce.conversations import format_time
from sottovoce.estimates import Estimate, estimate_record
from sottovoce.evidence import Grounds

LEAST_LEVEL = 0.3
"""Points that a message speaks for before it is quoted; ours, a matter of how much is shown. The
penalty draws readings of single messages towards 0: words that an annotator put at 3 points are
read as .5. From .3 on, 187 of 236 items that an annotator put at 1 or more have a quote, and 52% of
257 quotes stand in a message that the annotator quoted for the item; from .5 on it is 87 of 236 and
56% of 112 (45 simulated people without a questionnaire, docs/decisions/0011)."""


@dataclass(frozen=True, slots=True)
class Explained:
    """An estimate and what it rests on.

    Parameters
    ----------
    estimate
        Of the window.
    window
        What was read; None of a person who has no window.
    grounds
        Messages are numbered as in `Window.messages`. None where nothing was scored, or by a body
        that gives none.
    distribution
        The errors to expect around the score, from which interval and probabilities came; None
        where nothing was scored.
    """

    estimate: Estimate
    window: Window | None = None
    grounds: Grounds | None = None
    distribution: PredictiveDistribution | None = None


def explanation_record(explained: Explained) -> dict[str, Any] | None:
    """Give one object of `evidence.jsonl`: each item's strongest message; None without grounds.

    It holds whole messages: it is as private as the chats.
    """
    window, grounds = explained.window, explained.grounds
    if window is None or grounds is None:
        return None
    said = estimate_record(explained.estimate)
    kept = ("user_id", "instrument", "window_start", "window_end", "model_id")
    return {
        **{key: said[key] for key in kept},
        "profile": [round(float(points), 4) for points in grounds.profile],
        "evidence": [
            {
                "item": each.item,
                "level": round(each.level, 4),
                "timestamp": format_time(window.messages[each.message].timestamp),
                "quote": window.messages[each.message].content,
            }
            for each in grounds.evidence(least=LEAST_LEVEL)
        ],
    }
