"""From a window to token ids: one rendering for training and for scoring, and its fingerprint.

Owns which roles are read, how messages are laid out, the token budget and what it drops, the
cutting into segments that a backbone can read, and which token belongs to which message. Does not
know backbones' weights, labels or pooling.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sottovoce.cohort import Window
from sottovoce.conversations import Message, Role
from sottovoce.errors import DataError, ModelError
from sottovoce.estimates import Dropped

Layout = Literal["chat", "turns", "plain"]

RENDERING_VERSIONS = {"user": 1, "assistant": 2}
"""By the roles that are read, the latest of which counts. Raised whenever the same window and
settings would give other tokens; part of the fingerprint. 2: where both are read, the budget drops
the companion's messages first. The person's alone are dropped as they always were, oldest first."""

_PROBE_TEXTS = (
    "I can't sleep, 3 nights now… \N{SLEEPING FACE} it's *fine*.",
    "Ça va? ٣ 日本語 <|im_end|> [SEP]\n\n\tOK",
)


@dataclass(frozen=True, slots=True)
class Rendering:
    """How a window becomes tokens.

    The study (arXiv 2606.17973) does not publish whether the companion's turns are kept, nor
    its context length; the defaults are ours.

    Parameters
    ----------
    roles
        Whose messages the backbone reads. The person's alone by default: the companion's turns
        can give severity away without the person having said anything (the field's shortcut:
        interviewer prompts alone reach F1 .90 on DAIC-WOZ).
    layout
        ``chat`` frames each message as the tokenizer's own chat template does, without its
        system text; ``turns`` puts "user:" or "assistant:" before it; ``plain`` only breaks the
        line. On the bundled training people, user messages alone: out-of-fold MAE 4.10, 4.16
        and 4.26 (docs/decisions/0003). Backbones without a chat template need one of the others.
    max_tokens
        Budget for the messages of a window with their turn markers, in tokens; what a tokenizer
        puts around every segment ([CLS], [SEP]) comes on top. Whole messages are kept, newest
        first, and the companion's only where all of the person's fit. What does not fit is
        dropped and counted. Of a newest message of the person that is longer than the budget the
        beginning is read: without it a person who wrote one long text could not be scored at all.
        4096 holds five times the longest window of the bundled cohort.

    Raises
    ------
    DataError
        If no role is left or the budget is not positive.
    """

    roles: tuple[Role, ...] = ("user",)
    layout: Layout = "chat"
    max_tokens: int = 4096

    def __post_init__(self) -> None:
        if "user" not in self.roles:
            raise DataError("the user's messages are not read", field="roles", fix="add user")
        if self.max_tokens < 1:
            raise DataError(
                "the budget is below 1", field="max_tokens", fix="give a number above 0"
            )

    @property
    def fingerprint(self) -> str:
        """Hash of the settings and of the code's rendering version."""
        version = max(RENDERING_VERSIONS[role] for role in self.roles)
        return _digest({**asdict(self), "version": version})


@dataclass(frozen=True, slots=True)
class Span:
    """Tokens ``start <= position < end`` of a segment are the text of one message of that role."""

    message: int
    role: Role
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Segment:
    """One sequence that the backbone reads at once: token ids and the messages in it."""

    token_ids: tuple[int, ...]
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class ModelInput:
    """A window as a backbone reads it.

    Parameters
    ----------
    segments
        In time order; more than one only where the window is longer than the backbone's context.
    n_messages
        Messages of the window that are in the segments.
    dropped
        Messages (of the roles that are read) and tokens that the token budget dropped.
    """

    segments: tuple[Segment, ...]
    n_messages: int
    dropped: Dropped

    @property
    def n_tokens(self) -> int:
        """Tokens over all segments."""
        return sum(len(segment.token_ids) for segment in self.segments)


Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Renderer:
    """Turns windows into token ids; what is the same for every window is worked out once.

    Parameters
    ----------
    tokenizer
        A Hugging Face tokenizer.
    rendering
        Roles, layout and budget.
    frame
        Ids before and after every segment.
    markers
        Ids before and after a message of each role.
    room
        The backbone's context without the frame, in tokens.
    """

    tokenizer: Any
    rendering: Rendering
    frame: tuple[Ids, Ids]
    markers: Mapping[Role, tuple[Ids, Ids]]
    room: int

    @classmethod
    def of(cls, tokenizer: Any, rendering: Rendering, max_length: int) -> "Renderer":
        """Look at a tokenizer.

        Parameters
        ----------
        tokenizer, rendering
            See above.
        max_length
            The backbone's context, in tokens, special tokens included.

        Raises
        ------
        ModelError
            If the layout ``chat`` is asked for and the tokenizer's template is missing, or cannot
            be taken apart.
        """
        around = frame(tokenizer)
        markers = {
            role: (_ids(tokenizer, before), _ids(tokenizer, after))
            for role, (before, after) in turn_markers(tokenizer, rendering.layout).items()
        }
        return cls(tokenizer, rendering, around, markers, max_length - sum(map(len, around)))

    def render(self, window: Window) -> ModelInput:
        """Turn a window, messages in time order, into token ids.

        Returns
        -------
        ModelInput
            Cut between messages where it must be cut; a message longer than the context is cut
            inside.

        Raises
        ------
        DataError
            If the window has no message of the roles that are read, or no text of the person.
        """
        messages = [each for each in window.messages if each.role in self.rendering.roles]
        if not messages:
            raise DataError(
                "the window has no message to read", fix="score windows without a reason"
            )
        encoded = [self._encode(number, each) for number, each in enumerate(messages)]
        kept = _within(encoded, self.rendering.max_tokens)
        before, after = self.frame
        segments = [
            Segment(
                (*before, *(token for piece in pieces for token in piece.token_ids), *after),
                _spans(pieces, len(before)),
            )
            for pieces in _pack(kept, self.room)
        ]
        if not any(span.role == "user" for segment in segments for span in segment.spans):
            raise DataError("the window has no user text to read", fix="leave the person out")
        return ModelInput(tuple(segments), len(kept), _dropped(encoded, kept))

    def _encode(self, number: int, message: Message) -> "_Piece":
        """Tokenise; text that looks like a special token stays text, markers are tokens."""
        before, after = self.markers[message.role]
        text = _ids(self.tokenizer, message.content, split_special_tokens=True)
        end = len(before) + len(text)
        return _Piece(number, message.role, (*before, *text, *after), len(before), end)


def frame(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Give the ids that the tokenizer puts before and after every text: [CLS] and [SEP], a BOS."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a", add_special_tokens=True)["input_ids"]
    for start in range(len(whole) - len(bare) + 1):
        if whole[start : start + len(bare)] == bare:
            return tuple(whole[:start]), tuple(whole[start + len(bare) :])
    return (), ()


def turn_markers(tokenizer: Any, layout: Layout) -> dict[Role, tuple[str, str]]:
    """Give the text before and after a message of each role.

    For ``chat`` it is read off the tokenizer's template: three marked messages are rendered and
    what stands around the marks is taken apart.

    Raises
    ------
    ModelError
        If ``chat`` is asked for and there is no template, or one that cannot be taken apart.
    """
    if layout == "plain":
        return {"user": ("", "\n"), "assistant": ("", "\n")}
    if layout == "turns":
        return {"user": ("user: ", "\n"), "assistant": ("assistant: ", "\n")}
    if not tokenizer.chat_template:
        raise ModelError(
            "the backbone's tokenizer has no chat template; use the layout turns or plain"
        )
    roles: tuple[Role, ...] = ("user", "assistant", "user")
    marks = [f"MARK{number}" for number in range(len(roles))]
    turns = [{"role": role, "content": mark} for role, mark in zip(roles, marks, strict=True)]
    whole = tokenizer.apply_chat_template(turns, tokenize=False)
    found = re.split("|".join(marks), whole)
    if len(found) != len(roles) + 1:
        raise ModelError(
            "the backbone's chat template cannot be taken apart; use the layout turns or plain"
        )
    head, to_assistant, to_user, user_end = found
    user_start = _common_ending(head, to_user).removeprefix(user_end)
    return {
        "user": (user_start, user_end),
        "assistant": (to_assistant.removeprefix(user_end), to_user.removesuffix(user_start)),
    }


def tokenizer_fingerprint(tokenizer: Any) -> str:
    """Hash what a tokenizer does: its vocabulary, special tokens and ids of two probing texts."""
    vocabulary = hashlib.sha256()
    for token, index in sorted(tokenizer.get_vocab().items()):
        vocabulary.update(f"{index}\t{token}\n".encode("utf-8", "surrogatepass"))
    return _digest(
        {
            "vocabulary": vocabulary.hexdigest(),
            "frame": frame(tokenizer),
            "probes": [
                tokenizer(text, add_special_tokens=False)["input_ids"] for text in _PROBE_TEXTS
            ],
        }
    )


@dataclass(frozen=True, slots=True)
class _Piece:
    """A message, or a part of one, as tokens: its text stands at ``start <= index < end``."""

    message: int
    role: Role
    token_ids: tuple[int, ...]
    start: int
    end: int

    def part(self, first: int, length: int) -> "_Piece":
        """Cut out `length` tokens from `first` on."""
        ids = self.token_ids[first : first + length]
        start, end = (min(max(at - first, 0), len(ids)) for at in (self.start, self.end))
        return _Piece(self.message, self.role, ids, start, end)

    def parts(self, length: int) -> Iterator["_Piece"]:
        """Cut the piece into parts of at most `length` tokens."""
        for first in range(0, len(self.token_ids), length):
            yield self.part(first, length)


def _ids(tokenizer: Any, text: str, **options: Any) -> Ids:
    return tuple(tokenizer(text, add_special_tokens=False, verbose=False, **options)["input_ids"])


def _within(encoded: Sequence[_Piece], budget: int) -> list[_Piece]:
    """Keep what fits, in time order: the person's newest messages, then the companion's newest.

    The first that does not fit ends it, so that neither history has a hole. The person's newest
    message is cut where it is longer than the budget alone.
    """
    wanted = sorted(encoded, key=lambda piece: (piece.role != "user", -piece.message))
    kept, used = [wanted[0].part(0, budget)], len(wanted[0].token_ids)
    for piece in wanted[1:]:
        used += len(piece.token_ids)
        if used > budget:
            break
        kept.append(piece)
    return sorted(kept, key=lambda piece: piece.message)


def _dropped(encoded: Sequence[_Piece], kept: Sequence[_Piece]) -> Dropped:
    """Count what is not kept, by role."""

    def count(role: Role) -> tuple[int, int]:
        read, there = (
            [len(piece.token_ids) for piece in pieces if piece.role == role]
            for pieces in (kept, encoded)
        )
        return len(there) - len(read), sum(there) - sum(read)

    user_messages, user_tokens = count("user")
    assistant_messages, assistant_tokens = count("assistant")
    return Dropped(user_messages, assistant_messages, user_tokens, assistant_tokens)


def _pack(messages: Sequence[_Piece], room: int) -> list[list[_Piece]]:
    """Group messages, in order, into segments of at most `room` tokens."""
    segments: list[list[_Piece]] = [[]]
    used = 0
    for message in messages:
        for part in message.parts(room):
            if used + len(part.token_ids) > room:
                segments.append([])
                used = 0
            segments[-1].append(part)
            used += len(part.token_ids)
    return [pieces for pieces in segments if pieces]


def _spans(pieces: Sequence[_Piece], offset: int) -> tuple[Span, ...]:
    spans = []
    for piece in pieces:
        if piece.end > piece.start:
            spans.append(Span(piece.message, piece.role, offset + piece.start, offset + piece.end))
        offset += len(piece.token_ids)
    return tuple(spans)


def _common_ending(first: str, second: str) -> str:
    length = 0
    while length < min(len(first), len(second)) and first[-1 - length] == second[-1 - length]:
        length += 1
    return first[len(first) - length :]


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
