"""What researchers get: a folder of de-identified chats, questionnaires, estimates and groups.

Owns who is in it, by how much times are moved, and which groups are too small to tell. Does not
know where records are kept nor how names are found (`deidentify`). Of texts, memory holds one
person's; of everybody, the pseudonym and the columns about her. `docs/privacy.md` says what this
covers and what it does not.
"""

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sottovoce import __version__
from sottovoce.conversations import (
    Conversation,
    QuestionnaireResponse,
    conversation_record,
    format_time,
    json_lines,
    response_record,
    write_json_lines,
)
from sottovoce.deidentify import Deidentifier
from sottovoce.deidentify.chats import Account, Ids, of_person
from sottovoce.errors import DataError
from sottovoce.estimates import Estimate, estimate_record
from sottovoce.evaluation.groups import NOT_GIVEN, Column, cut_column, suppressed
from sottovoce.histories import History
from sottovoce.metrics import LEAST_PEOPLE

CHATS, LABELS, SCORES, PEOPLE = "chats.jsonl", "labels.jsonl", "scores.jsonl", "people.jsonl"
RECORDS = (CHATS, LABELS, SCORES)
MANIFEST, README = "manifest.json", "README.md"

WEEKS = 104
"""Most weeks that a person's times are moved back; ours: two years take season and year away, and
one guess in 104 is right. Whole weeks, because weekdays stay in the text and times must fit them;
back, because a time in the future would be refused as an error of the clock (`check`)."""

NO_CONSENT = "no consent to research"
NOTHING = "no messages, questionnaires or estimates"
SUPPRESSED = "suppressed"


@dataclass(frozen=True, slots=True)
class Participant:
    """All that may be exported of one person.

    Parameters
    ----------
    history
        Conversations and questionnaires.
    consented
        Whether she agrees to the purpose `research` now.
    estimates
        Her estimates.
    groups
        Columns about her (age, sex, site), as in people.jsonl.

    Raises
    ------
    DataError
        If a record is another person's, or a column is called user_id.
    """

    history: History
    consented: bool
    estimates: tuple[Estimate, ...] = ()
    groups: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        owners = {each.user_id for each in self.history.conversations}
        owners |= {each.user_id for each in self.history.responses}
        owners |= {each.user_id for each in self.estimates}
        if not owners <= {self.history.user_id}:
            raise DataError(
                "a record is another person's", field="user_id", fix="give each person her own"
            )
        if "user_id" in self.groups:
            raise DataError(
                "a column about people is called user_id", field="groups", fix="name it otherwise"
            )

    @property
    def left_out(self) -> str | None:
        """Why she is not exported, or None."""
        if not self.consented:
            return NO_CONSENT
        told = self.history.conversations or self.history.responses or self.estimates
        return None if told else NOTHING


@dataclass(frozen=True, slots=True)
class Terms:
    """How an export is made.

    Parameters
    ----------
    deidentifier
        Its key decides pseudonyms, surrogates and by how much times are moved: without it nobody
        can turn them back. The same key in another export makes the two linkable.
    at
        When, timezone-aware: for the manifest.
    allow_few
        Whether to write even where fewer than `LEAST_PEOPLE` people are left.
    """

    deidentifier: Deidentifier
    at: datetime
    allow_few: bool = False


def export_research(
    people: Iterable[Participant], folder: str | Path, terms: Terms
) -> dict[str, Any]:
    """Write a research export: all of its files, or none.

    Parameters
    ----------
    people
        Everybody, one at a time; those who do not agree are left out here. Their order is that of
        the files, so it should be one that tells nothing.
    folder
        Is made; may not hold anything yet. Only its owner may read it.
    terms
        How.

    Returns
    -------
    dict
        The manifest as it is written.

    Raises
    ------
    DataError
        If the folder is taken or cannot be written, a person comes twice, a time cannot be moved,
        or too few people are left.
    """
    folder = Path(folder)
    with _whole(folder) as partial:
        shaping = _Shaping(terms)
        with _files(partial) as write:
            for each in people:
                shaping.add(each, write)
        for name in RECORDS:
            if not shaping.written[name]:  # readers refuse an empty file
                (partial / name).unlink()
        if len(shaping.groups) < LEAST_PEOPLE and not terms.allow_few:
            raise DataError(
                f"fewer than {LEAST_PEOPLE} people are left, who could be recognised",
                path=folder,
                fix="export when more agree, or allow few on purpose",
            )
        rows, columns, remarks = withheld(shaping.groups)
        write_json_lines(partial / PEOPLE, rows)
        manifest = shaping.manifest(columns, remarks)
        with _writing(folder):
            text = json.dumps(manifest, ensure_ascii=False, indent=2)
            (partial / MANIFEST).write_text(text + "\n", "utf-8")
            (partial / README).write_text(_readme(manifest), "utf-8")
    return manifest


def shift_of(deidentifier: Deidentifier, user_id: str) -> timedelta:
    """Give by how much a person's times are moved: 1 to `WEEKS` weeks back, never 0."""
    return -timedelta(weeks=1 + deidentifier.draw("weeks", user_id).below(WEEKS))


def withheld(
    groups: Mapping[str, Mapping[str, object]],
) -> tuple[list[dict[str, Any]], dict[str, dict[str, int]], list[str]]:
    """Withhold what fewer than `LEAST_PEOPLE` people share, also of several columns together.

    Column by column the people who are alike so far are divided by their next value. Parts that are
    too small, and those from which they could be worked out by subtraction, become "suppressed"
    together; what is left is always a set of `LEAST_PEOPLE` people or more that nothing tells apart
    (k-anonymity: Sweeney 2002, doi:10.1142/S0218488502001648). Columns that come first keep most.

    Parameters
    ----------
    groups
        Pseudonym to columns.

    Returns
    -------
    rows, counts, remarks
        The lines of people.jsonl by pseudonym; of each column the people of each value, counted
        over those lines, so that no other cell can be worked out; columns left out, and why.
    """
    people = sorted(groups)
    names = dict.fromkeys(name for user in people for name in groups[user])
    rows: list[dict[str, Any]] = [{"user_id": user} for user in people]
    counts, remarks = {}, []
    alike = [list(range(len(people)))]
    for name in names:
        column = cut_column(name, [groups[user].get(name) for user in people])
        if isinstance(column, str):
            remarks.append(column)
            continue
        alike = [part for rest in alike for part in _divided(column, rest, rows)]
        found = Counter(NOT_GIVEN if row[name] is None else str(row[name]) for row in rows)
        order = [*column.order, SUPPRESSED]
        counts[name] = {label: found[label] for label in order if found[label]}
    return rows, counts, remarks


def _divided(column: Column, alike: list[int], rows: list[dict[str, Any]]) -> Iterator[list[int]]:
    """Write one column of people who are alike so far; give those who still are."""
    small, more = suppressed(Counter(column.cells[row] for row in alike), LEAST_PEOPLE)
    parts: dict[str, list[int]] = {}
    for row in alike:
        cell = column.cells[row]
        label = SUPPRESSED if cell in small | more else cell
        rows[row][column.name] = None if label == NOT_GIVEN else label
        parts.setdefault(label, []).append(row)
    yield from parts.values()


Writers = Mapping[str, Callable[[dict[str, Any]], None]]


class _Shaping:
    """One export under way: who is in it, and what was counted."""

    def __init__(self, terms: Terms) -> None:
        self.terms, self.ids = terms, Ids(terms.deidentifier)
        self.account = Account()
        self.left_out: Counter[str] = Counter()
        self.written: Counter[str] = Counter()
        self.groups: dict[str, Mapping[str, object]] = {}

    def add(self, person: Participant, write: Writers) -> None:
        """Write what one person's files hold, or count why she is left out."""
        if person.left_out is not None:
            self.left_out[person.left_out] += 1
            return
        pseudonym = self.ids.of(person.history.user_id)
        if pseudonym in self.groups:
            raise DataError("a person comes twice", field="user_id", fix="give everybody once")
        self.groups[pseudonym] = person.groups
        try:
            for file, record in self._records(person):
                write[file](record)
                self.written[file] += 1
        except OverflowError:
            raise DataError(
                "a person's time lies too early to be moved back",
                field="timestamp",
                fix="correct it",
            ) from None

    def _records(self, person: Participant) -> Iterator[tuple[str, dict[str, Any]]]:
        shift = shift_of(self.terms.deidentifier, person.history.user_id)
        for conversation in of_person(person.history, self.ids, self.account):
            yield CHATS, conversation_record(_moved_conversation(conversation, shift))
        for response in person.history.responses:
            yield LABELS, response_record(_moved_response(self.ids.on(response), shift))
        for estimate in person.estimates:
            own = replace(estimate, user_id=self.ids.of(estimate.user_id))
            yield SCORES, estimate_record(_moved_estimate(own, shift))

    def manifest(
        self, columns: Mapping[str, Mapping[str, int]], remarks: Sequence[str]
    ) -> dict[str, Any]:
        """Give what the export holds, and how many were left out and why."""
        small, more = suppressed(self.left_out, LEAST_PEOPLE)
        return {
            "made_by": f"sottovoce {__version__}",
            "made_at": format_time(self.terms.at),
            "people": len(self.groups),
            "conversations": self.written[CHATS],
            "messages": self.account.messages,
            "questionnaires": self.written[LABELS],
            "estimates": self.written[SCORES],
            "deidentified_by": self.terms.deidentifier.label,
            "replaced": dict(self.account.replaced),
            "times": f"moved back by 1 to {WEEKS} whole weeks, the same for all of one person's",
            "fewest_people_alike": LEAST_PEOPLE,
            "groups": {name: dict(counts) for name, counts in columns.items()},
            "columns_left_out": list(remarks),
            "left_out": {
                reason: SUPPRESSED if reason in small | more else count
                for reason, count in sorted(self.left_out.items())
            },
        }


def _moved_conversation(conversation: Conversation, shift: timedelta) -> Conversation:
    moved = (replace(each, timestamp=each.timestamp + shift) for each in conversation.messages)
    return replace(conversation, messages=tuple(moved))


def _moved_response(response: QuestionnaireResponse, shift: timedelta) -> QuestionnaireResponse:
    return replace(response, completed_at=response.completed_at + shift)


def _moved_estimate(estimate: Estimate, shift: timedelta) -> Estimate:
    start, end = estimate.window_start, estimate.window_end
    return replace(
        estimate,
        window_start=None if start is None else start + shift,
        window_end=None if end is None else end + shift,
    )


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """Give a folder to fill that takes its place when nothing failed, and is gone otherwise."""
    with _writing(folder):
        if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
            raise DataError("there is something already", path=folder, fix="name a new folder")
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder.parent))
    try:
        yield partial
        with _writing(folder):
            partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DataError(
            f"the export cannot be written ({reason})", path=folder, fix="name another folder"
        ) from None


@contextmanager
def _files(folder: Path) -> Iterator[Writers]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(json_lines(folder / name)) for name in RECORDS}


def _readme(manifest: Mapping[str, Any]) -> str:
    least = manifest["fewest_people_alike"]
    apart = f"Columns in `{PEOPLE}` tell nobody apart from at least {least - 1} others."
    if manifest["people"] < least:
        apart = f"These are fewer than {least} people, who may be recognised."
    return f"""# Research export

{manifest["people"]} people who agreed to research. Made by {manifest["made_by"]} at \
{manifest["made_at"]}.

- `{CHATS}`: conversations, names and numbers replaced by surrogates ({manifest["deidentified_by"]})
- `{LABELS}`: questionnaires that people filled in
- `{SCORES}`: estimates by a model; none is a diagnosis
- `{PEOPLE}`: columns about people; null was not given, "{SUPPRESSED}" is withheld
- `{MANIFEST}`: what was counted, and who was left out and why

A file that would be empty is not there.

Times are {manifest["times"]}: distances in time and weekdays hold, dates and seasons do not. \
{apart} Counts that would tell of fewer than {least} are withheld.

De-identification is never complete: what people tell may still say who they are, and a date that \
somebody names in a message can give away by how much times were moved. Do not try to find out who \
anybody is, and do not publish messages.
"""
