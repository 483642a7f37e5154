"""From a source's turns to a conversation: who speaks, what is left out, when it was said.

Owns the names by which files call the person and the companion, and the rule for turns that
carry nothing (left out and counted). Does not know any format: a reader hands over one mapping a
turn and the names of its fields.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sottovoce.conversations import Conversation, Message, Role, check_text
from sottovoce.errors import DataError, describe
from sottovoce.readers.clock import Clock
from sottovoce.readers.options import ReadOptions, Tally

SPEAKERS: dict[str, str] = {
    **dict.fromkeys(("user", "human", "participant", "patient", "client"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "bot", "ai", "model", "ellie"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system turns"),
    **dict.fromkeys(("tool", "function", "function_call", "observation"), "tool turns"),
}
"""Speaker, in lower case, to the role it has here or to the words under which it is left out."""


@dataclass(frozen=True, slots=True)
class Names:
    """What a format calls the fields of a turn; of `times` the first that is there counts."""

    role: str = "role"
    content: str = "content"
    times: tuple[str, ...] = ("timestamp",)


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn that stays in: its role, its text, and its time if it has one."""

    role: Role
    content: str
    time: datetime | None


class Session:
    """One reading of one source.

    Parameters
    ----------
    options
        What the caller told.
    tally
        What the reader tells back.
    names
        What the format calls the fields of a turn.
    """

    def __init__(self, options: ReadOptions, tally: Tally, names: Names) -> None:
        self.options, self.tally, self.names = options, tally, names
        self.clock = Clock(options, tally)

    def turn(self, fields: Mapping[str, object], place: str = "") -> Turn | None:
        """Read one turn, or leave it out and count it.

        Parameters
        ----------
        fields
            The turn as the source has it.
        place
            Where it stands in its record ("messages[3]."), for errors.

        Raises
        ------
        DataError
            If the speaker is unknown, the text is not text, or the time cannot be read.
        """
        names = self.names
        role = self._role(fields.get(names.role), place + names.role)
        if role is None:
            return None
        if names.content not in fields:
            raise DataError("it is missing", field=place + names.content, fix="give the text")
        content = fields[names.content]
        if content is not None and not isinstance(content, str):
            raise DataError(
                f"it is {describe(content)}", field=place + names.content, fix="give the text"
            )
        if content is None or not content.strip():
            self.tally.left_out["empty turns"] += 1
            return None
        check_text(content, field=place + names.content)
        return Turn(role, content, self.time(fields, names.times, place))

    def time(
        self, fields: Mapping[str, object], names: Sequence[str], place: str = ""
    ) -> datetime | None:
        """Read the first of the named times that is there; None where there is none."""
        for name in names:
            if fields.get(name) not in (None, ""):
                return self.clock.moment(fields[name], field=place + name)
        return None

    def conversation(
        self,
        user_id: str,
        conversation_id: str,
        turns: Sequence[Turn],
        started_at: datetime | None = None,
    ) -> Conversation | None:
        """Put turns together, or leave a conversation without any out and count it.

        Raises
        ------
        DataError
            If nothing says when the turns were said.
        """
        if not turns:
            self.tally.left_out["conversations without a turn left"] += 1
            return None
        times = self.clock.fill(user_id, [turn.time for turn in turns], started_at)
        messages = tuple(
            Message(turn.role, turn.content, time) for turn, time in zip(turns, times, strict=True)
        )
        return Conversation(user_id, conversation_id, messages)

    def _role(self, speaker: object, field: str) -> Role | None:
        wanted = speaker.strip().lower() if isinstance(speaker, str) else ""
        told = self.options.roles
        meaning = told.get(wanted) or SPEAKERS.get(wanted) or told.get("*")
        if meaning is None:
            raise DataError(
                f"the speaker is {describe(speaker)} that is not known",
                field=field,
                fix="say what it is with --role SPEAKER=user, =assistant or =skip "
                "('*=skip' leaves out all unknown ones)",
            )
        if meaning == "user":
            return "user"
        if meaning == "assistant":
            return "assistant"
        self.tally.left_out["turns of speakers to skip" if meaning == "skip" else meaning] += 1
        return None


def identifier(value: object, *, field: str) -> str:
    """Read an id: text, or a whole number as its digits.

    Raises
    ------
    DataError
        If it is missing or of another kind.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise DataError(
            f"it is {describe(value)}",
            field=field,
            fix="give an id, or name the field that has it with --column",
        )
    check_text(value, field=field)
    return value


def record_ids(
    record: Mapping[str, object],
    options: ReadOptions,
    candidates: Mapping[str, Sequence[str]],
    position: int,
) -> tuple[str, str]:
    """Give the user_id and the conversation_id of a record.

    Parameters
    ----------
    record, position
        One conversation, and its place in the file: the id of one that has none.
    options
        A mapped `user_id` or `conversation_id` is looked for under that name only;
        ``user_id=conversation_id`` makes every conversation another person's.
    candidates
        Where else to look, for each of the two, first found first.

    Raises
    ------
    DataError
        If nothing says whose it is.
    """
    told = options.columns
    found = _first(record, told, candidates, "conversation_id")
    if found is None and "conversation_id" in told:
        raise DataError("it is missing", field=told["conversation_id"], fix="check --column")
    conversation_id = (
        f"conversation-{position}" if found is None else identifier(found[1], field=found[0])
    )
    if told.get("user_id") == "conversation_id" and "conversation_id" not in record:
        return conversation_id, conversation_id
    person = _first(record, told, candidates, "user_id")
    if person is None:
        raise DataError(
            "nothing says whose conversation this is",
            field=told.get("user_id", "user_id"),
            fix=_PERSON_FIX,
        )
    return identifier(person[1], field=person[0]), conversation_id


_PERSON_FIX = (
    "name the field with --column user_id=FIELD, or, if every conversation is another person's, "
    "add --column user_id=conversation_id"
)


def _first(
    record: Mapping[str, object],
    told: Mapping[str, str],
    candidates: Mapping[str, Sequence[str]],
    name: str,
) -> tuple[str, object] | None:
    places = (told[name],) if name in told else candidates[name]
    return next(((place, record[place]) for place in places if record.get(place) is not None), None)
