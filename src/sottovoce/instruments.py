"""Questionnaires as data: items, range, bands, cut-offs, LOINC codes, reliability, with sources.

Owns every number about PHQ-9, PHQ-8 and GAD-7; no other module knows one. Does not know
conversations, models or files. LOINC codes were checked against the panels published by
Regenstrief (loinc.org: 44249-1, 69729-2 and answer list LL358-3).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sottovoce.errors import DataError

_KROENKE_2001 = "Kroenke, Spitzer, Williams 2001, doi:10.1046/j.1525-1497.2001.016009606.x"
_KROENKE_2009 = "Kroenke et al. 2009, doi:10.1016/j.jad.2008.06.026"
_SPITZER_2006 = "Spitzer et al. 2006, doi:10.1001/archinte.166.10.1092"
_MISSING_RULE = (
    "NHS IAPT Data Handbook v2.0.1 (2011), appendices: one or two missing values take the mean "
    "of the answered items; with more than two the questionnaire has no total"
)


@dataclass(frozen=True, slots=True)
class Item:
    """One question: its number (from 1), wording and LOINC code."""

    number: int
    wording: str
    loinc: str


@dataclass(frozen=True, slots=True)
class AnswerOption:
    """One answer of the list that all items share: its points, wording and LOINC answer code."""

    points: int
    wording: str
    loinc: str


@dataclass(frozen=True, slots=True)
class Band:
    """A severity band: totals from `lower` to `upper`, both included."""

    name: str
    lower: int
    upper: int


@dataclass(frozen=True, slots=True)
class Instrument:
    """A questionnaire whose total is the sum of items answered 0 to 3.

    Parameters
    ----------
    key
        The identifier in files, "phq-9".
    title, stem
        Its name, and the sentence that opens it.
    aliases
        Other spellings by which people name it in files and in speech.
    items, options, bands
        Questions in order, the answers they share, severity bands from mild to severe.
    cut_offs
        Totals at and above which a probability is reported, ascending.
    screening_cut_off
        The cut-off used for screening.
    look_back_days
        How far back the questionnaire asks, in days.
    max_missing
        Items that may be missing for a total to exist.
    loinc_panel, loinc_total
        LOINC codes; None where no code was verified. The total's code means *patient-reported*:
        an estimate is never exported under it.
    alpha
        Cronbach's alpha.
    alpha_source, missing_rule, sources
        Where the numbers come from.
    """

    key: str
    title: str
    stem: str
    aliases: tuple[str, ...]
    items: tuple[Item, ...]
    options: tuple[AnswerOption, ...]
    bands: tuple[Band, ...]
    cut_offs: tuple[int, ...]
    screening_cut_off: int
    look_back_days: int
    max_missing: int
    loinc_panel: str | None
    loinc_total: str | None
    alpha: float
    alpha_source: str
    missing_rule: str
    sources: tuple[str, ...]

    @property
    def minimum(self) -> int:
        """The lowest total."""
        return self.bands[0].lower

    @property
    def maximum(self) -> int:
        """The highest total."""
        return self.bands[-1].upper

    @property
    def item_maximum(self) -> int:
        """The highest points of one item."""
        return self.options[-1].points

    def band(self, total: float) -> Band:
        """Name the severity band of a total.

        A total between two whole numbers is rounded half up first, as a questionnaire only has
        whole totals.

        Raises
        ------
        DataError
            If the total lies outside the instrument's range.
        """
        self.check_total(total)
        whole = int(total + 0.5)
        return next(band for band in self.bands if band.lower <= whole <= band.upper)

    def check_total(self, total: float) -> None:
        """Raise DataError unless ``minimum <= total <= maximum``."""
        if not self.minimum <= total <= self.maximum:
            raise DataError(
                f"the total is {_shown(total)}, and {self.title} runs from {self.minimum} to "
                f"{self.maximum}",
                field="total",
                fix="correct the label or name another instrument",
            )

    def check_items(self, items: Sequence[int | None]) -> None:
        """Raise DataError unless there is one value per item, each missing or within 0..3."""
        if len(items) != len(self.items):
            raise DataError(
                f"there are {len(items)} items, and {self.title} has {len(self.items)}",
                field="items",
                fix="give one value per item, null where it was not answered",
            )
        for number, points in enumerate(items, start=1):
            if points is not None and not 0 <= points <= self.item_maximum:
                raise DataError(
                    f"item {number} is {_shown(points)}, and an item runs from 0 to "
                    f"{self.item_maximum}",
                    field="items",
                    fix="correct the item or set it to null",
                )

    def total(self, items: Sequence[int | None]) -> float | None:
        """Score a response; missing items follow the published rule, never "missing is 0".

        Parameters
        ----------
        items
            One value per item, 0..3, None where it was not answered.

        Returns
        -------
        float or None
            The total in points. With at most `max_missing` items missing, each takes the mean of
            the answered ones (so the total may be fractional); with more, there is no total.

        Raises
        ------
        DataError
            If the number of items or a value is out of range.

        References
        ----------
        See `missing_rule`.

        Examples
        --------
        >>> instrument("phq-9").total([1, 1, 1, 1, 1, 1, 1, None, None])
        9.0
        >>> instrument("phq-9").total([3, None, None, None, 0, 0, 0, 0, 0]) is None
        True
        """
        self.check_items(items)
        answered = [points for points in items if points is not None]
        if len(items) - len(answered) > self.max_missing:
            return None
        return sum(answered) * len(items) / len(answered)


def _shown(points: float) -> str:
    return f"{points:g}" if abs(points) < 1e6 else "far outside"


_ANSWERS = (
    AnswerOption(0, "Not at all", "LA6568-5"),
    AnswerOption(1, "Several days", "LA6569-3"),
    AnswerOption(2, "More than half the days", "LA6570-1"),
    AnswerOption(3, "Nearly every day", "LA6571-9"),
)
_STEM = "Over the last 2 weeks, how often have you been bothered by any of the following problems?"
_PHQ_ITEMS = (
    Item(1, "Little interest or pleasure in doing things", "44250-9"),
    Item(2, "Feeling down, depressed, or hopeless", "44255-8"),
    Item(3, "Trouble falling or staying asleep, or sleeping too much", "44259-0"),
    Item(4, "Feeling tired or having little energy", "44254-1"),
    Item(5, "Poor appetite or overeating", "44251-7"),
    Item(
        6,
        "Feeling bad about yourself, or that you are a failure or have let yourself or your "
        "family down",
        "44258-2",
    ),
    Item(
        7,
        "Trouble concentrating on things, such as reading the newspaper or watching television",
        "44252-5",
    ),
    Item(
        8,
        "Moving or speaking so slowly that other people could have noticed, or the opposite, "
        "being so fidgety or restless that you have been moving around a lot more than usual",
        "44253-3",
    ),
    Item(
        9,
        "Thoughts that you would be better off dead, or of hurting yourself in some way",
        "44260-8",
    ),
)

PHQ_9 = Instrument(
    key="phq-9",
    title="PHQ-9",
    stem=_STEM,
    aliases=("phq9", "phq 9", "patient health questionnaire"),
    items=_PHQ_ITEMS,
    options=_ANSWERS,
    bands=(
        Band("minimal", 0, 4),
        Band("mild", 5, 9),
        Band("moderate", 10, 14),
        Band("moderately severe", 15, 19),
        Band("severe", 20, 27),
    ),
    cut_offs=(5, 10, 15, 20),
    screening_cut_off=10,
    look_back_days=14,
    max_missing=2,
    loinc_panel="44249-1",
    loinc_total="44261-6",
    alpha=0.89,
    alpha_source=_KROENKE_2001,
    missing_rule=_MISSING_RULE,
    sources=(_KROENKE_2001,),
)

PHQ_8 = Instrument(
    key="phq-8",
    title="PHQ-8",
    stem=_STEM,
    aliases=("phq8", "phq 8"),
    items=_PHQ_ITEMS[:8],
    options=_ANSWERS,
    bands=(
        Band("minimal", 0, 4),
        Band("mild", 5, 9),
        Band("moderate", 10, 14),
        Band("moderately severe", 15, 19),
        Band("severe", 20, 24),
    ),
    cut_offs=(5, 10, 15, 20),
    screening_cut_off=10,
    look_back_days=14,
    max_missing=2,
    loinc_panel=None,
    loinc_total=None,
    alpha=0.89,
    alpha_source=f"the PHQ-9's, without item 9: {_KROENKE_2001}",
    missing_rule=f"the PHQ-9's, taken over: {_MISSING_RULE}",
    sources=(_KROENKE_2009,),
)

GAD_7 = Instrument(
    key="gad-7",
    title="GAD-7",
    stem=_STEM,
    aliases=("gad7", "gad 7", "generalised anxiety disorder", "generalized anxiety disorder"),
    items=(
        Item(1, "Feeling nervous, anxious or on edge", "69725-0"),
        Item(2, "Not being able to stop or control worrying", "68509-9"),
        Item(3, "Worrying too much about different things", "69733-4"),
        Item(4, "Trouble relaxing", "69734-2"),
        Item(5, "Being so restless that it is hard to sit still", "69735-9"),
        Item(6, "Becoming easily annoyed or irritable", "69689-8"),
        Item(7, "Feeling afraid as if something awful might happen", "69736-7"),
    ),
    options=_ANSWERS,
    bands=(
        Band("minimal", 0, 4),
        Band("mild", 5, 9),
        Band("moderate", 10, 14),
        Band("severe", 15, 21),
    ),
    cut_offs=(5, 10, 15),
    screening_cut_off=10,
    look_back_days=14,
    max_missing=2,
    loinc_panel="69737-5",
    loinc_total="70274-6",
    alpha=0.92,
    alpha_source=_SPITZER_2006,
    missing_rule=_MISSING_RULE,
    sources=(_SPITZER_2006,),
)

INSTRUMENTS: dict[str, Instrument] = {each.key: each for each in (PHQ_9, PHQ_8, GAD_7)}


def instrument(key: str) -> Instrument:
    """Look an instrument up by its key or one of its aliases, in any case.

    Raises
    ------
    DataError
        If no instrument has that name.
    """
    wanted = key.strip().lower().replace("_", "-")
    for each in INSTRUMENTS.values():
        if wanted == each.key or wanted in each.aliases:
            return each
    raise DataError(
        "the instrument is not one that Sottovoce knows",
        field="instrument",
        fix=f"use one of {', '.join(INSTRUMENTS)}",
    )
