"""DAIC-WOZ: tab-separated interview transcripts, and PHQ-8 labels from the split files.

Owns the corpus's columns and quirks: a participant a file (``300_TRANSCRIPT.csv``, alone or in
folders such as ``300_P``), times in seconds from the start of the session, Ellie (the companion's
place) and Participant (the person), prompt codes before what Ellie says in some sessions, markers
of the recording, eight item columns under their own names. Does not know what becomes of a turn
(`turns`).

The corpus has no dates: when a session took place is the option `start`, for every file, and so
is when the PHQ-8 was filled in. To predict the label from the interview, `start` of the labels
must lie after the interview and within the look-back. Streams: memory holds one interview.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from sottovoce.conversations import Conversation, QuestionnaireResponse, located
from sottovoce.errors import DataError
from sottovoce.instruments import PHQ_8
from sottovoce.readers.answers import Answers, points, response, total_points
from sottovoce.readers.clock import seconds_into
from sottovoce.readers.options import ReadOptions, Tally
from sottovoce.readers.rows import read_rows, require_columns
from sottovoce.readers.turns import Names, Session, identifier

COLUMNS = ("start_time", "stop_time", "speaker", "value")
ITEM_COLUMNS = (
    "PHQ8_NoInterest",
    "PHQ8_Depressed",
    "PHQ8_Sleep",
    "PHQ8_Tired",
    "PHQ8_Appetite",
    "PHQ8_Failure",
    "PHQ8_Concentrating",
    "PHQ8_Moving",
)
"""In the order of the instrument's items."""

TOTAL_COLUMNS = ("phq8_score", "phq_score")
"""Of the training and development splits, and of the full test split; in lower case."""

_NAME = re.compile(r"(?P<participant>\d+)_TRANSCRIPT\.csv", re.IGNORECASE)
_PROMPT = re.compile(r"\w+\s+\((?P<said>.*)\)\s*")
_MARKER = re.compile(r"[<\[]\s*synch?(?:ing)?\s*[>\]]", re.IGNORECASE)
_START_FIX = "add --start with the time of the session, for example --start 2025-05-27T15:00:00Z"


def read_daic_woz(
    path: str | Path, options: ReadOptions | None = None, tally: Tally | None = None
) -> Iterator[Conversation]:
    """Read one transcript, or all of a folder in the order of their names.

    Parameters
    ----------
    path
        A file named ``<participant>_TRANSCRIPT.csv``, or a folder with such files at any depth.
    options
        Uses `start` (when a session began) and `roles`.
    tally
        Counts what was left out or assumed.

    Raises
    ------
    DataError
        If there is no such file, no `start`, or a row that cannot be read.
    """
    options, tally = options or ReadOptions(), tally or Tally()
    start = _start(options, path)
    for file in _transcripts(Path(path)):
        conversation = _interview(file, start, Session(options, tally, Names("speaker", "value")))
        if conversation is not None:
            yield conversation


def read_daic_woz_labels(
    path: str | Path, options: ReadOptions | None = None, tally: Tally | None = None
) -> Iterator[QuestionnaireResponse]:
    """Read the PHQ-8 of a split file (``train_split_Depression_AVEC2017.csv`` and its like).

    Parameters
    ----------
    path
        A CSV with Participant_ID and a PHQ8_Score, the eight item columns, or both.
    options
        Uses `start`: when the questionnaires were filled in.
    tally
        Counts what was left out or assumed.

    Raises
    ------
    DataError
        With file, line and field, at the first row that cannot be read.
    """
    options, tally = options or ReadOptions(), tally or Tally()
    start = _start(options, path)
    for line, named in read_rows(path):
        row = {name.lower(): cell for name, cell in named.items()}
        try:
            read = response(_answers(row, start), tally)
        except DataError as error:
            raise located(error, path, line) from None
        if read is not None:
            yield read


def _start(options: ReadOptions, path: str | Path) -> datetime:
    if options.start is None:
        raise DataError("the corpus has no dates", path=path, fix=_START_FIX)
    return options.start


def _transcripts(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.rglob("*") if _NAME.fullmatch(file.name))
    if not found:
        raise DataError(
            "the folder has no transcript",
            path=path,
            fix="name a folder with files such as 300_TRANSCRIPT.csv",
        )
    return found


def _interview(file: Path, start: datetime, session: Session) -> Conversation | None:
    named = _NAME.fullmatch(file.name)
    if named is None:
        raise DataError(
            "the file's name does not say whose interview it is",
            path=file,
            fix="name it as the corpus does, for example 300_TRANSCRIPT.csv",
        )
    turns = []
    for line, row in read_rows(file, delimiter="\t", quoted=False):
        require_columns(row, [(name, name) for name in COLUMNS if name != "stop_time"], file)
        try:
            offset = seconds_into(row["start_time"], "start_time")
            if _MARKER.fullmatch(row["value"].strip()):
                session.tally.left_out["markers of the recording"] += 1
                continue
            turn = session.turn(
                {
                    "speaker": row["speaker"],
                    "value": _said(row, session.tally),
                    "timestamp": start + offset,
                }
            )
        except DataError as error:
            raise located(error, file, line) from None
        if turn is not None:
            turns.append(turn)
    participant = named["participant"]
    return session.conversation(participant, participant, turns)


def _said(row: dict[str, str], tally: Tally) -> str:
    """Give the words of a turn; in some sessions Ellie's stand in brackets after a prompt code."""
    prompt = _PROMPT.fullmatch(row["value"])
    if prompt is None or row["speaker"].strip().lower() != "ellie":
        return row["value"]
    tally.assumed["prompt codes of Ellie dropped, her words kept"] += 1
    return prompt["said"]


def _answers(row: dict[str, str], start: datetime) -> Answers:
    if "participant_id" not in row:
        raise DataError(
            "the file has no such column", field="Participant_ID", fix="give a split file"
        )
    total_column = next((name for name in TOTAL_COLUMNS if name in row), None)
    has_items = all(name.lower() in row for name in ITEM_COLUMNS)
    if total_column is None and not has_items:
        raise DataError(
            "the file has no such column",
            field="PHQ8_Score",
            fix="give a split file with labels; the corpus also has one without",
        )
    items = None
    if has_items:
        items = [points(row[name.lower()], PHQ_8, field=name) for name in ITEM_COLUMNS]
    total = None if total_column is None else row[total_column]
    return Answers(
        identifier(row["participant_id"].strip(), field="Participant_ID"),
        PHQ_8,
        start,
        items,
        total_points(total, field="PHQ8_Score"),
    )
