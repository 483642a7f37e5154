"""Times as foreign files write them, made timezone-aware UTC; none is ever made up silently.

Owns reading ISO 8601 text, unix seconds and date objects, the rule for times without a zone, and
the rule for turns without a time: they follow their conversation's start one second apart. Does
not know any format, nor what a turn says.

One second, because order is all that such a file knows. It must survive (equal times would be
ties), and the turns must stay so close together that the conversation does not reach into the
next one or past a questionnaire.
"""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sottovoce.errors import DataError, describe
from sottovoce.readers.options import ReadOptions, Tally

SPACING = timedelta(seconds=1)
"""Between turns that carry no time (see above)."""

EARLIEST_UNIX = 1e8
"""Unix seconds below this (March 1973) are row numbers, seconds since a start or an unset zero."""

LATEST_UNIX = 1e11
"""Unix "seconds" above this (the year 5138) are milliseconds."""

_DIGITS = re.compile(r"-?\d{9,}(?:\.\d+)?")
_DATE_ONLY = re.compile(r"\d{4}-\d\d-\d\d|\d{8}")
_TIME_FIX = "write ISO 8601 with an offset (2025-05-27T15:49:08Z) or unix seconds"
_START_FIX = (
    "add --start 2025-05-27T15:49:08Z, or name the field that has it with --column started_at=FIELD"
)


class Clock:
    """Reads the times of one source.

    Parameters
    ----------
    options
        Of these it uses `start` and `zone`.
    tally
        Where it counts the times that rest on an option.
    """

    def __init__(self, options: ReadOptions, tally: Tally) -> None:
        self.options, self.tally = options, tally
        self._ends: dict[str, datetime] = {}

    def moment(self, value: object, *, field: str) -> datetime:
        """Read one time as timezone-aware UTC.

        A time without a zone is read in the zone of the options; without that it is refused. In
        the hour that a clock shows twice the first is taken, and counted. A date alone is its
        first moment: of a questionnaire this says that nothing said on that day came before it.

        Raises
        ------
        DataError
            If it is no time, has no zone, or never was on that zone's clocks.
        """
        try:
            if isinstance(value, int | float) and not isinstance(value, bool):
                return _from_unix(value)
            if isinstance(value, str):
                return self._from_text(value.strip())
            if isinstance(value, datetime):
                return self._with_zone(value)
        except DataError as error:
            raise DataError(error.problem, field=field, fix=error.fix) from None
        except OverflowError:
            raise DataError(
                "the time is outside the calendar", field=field, fix=_TIME_FIX
            ) from None
        raise DataError(f"the time is {describe(value)}", field=field, fix=_TIME_FIX)

    def fill(
        self, user_id: str, times: Sequence[datetime | None], started_at: datetime | None
    ) -> list[datetime]:
        """Give every turn of a conversation a time.

        Parameters
        ----------
        user_id, times
            Whose conversation it is, and its turns' own times; all, or none.
        started_at
            The conversation's own time, if the source has one.

        Returns
        -------
        list of datetime
            The turns' own times, or from `started_at` or the option `start` on one second apart;
            under `start` a person's conversations follow each other in the order of the file.

        Raises
        ------
        DataError
            If only some turns have a time, or nothing says when the conversation was.
        """
        own = [time for time in times if time is not None]
        if len(own) == len(times):
            return own
        if own:
            raise DataError(
                f"{len(times) - len(own)} of {len(times)} turns have no time",
                field="timestamp",
                fix="give every turn of a conversation a time, or none",
            )
        begin = started_at or self._begin(user_id)
        self.tally.assumed["times of turns, one second apart from the conversation's start"] += len(
            times
        )
        filled = [begin + index * SPACING for index in range(len(times))]
        self._ends[user_id] = filled[-1]
        return filled

    def _begin(self, user_id: str) -> datetime:
        start = self.options.start
        if start is None:
            raise DataError("nothing says when the conversation was", fix=_START_FIX)
        before = self._ends.get(user_id)
        return start if before is None else max(start, before + SPACING)

    def _from_text(self, text: str) -> datetime:
        if _DIGITS.fullmatch(text):
            return _from_unix(float(text))
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise DataError(f"the time is not ISO 8601 ({describe(text)})", fix=_TIME_FIX) from None
        if _DATE_ONLY.fullmatch(text) and self.options.zone is not None:
            self.tally.assumed["dates without an hour, read as the first moment of the day"] += 1
        return self._with_zone(moment)

    def _with_zone(self, moment: datetime) -> datetime:
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
        zone = self.options.zone
        if zone is None:
            raise DataError(
                "the time has no time zone",
                fix="add --timezone with the zone of the source, for example Europe/Berlin",
            )
        first, second = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
        aware = first.astimezone(UTC)
        if aware.astimezone(zone).replace(tzinfo=None) != moment:
            raise DataError(
                "the time never was on the clocks of that time zone (they went forward)",
                fix="check --timezone",
            )
        if first.utcoffset() != second.utcoffset():
            self.tally.assumed["times in an hour that clocks showed twice, read as the first"] += 1
        return aware


def _from_unix(seconds: float) -> datetime:
    if not math.isfinite(seconds):
        raise DataError("the time is not a finite number", fix=_TIME_FIX)
    if abs(seconds) >= LATEST_UNIX:
        raise DataError("the time looks like milliseconds", fix="divide it by 1000")
    if seconds < EARLIEST_UNIX:
        raise DataError("the number is not a unix time in seconds", fix=_TIME_FIX)
    return datetime.fromtimestamp(seconds, UTC)


def seconds_into(cell: str, field: str) -> timedelta:
    """Read how far into a session something was said.

    Raises
    ------
    DataError
        If it is not a number of seconds within a day.
    """
    try:
        seconds = float(cell)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < timedelta(days=1).total_seconds():
        raise DataError(
            f"it is {describe(cell)}",
            field=field,
            fix="give seconds from the start of the session, within a day",
        )
    return timedelta(seconds=seconds)
