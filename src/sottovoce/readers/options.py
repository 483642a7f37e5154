"""What a caller tells a reader, and what a reader tells back: options and a tally.

Owns the choices that no file can make for its owner (which column is which, what a speaker is
called, when an undated conversation was, in which zone a clock stood) and the count of what was
left out or assumed. Does not know any format.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sottovoce.errors import DataError
from sottovoce.instruments import Instrument, instrument


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """The choices of one conversion.

    Parameters
    ----------
    columns
        Our name ("user_id") to the column or field of the source that holds it.
    roles
        Speaker as the source writes it, in lower case, to ``user``, ``assistant`` or ``skip``;
        ``*`` stands for every speaker not known otherwise.
    start
        When a source without times begins; timezone-aware.
    zone
        The time zone of times that carry none.
    instrument
        Key of the questionnaire, where the source does not say which it is.
    """

    columns: Mapping[str, str] = field(default_factory=dict, hash=False)
    roles: Mapping[str, str] = field(default_factory=dict, hash=False)
    start: datetime | None = None
    zone: tzinfo | None = None
    instrument: str | None = None

    def column(self, name: str) -> str:
        """Give the source's name for one of ours; the same name unless it was mapped."""
        return self.columns.get(name, name)

    def questionnaire(self) -> Instrument:
        """Give the instrument that was named.

        Raises
        ------
        DataError
            If none was named, or an unknown one.
        """
        if self.instrument is None:
            raise DataError(
                "the file does not say which questionnaire it holds",
                fix="add --instrument, for example --instrument phq-9",
            )
        return instrument(self.instrument)


@dataclass(slots=True)
class Tally:
    """What became of things that did not go straight through.

    Parameters
    ----------
    left_out
        What was left out, in words, and how often.
    assumed
        What was taken for granted as the options said, in words, and how often.
    """

    left_out: Counter[str] = field(default_factory=Counter)
    assumed: Counter[str] = field(default_factory=Counter)


def zone_named(name: str) -> tzinfo:
    """Look up a time zone by its IANA name ("Europe/Berlin").

    Raises
    ------
    DataError
        If there is no such zone.
    """
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise DataError(
            "the time zone is not known",
            field="timezone",
            fix="give an IANA name such as Europe/Berlin",
        ) from None
