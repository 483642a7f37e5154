"""The third body: a reader of symptoms, message by message, that gives a total and its evidence.

Owns how readings of messages become a person's item profile and total, and what the total rests
on. Does not know how it is taught (`distillation`), nor what an item asks about.

A person's message is read as points that it speaks for on each item, and whether it says that the
item is absent. Over all messages the strongest reading, the mean of the two strongest and the mean
of all are kept (attention that is fixed, not learnt); nine items come from these, and the total
from the items.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sottovoce.backbones import Backbone
from sottovoce.body import Tensors
from sottovoce.features import MessageStates, message_states
from sottovoce.model_input import ModelInput
from sottovoce.progress import Advance

Array = npt.NDArray[np.float64]

N_STRONGEST = 2
"""Messages whose readings are averaged beside the single strongest. On the bundled training people
2 and 3 are alike (MAE 3.76), and without it it is 3.82 (docs/decisions/0011)."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A message that speaks to an item.

    Parameters
    ----------
    item
        Number of the item, from 1.
    message
        Number of the message, from 0.
    level
        Points that it speaks for, as read: drawn towards 0 by the penalty, and not bounded.
    """

    item: int
    message: int
    level: float


@dataclass(frozen=True, slots=True)
class Grounds:
    """What the total of a window rests on.

    Parameters
    ----------
    profile
        Items, points within their range, shape (n_items,).
    messages
        Numbers of the messages that were read, ascending, shape (m,).
    levels
        Points that each speaks for on each item, not bounded, shape (m, n_items).
    """

    profile: Array
    messages: npt.NDArray[np.int64]
    levels: Array

    def evidence(self, n_messages: int = 1, least: float = -np.inf) -> tuple[Evidence, ...]:
        """Give the messages that speak most for each item, strongest first within an item.

        Parameters
        ----------
        n_messages
            Most messages of an item.
        least
            Points below which a message is no evidence.
        """
        order = np.argsort(-self.levels, axis=0, kind="stable")[:n_messages]
        return tuple(
            Evidence(item + 1, int(self.messages[row]), float(self.levels[row, item]))
            for item in range(len(self.profile))
            for row in order[:, item]
            if self.levels[row, item] >= least
        )


@dataclass(frozen=True, slots=True)
class EvidenceReader:
    """A message reader, and how its readings add up to a person.

    Parameters
    ----------
    layers
        Whose states are read, L of them, ascending.
    weights, intercepts
        Readings of a message's states, the mean over layers, shape (L, hidden_size, 2 * n_items)
        and (2 * n_items,): points of each item, then how far each is said to be absent (0 to 1).
    profile_weights, profile_intercepts
        Items of a window's pooled readings, shape (3 * 2 * n_items, n_items) and (n_items,).
    total_weights
        Intercept of the total in points, then its points for a point of each item, shape
        (1 + n_items,).
    item_maximum
        The highest points of an item.
    """

    layers: tuple[int, ...]
    weights: Array
    intercepts: Array
    profile_weights: Array
    profile_intercepts: Array
    total_weights: Array
    item_maximum: int

    @classmethod
    def rebuild(cls, record: Mapping[str, Any], tensors: Tensors) -> "EvidenceReader":
        """Give the reader of a record and its tensors."""
        kept = {name: tensors[f"reader.{name}"] for name in _TENSORS}
        return cls(tuple(record["layers"]), item_maximum=record["item_maximum"], **kept)

    @property
    def kind(self) -> str:
        """`reader`."""
        return "reader"

    @property
    def keep_layers(self) -> int:
        """Blocks up to the highest layer read, and one more: the last block's output is normed."""
        return self.layers[-1] + 1

    @property
    def record(self) -> dict[str, Any]:
        """Layers and range."""
        return {
            "kind": self.kind,
            "layers": list(self.layers),
            "item_maximum": self.item_maximum,
        }

    @property
    def tensors(self) -> Tensors:
        """Weights and intercepts of both steps."""
        return {f"reader.{name}": getattr(self, name) for name in _TENSORS}

    @property
    def n_items(self) -> int:
        """Items of the questionnaire."""
        return len(self.profile_intercepts)

    @property
    def summary(self) -> str:
        """What is read, on which layers."""
        return f"evidence reader of {self.n_items} items on layers " + ", ".join(
            map(str, self.layers)
        )

    @property
    def described(self) -> str:
        """What is read and how it adds up."""
        return (
            f"{self.summary}: each message read for every item, the strongest readings and their "
            "mean made into items, and these into the total"
        )

    def prepare(self, backbone: Backbone) -> Backbone:
        """Give the backbone as it is: it is read frozen."""
        return backbone

    def predict(self, backbone: Backbone, inputs: Sequence[ModelInput], advance: Advance) -> Array:
        """Score rendered windows in points, not bounded, shape (n,)."""
        read = message_states(backbone, inputs, self.layers, advance)
        return self.points([each.states for each in read])

    def points(self, windows: Sequence[npt.NDArray[np.float32]]) -> Array:
        """Score windows in points, not bounded, shape (n,).

        Parameters
        ----------
        windows
            States of each one's messages, shape (m, L, hidden_size) each.
        """
        return np.asarray(self.total_weights[0] + self.profiles(windows) @ self.total_weights[1:])

    def profiles(self, windows: Sequence[npt.NDArray[np.float32]]) -> Array:
        """Give the items of windows, points within their range, shape (n, n_items)."""
        pooled = np.array([pool(self.readings(each)) for each in windows])
        pooled = pooled.reshape(len(windows), len(self.profile_weights))
        items = pooled @ self.profile_weights + self.profile_intercepts
        return np.asarray(np.clip(items, 0, self.item_maximum))

    def readings(self, states: npt.NDArray[np.float32]) -> Array:
        """Read messages, shape (m, 2 * n_items), of states of shape (m, L, hidden_size)."""
        summed = np.einsum("mlh,lhr->mr", states, self.weights, optimize=True)
        return np.asarray(summed / len(self.layers) + self.intercepts)

    def grounds(self, read: MessageStates) -> Grounds:
        """Give what the total of a window rests on, of states on this reader's layers."""
        (profile,) = self.profiles([read.states])
        return Grounds(profile, read.messages, self.readings(read.states)[:, : self.n_items])


_TENSORS = ("weights", "intercepts", "profile_weights", "profile_intercepts", "total_weights")


def reader_size(n_layers: int, hidden_size: int, n_items: int) -> int:
    """Count the numbers of a reader: those of a message, of the profile and of the total."""
    message = n_layers * hidden_size * 2 * n_items + 2 * n_items
    return message + 3 * 2 * n_items * n_items + n_items + 1 + n_items


def pool(readings: Array) -> Array:
    """Pool the readings of a window's messages, shape (m, k), to shape (3 * k,)."""
    strongest = -np.sort(-readings, axis=0)[:N_STRONGEST]
    return np.concatenate([strongest[0], readings.mean(axis=0), strongest.mean(axis=0)])
