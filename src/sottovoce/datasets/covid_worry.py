"""covid-worry: 1,698 people who wrote in April 2020 and a year later, and rated their emotions.

Owns the columns of `rw3d_repeated_clean.csv` and the form of the recorded annotations that may lie
beside it. There is no depression scale in it: estimates can be made and exported, and held
against self-rated sadness and anxiety (`evaluation.correlates`), never judged as PHQ-9.

Each wave is a conversation of two messages, the long text and the short one. Left out: rows and
texts that are blank. Sex or age that was withdrawn ("CONSENT REVOKED") counts as not given.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sottovoce.conversations import Conversation, Message, located
from sottovoce.datasets.dataset import Dataset, Rating, Source
from sottovoce.datasets.places import corpus_table
from sottovoce.datasets.tables import adult_age, annotated_rows, cell, recorded_annotations
from sottovoce.errors import DataError, describe
from sottovoce.instruments import PHQ_9
from sottovoce.readers.answers import total_points
from sottovoce.readers.rows import read_rows

TABLE = "rw3d_repeated_clean.csv"
WAVES = (1, 2)
TEXTS = ("text_long", "text_short")
RATINGS = ("sadness", "anxiety")
"""The self-ratings, 1 to 9, that a severity of depression should go along with."""

PREFIX = "covid-"

_TIME_FORM = "%Y-%m-%d %H:%M:%S"
_SEXES = {"Female": "woman", "Male": "man"}
_LANGUAGE = {
    "Yes": "native English",
    "No but I speak it fluently": "not native, fluent",
    "No": "not native",
}

SOURCE = Source(
    "GPL-3",
    "https://github.com/ben-aaron188/covid19worry, rw3d_repeated_clean.csv",
    "Repository ben-aaron188/covid19worry (commit 7324d50), Real World Worry Waves Dataset.",
)
REMARKS = (
    "There is no PHQ-9 and no other depression scale here: an estimate can go along with "
    "self-rated sadness and anxiety or not, and nothing says whether it is right.",
    "Ratings and texts are of the same session, in an order that the file does not tell.",
    "People in the United Kingdom wrote two texts a wave about their worries over the pandemic: "
    "an essay is no conversation. Rules that ask for more than two messages are lowered to two.",
    "The times carry no zone and are read as UTC.",
)


def opened(path: str | Path | None, _instrument: str | None = None) -> Dataset:
    """Open the table, named itself or by its folder; `annotations.jsonl` beside it is read too."""
    table = corpus_table(path, "covid-worry", TABLE)
    chats: list[Conversation] = []
    ratings: list[Rating] = []
    people: dict[str, dict[str, object]] = {}
    for number, (line, row) in enumerate(read_rows(table)):
        user = f"{PREFIX}{number}"
        try:
            chats += _chats(user, row)
            ratings += _ratings(user, row)
            people[user] = _person(row)
        except DataError as error:
            raise located(error, table, line) from None
    for number, fields in annotated_rows(table.parent / "annotations.jsonl").items():
        people.setdefault(f"{PREFIX}{number}", {})["annotated_wave"] = fields.get("wave")
    return Dataset(
        name="covid-worry",
        title="covid-worry (no depression scale)",
        instrument=PHQ_9,
        conversations=tuple(chats),
        labels=(),
        source=SOURCE,
        people=people,
        annotations=recorded_annotations(table.parent, PHQ_9, PREFIX),
        ratings=tuple(ratings),
        remarks=REMARKS,
        fewest_messages=len(TEXTS),
    )


def _chats(user: str, row: Mapping[str, str]) -> Iterator[Conversation]:
    for wave in WAVES:
        begun = _begun(row, wave)
        texts = [cell(row, f"{kind}_wave{wave}") for kind in TEXTS]
        messages = tuple(
            Message("user", text, begun + timedelta(minutes=number))
            for number, text in enumerate(texts)
            if text.strip()
        )
        if messages:
            yield Conversation(user, f"{user}-wave{wave}", messages)


def _ratings(user: str, row: Mapping[str, str]) -> Iterator[Rating]:
    for wave in WAVES:
        values = {}
        for name in RATINGS:
            column = f"{name}_wave{wave}"
            value = total_points(cell(row, column), field=column)
            if value is not None:
                values[name] = float(value)
        yield Rating(user, f"wave {wave}", _begun(row, wave) + timedelta(hours=1), values)


def _begun(row: Mapping[str, str], wave: int) -> datetime:
    column = f"startdate_wave{wave}"
    written = cell(row, column)
    try:
        return datetime.strptime(written, _TIME_FORM).replace(tzinfo=UTC)
    except ValueError:
        raise DataError(
            f"the time is {describe(written)}",
            field=column,
            fix="give the file as it is published, for example 2020-04-06 12:00:00",
        ) from None


def _person(row: Mapping[str, str]) -> dict[str, object]:
    withdrawn = row.get("age_wave1", "").strip().isupper()  # a marker stands in place of the age
    return {
        "age": None if withdrawn else adult_age(row.get("age_wave1"), field="age_wave1"),
        "gender": _SEXES.get(row.get("Sex_wave1", "")),
        "language background": _LANGUAGE.get(row.get("eng_native_wave1", "")),
    }
