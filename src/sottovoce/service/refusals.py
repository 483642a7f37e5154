"""Why the service does not do what it is asked: kinds, not sentences.

Owns the kinds that the gate and the modules behind it raise. Does not know HTTP: `api.problems`
turns them into answers.
"""

from sottovoce.consent import Purpose
from sottovoce.errors import SottovoceError


class Refusal(SottovoceError):  # noqa: N818 - not an error of anybody
    """Something that is refused; `outcome` is how the audit log calls it."""

    outcome = "refused"


class Forbidden(Refusal):
    """The caller's role or key does not allow the action."""

    outcome = "forbidden"

    def __init__(self) -> None:
        super().__init__("this key may not do that; use one whose role and scopes allow it")


class NotFound(Refusal):
    """There is no such thing, or the caller may not know that there is."""

    outcome = "not-found"

    def __init__(self, what: str = "person") -> None:
        self.what = what
        super().__init__(f"there is no such {what} here for this key")


class ConsentMissing(Refusal):
    """The person has not agreed to what the action needs, or agrees no longer."""

    outcome = "consent-missing"

    def __init__(self, purpose: Purpose) -> None:
        self.purpose = purpose
        super().__init__(
            f"the person has not agreed to {purpose}, or has withdrawn it; record consent first"
        )


class Conflict(Refusal):
    """It contradicts what is there already."""

    outcome = "conflict"


class Invalid(Refusal):
    """A value that cannot be meant.

    Parameters
    ----------
    where
        Which part of the request, as a path of names and positions.
    problem
        What is wrong with it; never shows the value.
    """

    outcome = "invalid"

    def __init__(self, where: str, problem: str) -> None:
        self.where, self.problem = where, problem
        super().__init__(f"{where}: {problem}")


def check_storable(where: str, text: str) -> None:
    """Refuse a text that a column of the database cannot hold.

    Raises
    ------
    Invalid
        If it holds NUL, which PostgreSQL has no place for, or a lone surrogate.
    """
    if "\x00" in text or any("\ud800" <= each <= "\udfff" for each in text):
        raise Invalid(where, "it holds NUL or half a character; leave that out")
