"""The finder that needs nothing more: regular expressions and cue phrases.

Owns which pattern finds which kind. Does not know what is done with what it finds.
"""

import re

from sottovoce.deidentify.kinds import Kind, Span

FIRST: dict[Kind, str] = {
    "email": r"[\w.+-]+@[\w-]+\.[\w.-]*\w",
    "url": r"https?://\S+|www\.\S+",
    "handle": r"(?<![\w@.])@\w[\w.]{2,}",
    "phone": r"(?<!\w)\+?\d[\d() .-]{8,}\d(?!\w)",
    "person": r"(?<=[Mm]y name is )[A-Z][\w'-]+(?: [A-Z][\w'-]+)*",
}


class Patterns:
    """Finds by patterns alone."""

    label = "patterns only"

    def find(self, texts: list[str]) -> list[list[Span]]:
        """Give the spans of each text."""
        return [
            [
                Span(match.start(), match.end(), kind)
                for kind, pattern in FIRST.items()
                for match in re.finditer(pattern, text)
            ]
            for text in texts
        ]
