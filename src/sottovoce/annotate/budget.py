"""What annotating costs: tokens before they are sent, prices, and a limit that is kept.

Owns estimates and upper limits of tokens, and the reservation of each call's worst case. Knows no
service's prices: they change, and whoever pays knows them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sottovoce.annotate.annotator import Request
from sottovoce.errors import DataError

CHARACTERS_PER_TOKEN = 3.5
"""Of system prompt and transcript together, for the estimate of input. Measured with SmolLM2's
tokenizer on the 480 bundled people: 3.49 in all; by it a person's estimate is 0.90 to 1.10 of the
true number. Other tokenizers were not at hand."""

EXPECTED_ANSWER = 405
"""Tokens of an answer without reasoning: the mean of the recorded annotator's 480 readings of the
bundled people in the form that is asked for (190 to 618), by the same tokenizer."""

WRAPPING = 1000
"""Tokens that a service may add to a request, for roles and the form of the answer; ours. The
schema itself is counted apart."""

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of input and output."""

    input: int = 0
    output: int = 0

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(self.input + other.input, self.output + other.output)

    @property
    def total(self) -> int:
        """Both together."""
        return self.input + self.output


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of a million tokens, in any one currency."""

    input: float
    output: float

    def cost(self, tokens: Tokens) -> float:
        """Give what tokens cost."""
        return (tokens.input * self.input + tokens.output * self.output) / MILLION


@dataclass(frozen=True, slots=True)
class Limit:
    """What may be spent in all by the runs that share a store; None is no limit.

    Parameters
    ----------
    cost
        In the currency of the prices.
    tokens
        Input and output together.
    prices
        Without them there is no cost.

    Raises
    ------
    DataError
        If a cost is limited and there is no price.
    """

    cost: float | None = None
    tokens: int | None = None
    prices: Prices | None = None

    def __post_init__(self) -> None:
        if self.cost is not None and self.prices is None:
            raise DataError(
                "a budget in money needs prices",
                field="budget",
                fix="give --price-input and --price-output per million tokens, or --token-budget",
            )


def expected_input(request: Request) -> int:
    """Estimate a request's tokens of input by its characters; see `CHARACTERS_PER_TOKEN`."""
    return math.ceil((len(request.system) + len(request.text)) / CHARACTERS_PER_TOKEN)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What some calls will take.

    Parameters
    ----------
    calls
        Their number.
    expected
        Input by estimate, and answers without any reasoning: what is spent at least.
    most
        Every call at its worst.
    """

    calls: int
    expected: Tokens
    most: Tokens

    @property
    def tokens(self) -> tuple[Tokens, Tokens]:
        """Expected and at most."""
        return self.expected, self.most


def forecast(requests: Sequence[Request]) -> Forecast:
    """Give what calls will take before any is made."""
    read = sum(expected_input(each) for each in requests)
    written = sum(min(EXPECTED_ANSWER, each.max_tokens) for each in requests)
    most = sum((worst_case(each) for each in requests), Tokens())
    return Forecast(len(requests), Tokens(read, written), most)


def worst_case(request: Request) -> Tokens:
    """Give what one call takes at most.

    Tokenizers of large language models work on bytes, and a token is at least one; what services
    add is `WRAPPING` and the schema. The output is limited by the request.
    """
    sent = (request.system, request.text, str(dict(request.schema)))
    return Tokens(sum(len(each.encode()) for each in sent) + WRAPPING, request.max_tokens)


class Budget:
    """A limit, what is spent of it, and what is reserved for calls that are under way.

    Parameters
    ----------
    limit
        What may be spent.
    tokens, cost
        What earlier runs spent.
    """

    def __init__(self, limit: Limit, tokens: Tokens, cost: float) -> None:
        self.tokens, self.cost = tokens, cost
        self._limit, self._reserved = limit, dict[str, Tokens]()

    def reserve(self, key: str, most: Tokens) -> bool:
        """Reserve a call's worst case, or give False if it might exceed the limit."""
        reserved = most
        for each in self._reserved.values():
            reserved += each
        limit = self._limit
        if limit.tokens is not None and self.tokens.total + reserved.total > limit.tokens:
            return False
        if limit.cost is not None and self.cost + self._price(reserved) > limit.cost:
            return False
        self._reserved[key] = most
        return True

    def settle(self, key: str, used: Tokens) -> None:
        """Replace a reservation by what was used."""
        del self._reserved[key]
        self.tokens += used
        self.cost += self._price(used)

    @property
    def is_idle(self) -> bool:
        """Whether no call is under way."""
        return not self._reserved

    def _price(self, tokens: Tokens) -> float:
        return 0.0 if self._limit.prices is None else self._limit.prices.cost(tokens)
