"""How long work tells how far it is: a callback, so that no layer knows a progress bar."""

from collections.abc import Callable

Advance = Callable[[int, int | None], None]
"""Called with the number of things done and, where it is known, of all things."""


def silent(_done: int, _total: int | None) -> None:
    """Ignore progress; the default everywhere."""


def part(number: int, count: int, advance: Advance) -> Advance:
    """Give the callback of one of several parts of like size, which tells the whole.

    Examples
    --------
    >>> part(1, 2, lambda done, total: print(done, total))(3, 10)
    13 20
    """

    def told(done: int, total: int | None) -> None:
        size = total or 0
        advance(number * size + done, count * size)

    return told
