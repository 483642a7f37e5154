"""A typed client of the monitoring service, for the app that people talk with.

Owns calling the API: retrying what may be retried, and turning answers into records. Does not know
how the service works. Nothing is sent twice to another effect: every call that writes may be
repeated, so a client that hears no answer asks again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from sottovoce.conversations import Role, format_time, parse_time
from sottovoce.errors import ServiceError, SottovoceError, require

if TYPE_CHECKING:
    import httpx2

ATTEMPTS = 8
"""How often a call is made before it is given up; ours."""

LONGEST_PAUSE = 10.0
"""Seconds between two attempts at the most; ours. With eight attempts about 23 s in all: longer
than PostgreSQL takes to start again."""

AGAIN = frozenset({429, 502, 503, 504})
"""Answers after which the same call may succeed (RFC 9110, 15.5 and 15.6; RFC 6585, 4)."""

AT_ONCE = 1000
"""Messages of one call: as many as the service takes."""


class ServiceRefusal(SottovoceError):  # noqa: N818 - it refused, nothing went wrong
    """What the service refused, in its own words.

    Parameters
    ----------
    status
        HTTP status.
    problem
        The problem document (RFC 9457).
    """

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status, self.problem = status, dict(problem)
        said = problem.get("detail") or problem.get("title") or "no reason was given"
        super().__init__(
            f"the service answered {status} ({problem.get('type', 'unknown')}): {said}"
        )


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message to store.

    Parameters
    ----------
    id, conversation_id
        The app's own; an id is never used twice for one person.
    role, content
        Who said what.
    sent_at
        When, timezone-aware.
    """

    id: str
    conversation_id: str
    role: Role
    content: str
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of messages: new ones, known ones, and new ones ahead of the service's clock."""

    new: int
    known: int
    ahead: int


@dataclass(frozen=True, slots=True)
class Point:
    """One estimate of a trajectory; the numbers are None where it abstained, with the reason."""

    id: str
    window_end: datetime | None
    score: float | None
    lower: float | None
    upper: float | None
    p_at_least: Mapping[int, float]
    band: str | None
    n_messages: int
    reason: str | None
    model_id: str
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A person over time.

    Parameters
    ----------
    estimates
        One for each window's end, in the order of time.
    questionnaires
        Instrument, time and total of each, in the order of time.
    pending
        Whether something was said that no estimate has read yet.
    """

    estimates: tuple[Point, ...]
    questionnaires: tuple[tuple[str, datetime, float | None], ...]
    pending: bool


class Client:
    """Calls a service.

    Parameters
    ----------
    url
        Of the service, such as ``http://127.0.0.1:8321``.
    key
        An API key.
    timeout
        Seconds of one attempt.
    transport
        Instead of the network, for tests.

    Examples
    --------
    ::

        with Client("http://127.0.0.1:8321", key) as service:
            service.register("p1")
            service.consent("p1", "monitoring", granted=True, text_version="2026-11", source="app")
            service.send("p1", messages)
            service.trajectory("p1").estimates[-1].score
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout: float = 30.0,
        transport: "httpx2.BaseTransport | None" = None,
    ) -> None:
        httpx2 = require("httpx2", what="Calling the service", extra="client")
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx2.Client(
            base_url=url, headers=headers, timeout=timeout, transport=transport
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def register(self, person: str) -> bool:
        """Register a person by the app's pseudonym; say whether they are new."""
        return bool(self._call("PUT", _path(person)).status_code == 201)

    def consent(
        self,
        person: str,
        purpose: str,
        *,
        granted: bool,
        text_version: str,
        source: str,
        at: datetime | None = None,
    ) -> frozenset[str]:
        """Write down that a person agreed, or withdrew, now by default; give what stands."""
        from datetime import UTC

        moment = datetime.now(UTC) if at is None else at
        line = {"purpose": purpose, "granted": granted, "at": format_time(moment)}
        line |= {"text_version": text_version, "source": source}
        answer = self._call("POST", _path(person, "consent"), {"consent": [line]})
        return frozenset(answer.json()["standing"])

    def send(self, person: str, messages: Sequence[OutgoingMessage]) -> Stored:
        """Store messages, however many, and ask for a new estimate; safe to repeat."""
        total = Stored(0, 0, 0)
        for first in range(0, len(messages), AT_ONCE):
            batch = [_message(each) for each in messages[first : first + AT_ONCE]]
            done = self._call("POST", _path(person, "messages"), {"messages": batch}).json()
            total = Stored(
                total.new + done["new"], total.known + done["known"], total.ahead + done["ahead"]
            )
        return total

    def questionnaire(
        self,
        person: str,
        id_: str,
        instrument: str,
        completed_at: datetime,
        *,
        items: Sequence[int | None] | None = None,
        total: float | None = None,
    ) -> float | None:
        """Store a questionnaire somebody filled in; give its total."""
        body = {"instrument": instrument, "completed_at": format_time(completed_at)}
        answers = {"items": None if items is None else list(items), "total": total}
        answer = self._call("PUT", _path(person, "questionnaires", id_), body | answers)
        found: float | None = answer.json()["total"]
        return found

    def trajectory(self, person: str) -> Trajectory:
        """Read a person over time."""
        said = self._call("GET", _path(person, "trajectory")).json()
        return Trajectory(
            tuple(_point(each) for each in said["estimates"]),
            tuple(
                (each["instrument"], _time(each["completed_at"]), each["total"])
                for each in said["questionnaires"]
            ),
            said["pending"],
        )

    def people(self) -> Iterator[str]:
        """Give the pseudonym of everybody that the key may see."""
        cursor = None
        while True:
            chosen: dict[str, str] = {} if cursor is None else {"cursor": cursor}
            page = self._call("GET", "/v1/people", query=chosen).json()
            yield from (each["id"] for each in page["people"])
            cursor = page["next"]
            if cursor is None:
                return

    def export(self, person: str) -> dict[str, Any]:
        """Give everything that is kept of a person."""
        found: dict[str, Any] = self._call("GET", _path(person, "export")).json()
        return found

    def fhir(self, person: str) -> dict[str, Any]:
        """Give estimates and questionnaires as a FHIR R4 Bundle."""
        found: dict[str, Any] = self._call("GET", _path(person, "fhir")).json()
        return found

    def erase(self, person: str) -> None:
        """Erase a person; one who is not there counts as erased."""
        try:
            self._call("DELETE", _path(person))
        except ServiceRefusal as refusal:
            if refusal.status != 404:
                raise

    def _call(
        self, method: str, path: str, body: object = None, query: Mapping[str, str] | None = None
    ) -> Any:
        """Call, again where that may help.

        Raises
        ------
        ServiceRefusal
            If the service answers with an error that stays.
        ServiceError
            If there is no answer, however often it is asked.
        """
        import httpx2
        from tenacity import Retrying, retry_if_exception, stop_after_attempt

        def attempt() -> Any:
            answer = self._http.request(method, path, json=body, params=query or {})
            if answer.is_error:
                raise ServiceRefusal(answer.status_code, _problem(answer))
            return answer

        def worth(error: BaseException) -> bool:
            if isinstance(error, ServiceRefusal):
                return error.status in AGAIN
            never = httpx2.UnsupportedProtocol  # no attempt makes a URL right
            return isinstance(error, httpx2.TransportError) and not isinstance(error, never)

        trying = Retrying(
            retry=retry_if_exception(worth),
            wait=_pause(),
            stop=stop_after_attempt(ATTEMPTS),
            reraise=True,
        )
        try:
            return trying(attempt)
        except httpx2.RequestError as error:
            raise ServiceError(
                f"the service at {self._http.base_url.host} gives no answer "
                f"({type(error).__name__}); see that it runs and what its address is"
            ) from error


def _pause() -> Callable[[Any], float]:
    """Wait as long as the service says, else longer each time, never all clients at once."""
    from tenacity import wait_exponential, wait_random

    longer = wait_exponential(multiplier=0.2) + wait_random(0, 0.2)

    def wait(state: Any) -> float:
        error = state.outcome.exception()
        asked = error.problem.get("retry_after") if isinstance(error, ServiceRefusal) else None
        return min(float(asked) if asked else float(longer(state)), LONGEST_PAUSE)

    return wait


def _problem(answer: Any) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {}


def _path(person: str, *rest: str) -> str:
    """Write a path; ids that clients and proxies would take out of it reach no service."""
    if any(each in ("", ".", "..") for each in (person, *rest)):
        raise ValueError("an id is empty or only full stops; give one with letters or digits")
    return "/".join(["/v1/people", *(quote(each, safe="") for each in (person, *rest))])


def _message(message: OutgoingMessage) -> dict[str, str]:
    return {
        "id": message.id,
        "conversation_id": message.conversation_id,
        "role": message.role,
        "content": message.content,
        "sent_at": format_time(message.sent_at),
    }


def _time(text: str) -> datetime:
    return parse_time(text, field="time")


def _point(said: Mapping[str, Any]) -> Point:
    end = said["window_end"]
    return Point(
        said["id"],
        None if end is None else _time(end),
        said["score"],
        said["lower"],
        said["upper"],
        {int(cut): p for cut, p in said["p_at_least"].items()},
        said["band"],
        said["n_messages"],
        said["reason"],
        said["model_id"],
        _time(said["made_at"]),
    )
