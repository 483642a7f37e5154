"""A data set: conversations, totals, whose they are, and what a reader of its results must know.

Owns its parts (a person stands in one), the windows of each, columns for tables by group, and
writing it as canonical files. Does not know any corpus, which is a module each beside this one,
nor any predictor.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from sottovoce.annotations import Annotation, annotation_record
from sottovoce.cohort import (
    BARRED,
    Cohort,
    Window,
    WindowRules,
    build_cohort,
    timeline,
    window_before,
)
from sottovoce.conversations import (
    Conversation,
    QuestionnaireResponse,
    conversation_record,
    response_record,
    write_json_lines,
)
from sottovoce.errors import DataError
from sottovoce.instruments import Instrument
from sottovoce.people import people_columns
from sottovoce.trial import Trial

Part = Literal["train", "validation", "test", "unlabelled"]
PARTS: tuple[Part, ...] = ("train", "validation", "test", "unlabelled")

ANNOTATOR = "annotator"
"""Name of the reference that is a recorded annotator's reading."""

FACTS = "dataset.json"
"""What a folder of canonical files says of itself: title, licence, remarks, simulated or not."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a data set comes from: its licence, where to get it, whom to cite."""

    licence: str
    where: str
    citation: str


@dataclass(frozen=True, slots=True)
class Rating:
    """How somebody rated what they felt, at one occasion: no questionnaire that has a total.

    Parameters
    ----------
    user_id
        Who.
    occasion
        Which of several, "wave 1".
    completed_at
        When; a window to read ends here.
    values
        What was rated to the rating.
    """

    user_id: str
    occasion: str
    completed_at: datetime
    values: Mapping[str, float] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Conversations of people and, as far as known, their questionnaires.

    Parameters
    ----------
    name, title
        By which it is opened, and what a report calls it.
    instrument
        The questionnaire that estimates are held against.
    conversations, labels
        Everybody's, in the order of the source; no labels where there is no questionnaire.
    source
        Licence, where to get it, citation.
    parts
        Person to part; empty where the data have no split, and people are then tested in folds.
    people
        Person to columns for tables by group; never model input.
    references
        Name to person to points: totals that others gave these people.
    annotations
        Person to what a recorded annotator said.
    ratings
        Self-ratings where there is no questionnaire.
    simulated
        Whether its people are invented.
    remarks
        Sentences that every report on it must show.
    left_out
        Reason to count of what was left out on reading.
    fewest_messages
        User messages that a person has by the design of the study, where these are fewer than
        window rules usually ask for; None leaves the rules as they are.
    """

    name: str
    title: str
    instrument: Instrument
    conversations: tuple[Conversation, ...]
    labels: tuple[QuestionnaireResponse, ...]
    source: Source
    parts: Mapping[str, Part] = field(default_factory=dict, hash=False)
    people: Mapping[str, Mapping[str, object]] = field(default_factory=dict, hash=False)
    references: Mapping[str, Mapping[str, float]] = field(default_factory=dict, hash=False)
    annotations: Mapping[str, Annotation] = field(default_factory=dict, hash=False)
    ratings: tuple[Rating, ...] = ()
    simulated: bool = False
    remarks: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict, hash=False)
    fewest_messages: int | None = None

    def adapted(self, rules: WindowRules) -> WindowRules:
        """Ask for no more user messages than people have by the design of the study."""
        if self.fewest_messages is None or self.fewest_messages >= rules.min_user_messages:
            return rules
        return replace(rules, min_user_messages=self.fewest_messages)

    def trial(self, rules: WindowRules, seed: int = 0) -> Trial:
        """Cut the windows before the questionnaires of each part.

        Parameters
        ----------
        rules
            What a window is; those of the estimator that is tested.
        seed
            Of the folds, where there is no split.

        Returns
        -------
        Trial
            With everybody as test people where the data have no split. A test person with too
            little to read is in it, with the reason, so that models abstain and are seen to. Its
            `left_out` counts what else could not be used, part by part.

        Raises
        ------
        DataError
            If there is no questionnaire, or nobody is left to test.
        """
        if not self.labels:
            raise DataError(
                f"{self.name} has no {self.instrument.title} that estimates could be held against",
                fix="score it or export it",
            )
        used, left_out = self.adapted(rules), Counter(self.left_out)
        windows: dict[Part, tuple[Window, ...]] = {}
        for part in ("test", "train", "validation"):
            cohort = self._cohort(part, used)
            windows[part] = cohort.windows
            tested = part == "test"
            if tested:
                windows[part] += cohort.barred
            for reason, count in cohort.left_out.items():
                if not (tested and reason == BARRED):
                    left_out[f"{part}: {reason}" if self.parts else reason] += count
        unread = sum(self._part(each.user_id) in (None, "unlabelled") for each in self.labels)
        if unread:
            left_out["questionnaires of people in no part that has any"] += unread
        return Trial(
            self.instrument,
            windows["test"],
            windows["train"],
            windows["validation"],
            self.references,
            self.simulated,
            seed,
            dict(left_out),
        )

    def rated(self, rules: WindowRules) -> tuple[Window, ...]:
        """Cut the window before each rating, in the order of `ratings`.

        A window with too little to read has its `reason`, so that an estimator abstains from it.
        """
        by_person: dict[str, list[Conversation]] = {}
        for each in self.conversations:
            by_person.setdefault(each.user_id, []).append(each)
        used = self.adapted(rules)
        return tuple(
            window_before(
                each.user_id,
                timeline(by_person.get(each.user_id, ())),
                each.completed_at,
                used,
            )
            for each in self.ratings
        )

    def columns(self, windows: Sequence[Window]) -> dict[str, list[object]]:
        """Give columns for tables by group, one value per window.

        What the data know of people, and two columns of what they wrote: ``user words`` and
        ``user messages`` of the window.
        """
        named = people_columns(self.people, [each.user_id for each in windows])
        said = [[each.content for each in window.user_messages] for window in windows]
        named["user words"] = [sum(len(text.split()) for text in texts) for texts in said]
        named["user messages"] = [len(texts) for texts in said]
        return named

    def export(self, folder: str | Path) -> tuple[Path, ...]:
        """Write canonical files, which `sottovoce train` and the data set ``folder`` read.

        ``chats.jsonl``, ``people.jsonl`` with the column ``split`` where there is one, and
        ``dataset.json``; ``labels.jsonl`` and ``annotations.jsonl`` where there are any.

        Returns
        -------
        tuple of Path
            The files.

        Raises
        ------
        DataError
            If one of them stands there already, or cannot be written.
        """
        folder = Path(folder)
        lines = {
            "chats.jsonl": list(map(conversation_record, self.conversations)),
            "labels.jsonl": list(map(response_record, self.labels)),
            "annotations.jsonl": list(map(annotation_record, self.annotations.values())),
            "people.jsonl": self._people_records(),
        }
        written = {folder / name: records for name, records in lines.items() if records}
        for path in (*written, folder / FACTS):
            if path.exists():
                raise DataError("it exists already", path=path, fix="name another folder")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise DataError(
                f"the folder cannot be made ({reason})", path=folder, fix="name another folder"
            ) from None
        for path, records in written.items():
            write_json_lines(path, records)
        facts = folder / FACTS
        facts.write_text(json.dumps(self._facts(), ensure_ascii=False, indent=1) + "\n", "utf-8")
        return (*written, facts)

    def _part(self, user: str) -> Part | None:
        return self.parts.get(user) if self.parts else "test"

    def _cohort(self, part: Part, rules: WindowRules) -> Cohort:
        labels = [each for each in self.labels if self._part(each.user_id) == part]
        wanted = {each.user_id for each in labels}
        chats = [each for each in self.conversations if each.user_id in wanted]
        return build_cohort(chats, labels, rules, self.instrument)

    def _people_records(self) -> list[dict[str, Any]]:
        users = dict.fromkeys(each.user_id for each in self.conversations)
        users |= dict.fromkeys(each.user_id for each in self.labels)
        records = []
        for user in users:
            part = self.parts.get(user)
            named = {"user_id": user} if part is None else {"user_id": user, "split": part}
            records.append({**named, **self.people.get(user, {})})
        return records

    def _facts(self) -> dict[str, Any]:
        """Give what the canonical files cannot say."""
        return {
            "title": self.title,
            "simulated": self.simulated,
            "licence": self.source.licence,
            "where": self.source.where,
            "citation": self.source.citation,
            "remarks": list(self.remarks),
        }
