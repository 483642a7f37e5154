"""How long work tells how far it is: a callback, so that no layer knows a progress bar."""

from collections.abc import Callable

Advance = Callable[[int, int | None], None]
"""Called with the number of things done and, where it is known, of all things."""


def silent(_done: int, _total: int | None) -> None:
    """Ignore progress; the default everywhere."""
