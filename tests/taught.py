"""Made-up people of a self-training, read as numbers instead of text, so that tests are quick."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from tests import tiny

from sottovoce.annotations import Annotation, Quote
from sottovoce.backbones import Backbone
from sottovoce.cohort import Window
from sottovoce.features import Features, MessageStates
from sottovoce.instruments import PHQ_9
from sottovoce.learner import Learner
from sottovoce.material import Material
from sottovoce.progress import Advance, silent
from sottovoce.settings import BackboneSettings, EstimatorSettings, ProbeSettings, ReaderSettings

WIDTH = 24
SETTINGS = EstimatorSettings(
    backbone=BackboneSettings("made-up"), probe=ProbeSettings(("mean",), (1,))
)

READER = ReaderSettings((1,))


@dataclass(frozen=True)
class Crowd:
    """People with a state, what they reported, and what an honest annotator would read."""

    material: Material
    states: dict[str, np.ndarray]


class Reader(Learner):
    """A probe on numbers that stand for what a backbone would have made of each text."""

    def __init__(self, backbone: Backbone, states: dict[str, np.ndarray], **changes) -> None:
        super().__init__(EstimatorSettings(**(dict(_fields()) | changes)), backbone)
        self.read_of, self.trainings = states, []

    def fit(self, windows, supervision=None, *rest):
        self.trainings.append((list(windows), supervision))
        return super().fit(windows, supervision, *rest)

    def states(self, windows: Sequence[Window], advance: Advance = silent) -> Features:
        rows = [self.read_of[each.user_id] for each in windows]
        return {"mean": np.array(rows, np.float32).reshape(len(rows), 1, WIDTH)}


class Quoter(Learner):
    """An evidence reader on numbers: the first of five messages is what `Reader` reads."""

    def __init__(self, backbone: Backbone, states: dict[str, np.ndarray]) -> None:
        super().__init__(EstimatorSettings(backbone=SETTINGS.backbone, reader=READER), backbone)
        self.read_of, self.trainings = states, []

    def fit(self, windows, supervision=None, *rest):
        self.trainings.append((list(windows), supervision))
        return super().fit(windows, supervision, *rest)

    def messages(self, windows, advance=silent):
        return [
            MessageStates(
                np.arange(5), np.outer([1, 0, 0, 0, 0], self.read_of[each.user_id])[:, None]
            )
            for each in windows
        ]


def _fields():
    return (("backbone", SETTINGS.backbone), ("probe", SETTINGS.probe))


def crowd(n: tuple[int, int, int] = (60, 120, 200), seed: int = 0) -> Crowd:
    """Give training people, a pool and test people, the pool and the training people annotated."""
    generator = np.random.default_rng(seed)
    loadings = generator.normal(size=WIDTH)
    loadings /= np.linalg.norm(loadings)
    states, windows, annotations = {}, [], {}
    for number in range(sum(n)):
        user, level = f"p{number:04d}", generator.normal()
        states[user] = level * loadings * 2 + generator.normal(size=WIDTH) * 0.8
        total = float(np.clip(round(11 + 6 * level + generator.normal(0, 2.5)), 0, 27))
        read = float(np.clip(11 + 6 * level + generator.normal(0, 2), 0, 27))
        words = " ".join(f"w{each}" for each in generator.integers(0, 10**6, 60))
        windows.append(tiny.window(user, [words] * 5, total))
        annotations[user] = annotation(user, read)
    first, second = n[0], n[0] + n[1]
    known = {user: said for user, said in annotations.items() if user < f"p{second:04d}"}
    material = Material(windows[:first], windows[first:second], known, windows[second:])
    return Crowd(material, states)


def quoted(crowd: Crowd) -> dict[str, Annotation]:
    """Give every annotation a quote of the first message, its level by the total."""
    windows = {each.user_id: each for each in (*crowd.material.training, *crowd.material.pool)}
    return {
        user: replace(
            said,
            quotes=(
                Quote(1, round(said.total / 9), windows[user].messages[0].content[:20].strip()),
            ),
        )
        for user, said in crowd.material.annotations.items()
    }


def annotation(user: str, total: float, sd: float = 2.0) -> Annotation:
    """Give an annotation whose items are all alike."""
    n_items = len(PHQ_9.items)
    return Annotation(user, "made-up", (total / n_items,) * n_items, total, sd)
