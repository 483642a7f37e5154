"""Made-up people of a self-training, read as numbers instead of text, so that tests are quick."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tests import tiny

from sottovoce.annotations import Annotation
from sottovoce.backbones import Backbone
from sottovoce.cohort import Window
from sottovoce.features import Features
from sottovoce.instruments import PHQ_9
from sottovoce.learner import Learner
from sottovoce.material import Material
from sottovoce.progress import Advance, silent
from sottovoce.settings import BackboneSettings, EstimatorSettings, ProbeSettings

WIDTH = 24
SETTINGS = EstimatorSettings(
    backbone=BackboneSettings("made-up"), probe=ProbeSettings(("mean",), (1,))
)


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


def annotation(user: str, total: float, sd: float = 2.0) -> Annotation:
    """Give an annotation whose items are all alike."""
    n_items = len(PHQ_9.items)
    return Annotation(user, "made-up", (total / n_items,) * n_items, total, sd)
