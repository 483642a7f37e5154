"""The drawing surface: matplotlib figures as SVG inside a page, and as SVG and PDF files.

Owns style, colours and what is cleaned from matplotlib's SVG (prolog, metadata, addresses of
vocabularies, ids that would repeat on the page). Does not know what is drawn. The same drawing is
the same bytes: nothing in a file says when it was made.
"""

import html
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sottovoce.errors import require

INK, MUTED, RULE, PAPER = "#1c2733", "#5a6773", "#dde3e8", "#ffffff"
BLUE, ORANGE = "#0072b2", "#d55e00"
"""From the palette of Okabe and Ito 2008 (Color Universal Design), told apart by colour-blind
readers; marks also differ in shape."""

NARROW, MIDDLE, TALL = (4.9, 3.7), (4.9, 4.3), (4.9, 5.4)
"""Sizes in inches at 72 units each: text drawn at 9 units is then legible on a telephone, where
the figure is shown at about its own width, and figures stand two abreast on a desk."""

STYLE = {
    "pdf.fonttype": 42,  # TrueType: journals refuse matplotlib's own Type 3
    "svg.fonttype": "none",
    "svg.hashsalt": "sottovoce",
    "text.parse_math": False,
    "font.size": 9.0,
    "axes.labelsize": 9.0,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.6,
    "figure.facecolor": PAPER,
}


NOTHING = dict.fromkeys(("Creator", "Date", "Format", "Type"))
NOBODY = dict.fromkeys(("Creator", "Producer", "CreationDate"))
"""What matplotlib would write into an SVG and a PDF about itself and the time."""


LEGEND = {"ncols": 3, "borderaxespad": 0.2, "handletextpad": 0.5, "columnspacing": 1.2}


class Canvas:
    """One figure: axes to draw on while it is open, SVG and PDF when it is closed.

    Parameters
    ----------
    name
        Of its files, and prefix of its ids on a page.
    label
        What a screen reader says in place of the figure.
    """

    def __init__(self, name: str, label: str) -> None:
        self.name, self.label = name, label
        self._figure: Any = None
        self._drawn = ""

    @contextmanager
    def axes(self, size: tuple[float, float] = NARROW, **subplots: Any) -> Iterator[Any]:
        """Give axes (or several, by matplotlib's `subplots` arguments) and render afterwards."""
        figures = require("matplotlib.figure", what="drawing the report", extra="report")
        with _styled():
            self._figure = figures.Figure(figsize=size, layout="constrained")
            yield self._figure.subplots(**subplots)
            stream = io.StringIO()
            self._figure.savefig(stream, format="svg", metadata=NOTHING)
            # laid out once: the PDF must not differ from what the page shows
            self._figure.set_layout_engine("none")
        self._drawn = stream.getvalue()

    @property
    def svg(self) -> str:
        """The figure as it stands inside a page."""
        return cleaned(self._drawn, self.name, self.label)

    @property
    def svg_file(self) -> str:
        """The figure as an SVG file of its own."""
        prolog, body = self._drawn.split("<svg", 1)
        spoken = html.escape(self.label, quote=True)
        told = f'<svg role="img" aria-label="{spoken}"{body}'
        return prolog + re.sub(r"<metadata>.*?</metadata>\s*", "", told, flags=re.DOTALL)

    @property
    def pdf_file(self) -> bytes:
        """The figure as a PDF file; its letters are those that DejaVu Sans has."""
        stream = io.BytesIO()
        with _styled():
            self._figure.savefig(stream, format="pdf", metadata=NOBODY)
        return stream.getvalue()


@contextmanager
def _styled() -> Iterator[None]:
    """Draw in the report's style."""
    matplotlib = require("matplotlib", what="drawing the report", extra="report")
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # The browser brings the glyphs that matplotlib's measuring font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def legend_above(axes: Any, *, raised: bool = False) -> None:
    """Put the legend above the axes, where it hides nothing; `raised` leaves room for a title."""
    place = {"loc": "lower left", "bbox_to_anchor": (0, 1.12 if raised else 1)}
    axes.legend(**place, **LEGEND)


def legend_outside(axes: Any) -> None:
    """Put the legend at the figure's left edge: long names at the left leave it no room else."""
    axes.get_figure().legend(loc="outside upper left", **LEGEND)


def cleaned(svg: str, name: str, label: str) -> str:
    """Make matplotlib's SVG fit to stand inside a page: named, without ids or addresses of others.

    Parameters
    ----------
    svg
        A whole SVG file.
    name
        Prefix of its ids, different for each figure of the page.
    label
        What a screen reader says in place of the figure.
    """
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<style type=\"text/css\">.*?</style>", "", body, flags=re.DOTALL)
    opening, rest = body.split(">", 1)
    opening = re.sub(r'\s(width|height|xmlns(:xlink)?|version)="[^"]*"', "", opening)
    rest = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', rest)
    rest = re.sub(r'\b(?:xlink:)?href="#([^"]+)"', rf'href="#{name}-\1"', rest)
    rest = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", rest)
    spoken = html.escape(label, quote=True)
    return f'{opening} role="img" aria-label="{spoken}">{rest}'.strip()
