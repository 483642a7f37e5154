"""E-DAIC as a data set: official parts and PHQ-8; transcripts without speakers.

Owns the form of its transcripts (`300_Transcript.csv`, with Start_Time, End_Time, Text and
Confidence) and of its `labels` folder. Does not know anything of the audio or the video. The
corpus is licensed; nothing here gets it.

Its sessions 300 to 492 are those of DAIC-WOZ: a model that was trained on either knows people of
the other's training and development parts.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from sottovoce.conversations import Conversation, Message, QuestionnaireResponse, located
from sottovoce.datasets.daic_woz import FILLED_IN, START, genders
from sottovoce.datasets.dataset import Dataset, Part, Source
from sottovoce.datasets.places import corpus_folder, needed
from sottovoce.datasets.tables import cell
from sottovoce.errors import DataError
from sottovoce.instruments import PHQ_8
from sottovoce.readers import ReadOptions, read
from sottovoce.readers.clock import seconds_into
from sottovoce.readers.rows import read_rows

FILES: dict[Part, str] = {
    "train": "train_split.csv",
    "validation": "dev_split.csv",
    "test": "test_split.csv",
}
"""Part to its file with labels."""

FIRST_AUTOMATIC = 600
"""Sessions from this number on were led by a program alone, those before by a hidden human
(AVEC 2019, doi:10.1145/3347320.3357688, and the numbering 300-492 of DAIC-WOZ)."""

_NAME = re.compile(r"(?P<participant>\d+)_Transcript\.csv", re.IGNORECASE)

SOURCE = Source(
    "End-user licence of the University of Southern California, for research; not redistributable",
    "https://dcapswoz.ict.usc.edu/",
    "Ringeval et al. 2019, AVEC 2019 workshop and challenge, doi:10.1145/3347320.3357688; "
    "Gratch et al. 2014, LREC.",
)
REMARKS = (
    "A scripted interview about distress, spoken and transcribed by a machine: no chat with a "
    "companion, and the words may be wrong.",
    "PHQ-8 has no item on suicidal thoughts.",
    "The transcripts name no speakers and have no turns of the interviewer: all of it is read as "
    "the person's. Users of the corpus disagree whether her questions are heard in them, and "
    "nothing here can tell; a check on her turns alone is not possible.",
    "Sessions 300 to 492 are DAIC-WOZ's: do not test here what was trained there, or the other "
    "way round.",
    "Times are seconds from the start of a session; dates are made up.",
)


def opened(path: str | Path | None, _instrument: str | None = None) -> Dataset:
    """Open a folder with the transcripts, at any depth, and the split files."""
    folder = corpus_folder(path, "e-daic")
    labels: list[QuestionnaireResponse] = []
    parts: dict[str, Part] = {}
    people: dict[str, dict[str, object]] = {}
    for part, name in FILES.items():
        file = needed(folder, name)
        for each in read(file, "daic-woz-labels", ReadOptions(start=FILLED_IN)):
            assert isinstance(each, QuestionnaireResponse)
            labels.append(each)
            parts[each.user_id] = part
        people |= genders(file)
    chats = tuple(_interviews(folder))
    for user, columns in people.items():
        automatic = user.isdigit() and int(user) >= FIRST_AUTOMATIC
        columns["interviewer"] = "program" if automatic else "hidden human"
    return Dataset(
        name="e-daic",
        title="E-DAIC",
        instrument=PHQ_8,
        conversations=chats,
        labels=tuple(labels),
        source=SOURCE,
        parts=parts,
        people=people,
        dated=False,
        remarks=REMARKS,
    )


def _interviews(folder: Path) -> Iterator[Conversation]:
    files = sorted(file for file in folder.rglob("*") if _NAME.fullmatch(file.name))
    if not files:
        raise DataError(
            "the folder has no transcript",
            path=folder,
            fix="name a folder with files such as 300_Transcript.csv",
        )
    seen: set[str] = set()
    for file in files:
        named = _NAME.fullmatch(file.name)
        assert named is not None
        participant = named["participant"]
        if participant in seen:
            raise DataError(
                "a session has a second transcript", path=file, fix="keep one of the two"
            )
        seen.add(participant)
        messages = tuple(_messages(file))
        if messages:
            yield Conversation(participant, participant, messages)


def _messages(file: Path) -> Iterator[Message]:
    for line, row in read_rows(file, delimiter=","):
        try:
            text, at = cell(row, "Text"), seconds_into(cell(row, "Start_Time"), "Start_Time")
        except DataError as error:
            raise located(error, file, line) from None
        if text.strip():
            yield Message("user", text, START + at)
