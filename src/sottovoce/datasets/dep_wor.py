"""dep-wor: 500 people, six free answers each on depression and worry, and their PHQ-9 total.

Owns the columns of `dep_wor_data.csv`, the questions that make a chat of the answers, and the
form of the recorded annotations that may lie beside it. Does not know how anything is scored.

Left out on purpose: Depselect and Worselect, picks from a fixed list and not a person's own
words; GAD7tot and the health-care columns, which no estimate is held against.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sottovoce.conversations import Conversation, Message, QuestionnaireResponse, located
from sottovoce.datasets.dataset import ANNOTATOR, Dataset, Source
from sottovoce.datasets.places import corpus_table
from sottovoce.datasets.tables import adult_age, cell, recorded_annotations
from sottovoce.errors import DataError
from sottovoce.instruments import PHQ_9
from sottovoce.readers.answers import total_points
from sottovoce.readers.rows import read_rows

TABLE = "dep_wor_data.csv"

QUESTIONS = {
    "Depword": "Which words describe how you have felt over the last two weeks, down or not?",
    "Depphrase": "And in phrases?",
    "Deptext": "Tell me in a paragraph whether you have felt depressed or not.",
    "Worword": "Which words describe whether you have been worried or not?",
    "Worphrase": "And in phrases?",
    "Wortext": "Tell me in a paragraph whether you have been worried or not.",
}
"""Column to a question of ours in the data set's sense, so that the answers read as a chat."""

TOTAL = "PHQ9tot"
START = datetime(2020, 6, 1, tzinfo=UTC)
"""Made up, within the study's time: the data have no dates."""

SOURCE = Source(
    "GPL-3 (data of the R package topics)",
    "https://github.com/theharmonylab/topics, data dep_wor_data, saved as dep_wor_data.csv",
    "Data of the R package topics (theharmonylab); study: psyarxiv.com/p67db.",
)
REMARKS = (
    "The questions ask about depression and worry, so this is easier than talk in passing.",
    "People were asked online, in English, during the pandemic; they are no clinical sample.",
    "The six answers are shown as a chat: questions and times are ours, the answers theirs.",
    "The file codes gender as 0 and 1 and does not say which is which.",
)


def opened(path: str | Path | None, _instrument: str | None = None) -> Dataset:
    """Open the table, named itself or by its folder; `annotations.jsonl` beside it is read too."""
    table = corpus_table(path, "dep-wor", TABLE)
    chats, labels, people = [], [], {}
    for number, (line, row) in enumerate(read_rows(table)):
        user = str(number)
        try:
            chats.append(_chat(user, row))
            labels.append(_label(user, row))
            people[user] = _person(row)
        except DataError as error:
            raise located(error, table, line) from None
    said = recorded_annotations(table.parent, PHQ_9)
    return Dataset(
        name="dep-wor",
        title="dep-wor",
        instrument=PHQ_9,
        conversations=tuple(chats),
        labels=tuple(labels),
        source=SOURCE,
        people=people,
        references={ANNOTATOR: {user: each.total for user, each in said.items()}} if said else {},
        annotations=said,
        remarks=REMARKS,
    )


def _chat(user: str, row: Mapping[str, str]) -> Conversation:
    messages = []
    for number, (column, question) in enumerate(QUESTIONS.items()):
        at = START + timedelta(minutes=number)
        messages.append(Message("assistant", question, at))
        messages.append(Message("user", cell(row, column), at + timedelta(seconds=30)))
    return Conversation(user, f"{user}-answers", tuple(messages))


def _label(user: str, row: Mapping[str, str]) -> QuestionnaireResponse:
    total = total_points(cell(row, TOTAL), field=TOTAL)
    return QuestionnaireResponse(user, PHQ_9.key, START + timedelta(hours=1), total)


def _person(row: Mapping[str, str]) -> dict[str, object]:
    gender = total_points(row.get("Gender"), field="Gender")
    return {
        "age": adult_age(row.get("Age"), field="Age"),
        "gender": None if gender is None else f"coded {gender:g}",
    }
