"""What stands instead of a name, a number or a place: of the same kind, the same for one person.

Owns the pools and reserved ranges that surrogates come from, and that no two things of a person
share one. Does not know what was found where.
"""

from collections.abc import Sequence

from sottovoce.deidentify.kinds import Kind


class Surrogates:
    """One person's surrogates.

    Parameters
    ----------
    key
        The person's secret.
    texts
        All that she and the companion wrote: no surrogate occurs in it.
    attempt
        Another number gives other surrogates.
    plain
        Whether to write bracketed words instead of natural ones.
    """

    def __init__(self, key: bytes, texts: Sequence[str], attempt: int, *, plain: bool) -> None:
        self._key, self._attempt, self._plain = key, attempt, plain
        self._text = "\n".join(texts).casefold()
        self._given: dict[str, str] = {}
        self.back: dict[str, str] = {}

    def of(self, kind: Kind, value: str) -> str:
        """Give what stands for a value of a kind, as it is written."""
        if value not in self._given:
            number = 1
            while (made := f"[{kind}-{number}]") in self._text or made in self.back:
                number += 1
            self._given[value], self.back[made] = made, value
        return self._given[value]
