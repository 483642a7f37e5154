"""DAIC-WOZ as a data set: official parts, PHQ-8, and the sessions that are known to be broken.

Owns which file is which part and what becomes of a broken session. Does not know how a transcript
or a split file is read (`readers.daic_woz`). The corpus is licensed; nothing here gets it.

What is known of sessions, and from where: the documentation that comes with the corpus
(DAICWOZDepression_Documentation_AVEC2017.pdf) for 342, 394, 398, 460 (excluded by its keepers),
373 and 444 (interrupted by a confederate), 451, 458, 480 (without Ellie's turns) and 402 (video
alone is cut); the constants of a public pipeline, adbailey1/daic_woz_process on GitHub, for 318,
321, 341, 362 (transcript against audio out of step) and 409 (PHQ8_Binary against its score).
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from sottovoce.conversations import Conversation, QuestionnaireResponse
from sottovoce.datasets.dataset import Dataset, Part, Source
from sottovoce.datasets.places import corpus_folder, needed, optional
from sottovoce.instruments import PHQ_8
from sottovoce.readers import ReadOptions, Tally, read
from sottovoce.readers.rows import read_rows

FILES: dict[Part, tuple[str, ...]] = {
    "train": ("train_split_Depression_AVEC2017.csv",),
    "validation": ("dev_split_Depression_AVEC2017.csv",),
    "test": ("full_test_split.csv",),
}
"""Part to the file with its labels; the keepers gave out the last one after the challenge."""

START = datetime(2000, 1, 1, tzinfo=UTC)
"""Made up: the corpus has no dates, only seconds from the start of a session."""

FILLED_IN = START + timedelta(days=1)
"""After every session and within any look-back. In truth people filled it in before they spoke."""

NEVER_RELEASED = frozenset({"342", "394", "398", "460"})
INTERRUPTED = {"373": (352.0, 420.0), "444": (286.0, 387.0)}
"""Session to the seconds in which somebody else was in the room: 5:52-7:00 and 4:46-6:27."""

WITHOUT_INTERVIEWER = frozenset({"451", "458", "480"})
OUT_OF_STEP = frozenset({"318", "321", "341", "362"})
WRONG_BINARY = frozenset({"409"})

SOURCE = Source(
    "End-user licence of the University of Southern California, for research; not redistributable",
    "https://dcapswoz.ict.usc.edu/",
    "Gratch et al. 2014, The Distress Analysis Interview Corpus of human and computer interviews, "
    "LREC; DeVault et al. 2014, SimSensei kiosk, AAMAS.",
)
REMARKS = (
    "A scripted interview about distress, spoken and transcribed: no chat with a companion.",
    "PHQ-8 has no item on suicidal thoughts.",
    "The interviewer's turns stand apart as the assistant's. Her prompts alone have been enough "
    "to guess the label (F1 .90 was reported): read the leak suite first.",
    "Times are seconds from the start of a session; dates are made up.",
    "The file codes gender as 0 and 1 and does not say which is which.",
)


def opened(path: str | Path | None, _instrument: str | None = None) -> Dataset:
    """Open a folder with the transcripts, at any depth, and the split files."""
    folder = corpus_folder(path, "daic-woz")
    labels, parts, people, without_test = _labels(folder)
    tally = Tally()
    interviews = read(folder, "daic-woz", ReadOptions(start=START), tally)
    chats = [each for each in interviews if isinstance(each, Conversation)]
    kept = [each for each in chats if each.user_id not in NEVER_RELEASED]
    whole = [_without_interruption(each) for each in kept]
    lost = sum(len(each.messages) for each in kept) - sum(len(each.messages) for each in whole)
    left_out = {
        **tally.left_out,
        "sessions that the corpus excludes": len(chats) - len(kept),
        "turns while a session was interrupted": lost,
    }
    present = {each.user_id for each in whole}
    return Dataset(
        name="daic-woz",
        title="DAIC-WOZ",
        instrument=PHQ_8,
        conversations=tuple(whole),
        labels=tuple(each for each in labels if each.user_id not in NEVER_RELEASED),
        source=SOURCE,
        parts=parts,
        people=people,
        remarks=(*REMARKS, *_broken(present), *((NO_TEST,) if without_test else ())),
        left_out={reason: count for reason, count in left_out.items() if count},
    )


NO_TEST = (
    "The folder has no full_test_split.csv, so the development people are tested, as most papers "
    "did; no threshold can be chosen on other people."
)


def _labels(
    folder: Path,
) -> tuple[list[QuestionnaireResponse], dict[str, Part], dict[str, dict[str, object]], bool]:
    """Read the split files: labels, parts, gender, and whether the test people have no labels."""
    labels: list[QuestionnaireResponse] = []
    parts: dict[str, Part] = {}
    people: dict[str, dict[str, object]] = {}
    without_test = optional(folder, *FILES["test"]) is None
    for part, names in FILES.items():
        if part == "test" and without_test:
            continue
        file = needed(folder, *names)
        used: Part = "test" if part == "validation" and without_test else part
        for each in read(file, "daic-woz-labels", ReadOptions(start=FILLED_IN)):
            assert isinstance(each, QuestionnaireResponse)
            labels.append(each)
            parts[each.user_id] = used
        people |= genders(file)
    return labels, parts, people, without_test


def genders(file: Path) -> dict[str, dict[str, object]]:
    """Give the gender column of a split file as it is coded, by participant."""
    found: dict[str, dict[str, object]] = {}
    for _, named in read_rows(file):
        row = {name.lower(): cell.strip() for name, cell in named.items()}
        coded = row.get("gender", "")
        shown = f"coded {coded}" if coded.isdigit() else coded.lower()
        found[row["participant_id"]] = {"gender": shown or None}
    return found


def _without_interruption(interview: Conversation) -> Conversation:
    if interview.user_id not in INTERRUPTED:
        return interview
    begun, ended = (START + timedelta(seconds=each) for each in INTERRUPTED[interview.user_id])
    kept = tuple(each for each in interview.messages if not begun <= each.timestamp < ended)
    return Conversation(interview.user_id, interview.conversation_id, kept)


def _broken(present: set[str]) -> list[str]:
    """Say how many of the sessions known to be broken are here, and what became of them."""
    known = (
        (WITHOUT_INTERVIEWER, "lack the interviewer's turns: kept, the person's words are whole"),
        (OUT_OF_STEP, "have times out of step with the audio: kept, the order of turns is right"),
        (WRONG_BINARY, "have a wrong binary label: kept, only the score is read"),
        (frozenset(INTERRUPTED), "were interrupted: kept without the turns of that time"),
    )
    counted = ((len(sessions & present), what) for sessions, what in known)
    return [f"Sessions that {what} ({count})." for count, what in counted if count]
