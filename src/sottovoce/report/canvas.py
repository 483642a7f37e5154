"""The drawing surface: matplotlib figures as SVG that can stand inside an HTML page.

Owns style, colours and what is cleaned from matplotlib's SVG (prolog, metadata, addresses of
vocabularies, ids that would repeat on the page). Does not know what is drawn.
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


class Canvas:
    """One figure: axes to draw on while it is open, SVG text when it is closed."""

    def __init__(self, name: str, label: str) -> None:
        self.name, self.label, self.svg = name, label, ""

    @contextmanager
    def axes(self, size: tuple[float, float] = NARROW, **subplots: Any) -> Iterator[Any]:
        """Give axes (or several, by matplotlib's `subplots` arguments) and render afterwards."""
        matplotlib = require("matplotlib", what="drawing the report", extra="report")
        figures = require("matplotlib.figure", what="drawing the report", extra="report")
        with matplotlib.rc_context(STYLE), warnings.catch_warnings():
            # The browser brings the glyphs that matplotlib's measuring font lacks.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            figure = figures.Figure(figsize=size, layout="constrained")
            yield figure.subplots(**subplots)
            stream = io.StringIO()
            nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
            figure.savefig(stream, format="svg", metadata=nothing)
        self.svg = cleaned(stream.getvalue(), self.name, self.label)


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
