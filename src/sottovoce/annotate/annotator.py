"""What every annotator is: something that is asked one request and gives one reply.

Owns the request, the reply and why there may be none. Does not know any service (`anthropic`,
`compatible`, `replay`), nor what a good answer is (`answer`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

from sottovoce.errors import SottovoceError

Stop = Literal["end", "length", "refusal", "other"]
"""Why an answer ended: it was complete, reached its limit of tokens, was refused, or else."""

Kind = Literal[
    "refusal",
    "length",
    "garbage",
    "out of range",
    "inconsistent",
    "quotes",
    "timeout",
    "connection",
    "rate limit",
    "server error",
    "rejected",
    "expired",
    "not recorded",
]
"""Why a call gave no reading. The first six are answers that were paid for and are of no use, the
others calls without an answer."""

KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Request:
    """One question to an annotator; `prompt.ask_about` makes it from a window that may be sent.

    Parameters
    ----------
    key
        Hash of everything that decides the answer.
    user_id
        Whose window it truly is. Stays on this machine: for the store, and for replaying.
    sample
        Number of the reading, from 1.
    prompt
        Version of the prompt.
    system, text
        What is sent.
    schema
        JSON schema of the answer.
    max_tokens
        Most tokens of output, reasoning included.
    attempt
        How often this was asked and ended, and this time; from 1.
    """

    key: str
    user_id: str
    sample: int
    prompt: str
    system: str
    text: str
    schema: Mapping[str, Any]
    max_tokens: int
    attempt: int = 1

    @property
    def idempotency(self) -> str:
        """What a server may know this call by, so that it bills it once."""
        return f"{self.key}-{self.attempt}"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: the text, tokens as the server counted them, and why it ended."""

    text: str
    input_tokens: int
    output_tokens: int
    stop: Stop


class CallError(SottovoceError):
    """One call without an answer; the others go on.

    Parameters
    ----------
    kind
        Why.
    billed
        Whether the server may have done the work, and bill it, all the same.
    """

    def __init__(self, kind: Kind, *, billed: bool) -> None:
        super().__init__(f"a call to the annotator gave no answer ({kind})")
        self.kind, self.billed = kind, billed


def named(service: str, model: str, effort: str | None) -> str:
    """Give the name under which a model's answers are kept.

    Examples
    --------
    >>> named("anthropic", "some-model", None), named("openai", "some-model", "high")
    ('anthropic:some-model', 'openai:some-model@high')
    """
    return f"{service}:{model}" + (f"@{effort}" if effort else "")


class Annotator(Protocol):
    """A reasoning model, wherever it runs, or the record of one.

    `ask` is called from several threads at once. It raises `CallError` where this one call has no
    answer, and `AnnotatorError` where no call can have one.
    """

    name: str

    def ask(self, request: Request, /) -> Reply:
        """Ask once."""

    def close(self) -> None:
        """Let go of connections."""
