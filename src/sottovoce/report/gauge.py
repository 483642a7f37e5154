"""One person's estimate on the instrument's range.

Owns this figure. Does not know how the estimate was made.
"""

from sottovoce.instruments import Instrument
from sottovoce.report.canvas import BLUE, MUTED, ORANGE, PAPER, RULE, Canvas
from sottovoce.report.content import Example


def gauge(example: Example, used: Instrument, name: str) -> Canvas:
    """Draw one estimate on the instrument's range, with its interval and the questionnaire."""
    estimate = example.estimate
    canvas = Canvas(name, _gauge_label(example, used))
    with canvas.axes((3.5, 1.1)) as axes:
        for number, band in enumerate(used.bands):
            shade = 0.35 + 0.16 * number
            low, high = band.lower - 0.5, band.upper + 0.5
            axes.barh(0, high - low, left=low, height=0.9, color=RULE, alpha=min(1.0, shade))
            axes.text(
                (low + high) / 2,
                -0.72,
                band.name.replace(" ", "\n"),
                ha="center",
                va="top",
                fontsize=7.4,
                color=MUTED,
                linespacing=0.95,
            )
        if estimate.score is not None:
            axes.hlines(0, estimate.lower, estimate.upper, color=BLUE, linewidth=4, alpha=0.45)
            axes.plot(estimate.score, 0, "o", color=BLUE, markersize=8)
        if example.total is not None:
            axes.plot(example.total, 0, "D", mfc=PAPER, mec=ORANGE, mew=1.6, markersize=7)
        axes.set_xlim(used.minimum - 0.7, used.maximum + 0.7)
        axes.set_ylim(-1.7, 0.55)
        axes.set_yticks([])
        ticks = [used.minimum, *(band.lower for band in used.bands[1:]), used.maximum]
        axes.set_xticks(ticks)
        axes.xaxis.tick_top()
        axes.tick_params(length=2)
        for side in ("left", "bottom", "top"):
            axes.spines[side].set_visible(False)
    return canvas


def _gauge_label(example: Example, used: Instrument) -> str:
    estimate = example.estimate
    if estimate.score is None:
        told = "no estimate: the model abstained"
    else:
        told = (
            f"estimate {estimate.score:.1f}, interval {estimate.lower:.1f} to {estimate.upper:.1f}"
        )
    total = "" if example.total is None else f", questionnaire {example.total:g}"
    return f"On a scale from {used.minimum} to {used.maximum}: {told}{total}."
