"""Structured logs: one JSON object a line on stderr, without text, names or raw ids.

Owns which keys a line may have and what their values may look like; everything else is dropped
and counted. A library's own message is never printed, for procrastinate logs a job's arguments
and SQLAlchemy and psycopg put values into theirs: what remains is who logged, how grave it is,
and where in the code. Of an exception remain its types and places. It does not know what the
service does.

References
----------
OWASP Logging Cheat Sheet, "Data to exclude".
"""

import logging
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import structlog

_PACKAGE = Path(__file__).parents[1]
_SLUG = re.compile(r"[a-z][a-z0-9]*([-_.][a-z0-9]+)*")
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_PLACE = re.compile(r"[\w./-]{1,200}:\d+", re.ASCII)
_ROUTE = re.compile(r"(/([a-z0-9_.-]+|\{[a-z_]+\}))+|/|unmatched")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_SQLSTATE = re.compile(r"[0-9A-Z]{5}")

Check = Callable[[object], bool]


def _like(pattern: re.Pattern[str], longest: int = 80) -> Check:
    """Give the check that a value is text of one form."""

    def check(value: object) -> bool:
        return isinstance(value, str) and len(value) <= longest and bool(pattern.fullmatch(value))

    return check


def _number(value: object) -> bool:
    return isinstance(value, int | float)


def _each(check: Check) -> Check:
    def all_of(value: object) -> bool:
        return isinstance(value, list) and all(check(each) for each in value)

    return all_of


KEYS: Mapping[str, Check] = {
    "event": _like(_SLUG),
    "level": _like(_SLUG),
    "time": _like(_TIME),
    "logger": _like(_DOTTED),
    "place": _like(_PLACE, 300),
    "places": _each(_like(_PLACE, 300)),
    "types": _each(_like(_DOTTED, 120)),
    "sqlstate": _like(_SQLSTATE),
    "category": _like(_DOTTED),
    "incident": _like(_UUID),
    "request_id": _like(_UUID),
    "row": _like(_UUID),
    "job": _number,
    "task": _like(_SLUG),
    "queue": _like(_SLUG),
    "outcome": _like(_SLUG),
    "reason": _like(_SLUG),
    "purpose": _like(_SLUG),
    "role": _like(_SLUG),
    "method": _like(re.compile("GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|OTHER")),
    "route": _like(_ROUTE, 200),
    "status": _number,
    "milliseconds": _number,
    "bytes": _number,
    "count": _number,
    "attempt": _number,
    "seconds": _number,
    "port": _number,
    "version": _like(re.compile(r"[0-9][0-9a-z.+-]*")),
    "dropped": _number,
}
"""The keys of a line and the form that each value must have. Whoever needs another key adds it
here, where it is seen in review. A form is no proof: an app's id of small letters is a slug too,
so words are given as constants of the program."""

LIBRARIES = (
    "uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi", "procrastinate", "sqlalchemy",
    "alembic", "psycopg", "psycopg.pool", "httpx2", "httpcore2", "asyncio", "py.warnings",
)  # fmt: skip
"""Loggers whose own handlers are taken away, so that all of them pass the one below the root."""


def failure(exception: BaseException) -> dict[str, Any]:
    """Say of an exception what it is and where it came from, and nothing that it says.

    Returns
    -------
    dict
        `types`, the outermost first and then its causes; `places`, file and line of this
        package's frames from the outermost to the innermost, or the innermost frame of all where
        none is this package's; `sqlstate`, where PostgreSQL gave one.
    """
    chain = list(_causes(exception))
    types = [f"{type(each).__module__}.{type(each).__qualname__}" for each in chain]
    said: dict[str, Any] = {
        "types": [name if KEYS["types"]([name]) else "unnamed" for name in types],
        "places": [place for each in chain for place in _places(each.__traceback__)],
    }
    states = (getattr(each, "sqlstate", None) for each in chain)
    state = next((each for each in states if KEYS["sqlstate"](each)), None)
    return said | ({"sqlstate": state} if state is not None else {})


def _causes(exception: BaseException) -> Iterator[BaseException]:
    """Give an exception, its causes and the members of groups, each once."""
    waiting, seen = [exception], set[int]()
    while waiting:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        if isinstance(each, BaseExceptionGroup):
            waiting.extend(each.exceptions)
        behind = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
        if behind is not None:
            waiting.append(behind)


def _places(trace: TracebackType | None) -> list[str]:
    found, innermost = [], None
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        innermost = _place(file, trace.tb_lineno)
        if file.is_relative_to(_PACKAGE):
            found.append(innermost)
        trace = trace.tb_next
    return found or ([innermost] if innermost is not None else [])


def _place(file: Path, line: int) -> str:
    """Name a place from the package on, or by three parts of its path: no home folder is told."""
    own = file.is_relative_to(_PACKAGE)
    parts = file.relative_to(_PACKAGE.parent).parts if own else file.parts[-3:]
    name = "/".join(part for part in parts if part != "/")
    return f"{re.sub(r'[^A-Za-z0-9_./-]', '_', name)}:{line}"


def allowed(_: object, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Keep of a line what `KEYS` allows; say how many things were dropped, never which."""
    kept = {key: value for key, value in event.items() if key in KEYS and KEYS[key](value)}
    if len(kept) < len(event):
        kept["dropped"] = len(event) - len(kept)
    kept.setdefault("event", "unnamed")
    return kept


def _exceptions(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Turn structlog's `exc_info` into types and places."""
    given = event.pop("exc_info", None)
    exception = sys.exc_info()[1] if given is True else given
    if isinstance(exception, tuple):
        exception = exception[1]
    if isinstance(exception, BaseException):
        event.update(failure(exception))
    return event


_PROCESSORS: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    _exceptions,
    allowed,
    structlog.processors.JSONRenderer(),
]


class _Plain(logging.Handler):
    """What other libraries log, without their words."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log who logged, how grave it is and where; the message is not even formatted."""
        said: dict[str, Any] = {
            "logger": record.name,
            "place": _place(Path(record.pathname), record.lineno),
        }
        if record.exc_info and record.exc_info[1] is not None:
            said |= failure(record.exc_info[1])
        level = record.levelno if record.levelno >= logging.WARNING else logging.INFO
        structlog.get_logger().log(min(level, logging.CRITICAL) // 10 * 10, "library", **said)


def configure(level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send every log of this process through the allow-list to stderr.

    Also what would otherwise print by itself: warnings, exceptions that end the process or a
    thread, and exceptions in finalisers. Call it once, before uvicorn starts, and give uvicorn
    `log_config=None`, which otherwise puts its own handlers back.

    Parameters
    ----------
    level
        The least grave line of this package that is written; libraries speak from WARNING on.
    stream
        Where lines go; stderr as it is now.
    """
    structlog.configure(
        processors=_PROCESSORS,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Plain()]
    root.setLevel(logging.WARNING)
    logging.raiseExceptions = False  # or a broken record is printed with its arguments
    for name in {*LIBRARIES, *logging.root.manager.loggerDict}:
        other = logging.getLogger(name)
        other.handlers.clear()
        other.propagate = True
        other.setLevel(logging.NOTSET)
    logging.getLogger("uvicorn.access").disabled = True  # it prints paths, which hold ids
    _catch_what_prints_by_itself()


def _catch_what_prints_by_itself() -> None:
    def warned(*said: Any, **_: Any) -> None:
        _message, category, file, line = said[:4]
        structlog.get_logger().warning(
            "warning", category=category.__name__, place=_place(Path(str(file)), line)
        )

    def ended(_: object, exception: BaseException, __: object) -> None:
        structlog.get_logger().critical("process-failed", **failure(exception))

    def thread_ended(given: threading.ExceptHookArgs) -> None:
        if given.exc_value is not None:
            structlog.get_logger().error("thread-failed", **failure(given.exc_value))

    def unraisable(given: Any) -> None:
        if given.exc_value is not None:
            structlog.get_logger().error("finaliser-failed", **failure(given.exc_value))

    warnings.showwarning = warned
    sys.excepthook = ended
    threading.excepthook = thread_ended
    sys.unraisablehook = unraisable
