"""One call over HTTP by a service's own SDK: repeated where it is safe, and its failure named.

Owns which failures are tried again and what each failure means. Does not know what is sent. Both
SDKs come from one generator and share the names of their errors, so that one module serves both.
"""

from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any, TypeVar

from sottovoce.annotate.annotator import CallError, Kind
from sottovoce.errors import AnnotatorError, require

if TYPE_CHECKING:
    from tenacity import RetryCallState

Answer = TypeVar("Answer")

AGAIN = frozenset({408, 409, 429})
"""Statuses below 500 that are tried again, as both SDKs do (their `_should_retry`); from 500 on
all are, Anthropic's 529 "overloaded" among them."""

NEVER = {
    401: "the key was refused (401); set {key}",
    402: "the account has no credit (402); see its billing page",
    403: "the key may not use this (403); check the model's name and the key's rights",
    404: "the server knows no such model or address (404); check the name and --base-url",
}
"""Statuses after which no other call can succeed either."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a call may take and how often it is repeated; ours.

    Parameters
    ----------
    timeout
        Seconds without an answer; 600, the default of both SDKs.
    connect
        Seconds without a connection.
    attempts
        Calls in all, where a server says that it is busy: with the pauses below at most three
        minutes, half of that on average.
    connects
        Calls in all, where there is no server: it is told soon.
    shortest, longest
        Seconds of pause: at most this long at first, doubled each time up to the other, and by
        chance less ("full jitter"); unless the server says how long (Retry-After), which holds up
        to `longest_told`.
    longest_told
        Seconds; 120, the limit of the openai SDK.
    """

    timeout: float = 600.0
    connect: float = 10.0
    attempts: int = 9
    connects: int = 3
    shortest: float = 1.0
    longest: float = 60.0
    longest_told: float = 120.0

    @property
    def limits(self) -> Any:
        """The time limits in the SDKs' form."""
        httpx2 = require("httpx2", what="Annotating", extra="annotate")
        return httpx2.Timeout(self.timeout, connect=self.connect)


@dataclass(frozen=True, slots=True)
class Service:
    """A service: its SDK, the variable its key is in, what it calls a wanted form of answers."""

    sdk: Any
    key: str
    form: tuple[str, ...]

    def call(self, send: Callable[[], Answer], patience: Patience) -> Answer:
        """Call once, or as often as it is safe.

        The SDKs' own repetitions are switched off: they also repeat a call that timed out, which
        the server may have done and bill. Here only calls are repeated that were not answered
        for certain: no connection, or a status that says so.

        Raises
        ------
        CallError
            If this call has no answer.
        AnnotatorError
            If no call can have one.
        """
        tenacity = require("tenacity", what="Annotating", extra="annotate")
        httpx2 = require("httpx2", what="Annotating", extra="annotate")
        pauses = tenacity.wait_random_exponential(patience.shortest, patience.longest)

        def pause(state: "RetryCallState") -> float:
            error = None if state.outcome is None else state.outcome.exception()
            told = _told(error)
            within = told is not None and 0 < told <= patience.longest_told
            return told if told is not None and within else float(pauses(state))

        def enough(state: "RetryCallState") -> bool:
            error = None if state.outcome is None else state.outcome.exception()
            gone = error is not None and self._never_arrived(error)
            return state.attempt_number >= (patience.connects if gone else patience.attempts)

        tries = tenacity.Retrying(
            retry=tenacity.retry_if_exception(self._is_safe_again),
            stop=enough,
            wait=pause,
            reraise=True,
        )
        try:
            return tries(send)  # type: ignore[no-any-return]
        except self.sdk.APIError as error:
            raise self._meaning(error) from None
        except httpx2.HTTPError:  # while an answer of many lines was read
            raise CallError("connection", billed=True) from None
        except (JSONDecodeError, UnicodeDecodeError):  # the SDKs let these through
            raise CallError("garbage", billed=True) from None

    def _is_safe_again(self, error: BaseException) -> bool:
        if isinstance(error, self.sdk.APIStatusError):
            status = error.status_code
            return not _is_broke(error) and (status in AGAIN or status >= 500)
        return self._never_arrived(error)

    def _never_arrived(self, error: BaseException) -> bool:
        """Whether the connection was not even made."""
        import httpx2

        return isinstance(error, self.sdk.APIConnectionError) and isinstance(
            error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout
        )

    def _meaning(self, error: Any) -> CallError | AnnotatorError:
        """Give the error in our words; the server's own may quote what was sent."""
        if isinstance(error, self.sdk.APIConnectionError):
            late = isinstance(error, self.sdk.APITimeoutError)
            kind: Kind = "timeout" if late else "connection"
            return CallError(kind, billed=not self._never_arrived(error))
        if not isinstance(error, self.sdk.APIStatusError):
            return CallError("garbage", billed=True)  # an answer that is not even of its own form
        return self._meaning_of_status(error)

    def _meaning_of_status(self, error: Any) -> CallError | AnnotatorError:
        status: int = error.status_code
        if _is_broke(error):
            return AnnotatorError("the account has no quota left (429); see its billing page")
        if status in NEVER:
            return AnnotatorError(NEVER[status].format(key=self.key))
        if status == 400 and any(word in str(error) for word in self.form):
            return AnnotatorError(
                "the server or model does not take a JSON schema for its answers (400); add "
                "--no-schema to ask for JSON in words alone"
            )
        return CallError(_kind(status), billed=False)


def _kind(status: int) -> Kind:
    if status == 429:
        return "rate limit"
    return "server error" if status >= 500 else "rejected"


def _is_broke(error: Any) -> bool:
    """Whether OpenAI says by a 429 that waiting does not help."""
    return getattr(error, "code", None) == "insufficient_quota"


def _told(error: BaseException | None) -> float | None:
    """Give the seconds that a server asks to wait, in either form of Retry-After (RFC 9110)."""
    from datetime import UTC, datetime

    headers = getattr(getattr(error, "response", None), "headers", {})
    told = headers.get("retry-after")
    if told is None:
        return None
    try:
        return float(told)
    except ValueError:
        pass
    try:
        return (parsedate_to_datetime(told) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return None
