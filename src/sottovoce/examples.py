"""People that a report shows: words, estimate and questionnaire of three, taken by rank.

Owns who is shown, so that nobody is picked for a good fit. For invented people only, or people who
agreed: the report prints their words. Does not know how an estimate is made or drawn.
"""

from collections.abc import Mapping, Sequence

from sottovoce.cohort import Window
from sottovoce.estimates import Estimate
from sottovoce.report import Example

RANKS: Mapping[str, float] = {"low": 0.1, "middle": 0.5, "high": 0.9}
"""Name to the share of the people with a lower estimate."""

WORDS = 70
"""Words of each person that the report shows, about; ours: what a reader takes in at a glance."""


def three_by_rank(windows: Sequence[Window], estimates: Sequence[Estimate]) -> tuple[Example, ...]:
    """Show a low, a middle and a high estimate: the people at three fixed ranks, not picked.

    Parameters
    ----------
    windows, estimates
        Labelled windows of simulated people, and what a model says of them, length n each.
        Abstentions have no rank; with nobody scored there is nobody to show.
    """
    scored = [row for row, each in enumerate(estimates) if not each.abstained]
    order = sorted(scored, key=lambda row: (estimates[row].score, row))
    if not order:
        return ()
    examples = []
    for name, share in RANKS.items():
        place = round(share * (len(order) - 1))
        row = order[place]
        examples.append(
            Example(
                label=f"A {name} estimate (rank {place + 1} of {len(order)})",
                passages=_passages(windows[row]),
                estimate=estimates[row],
                total=windows[row].total,
                note="A simulated person, taken by rank and not for a good fit.",
            )
        )
    return tuple(examples)


def _passages(window: Window) -> tuple[str, ...]:
    """Give the person's last messages, oldest first, about `WORDS` in all."""
    passages: list[str] = []
    for message in reversed(window.user_messages):
        passages.insert(0, message.content)
        if sum(len(each.split()) for each in passages) >= WORDS:
            break
    return tuple(passages)
