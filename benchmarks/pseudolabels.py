"""What each stage of self-training is worth: questionnaires, an annotator, its quotes, relabelling.

Human text: dep-wor's 500 people in five folds, the pool covid-worry's 1,680 annotated people. A
fold's people are tested, and nothing of them is learnt from: neither their questionnaire nor what
the annotator said of them. Bundled cohort: 200 people with a questionnaire, a pool of 160, 120
tested; simulated. The recorded annotations are blind readings by a reasoning model, one a person.

Members: a frozen SmolLM2-135M with a linear probe, and an evidence reader on it. Six layers of the
probe's usual 31 are enough here, and five times as fast. Then the same people with other
rules (what was tried), with an annotator that is broken, and with fewer people.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.bundled_people import people as bundled_cohort
from benchmarks.human_text import EVERY_WORD, N_FOLDS, human_data, people
from benchmarks.shared import Options, Scores, messages, options, shared_folder, show
from sottovoce import bundled
from sottovoce.annotations import Annotation
from sottovoce.backbones import Backbone, load_backbone
from sottovoce.cohort import Window, assign_folds, newest_window, timeline
from sottovoce.conversations import Conversation, QuestionnaireResponse
from sottovoce.datasets import open_dataset
from sottovoce.evaluation import compare
from sottovoce.features import Features, MessageStates
from sottovoce.instruments import PHQ_9
from sottovoce.learner import Learner
from sottovoce.material import Material, SelfTraining
from sottovoce.probe import ProbeSearch
from sottovoce.progress import Advance, silent
from sottovoce.recipe import read_recipe
from sottovoce.selection import select
from sottovoce.settings import EstimatorSettings, ProbeSettings, ReaderSettings
from sottovoce.stages import Stage, run_stages
from sottovoce.supervision import Supervision

PROBE = ProbeSettings(layers=(12, 15, 18, 21, 24, 27), search=ProbeSearch((0.1, 0.3, 1.0, 3.0)))
PLAN = SelfTraining(
    ("ground_truth", "annotator", "evidence", "relabel", "ensemble"),
    blend=(0.25, 0.5),
    weights="equal",
)
DRAWS = 10
"""Random choices of people behind each point of the learning curve."""


class Kept(Learner):
    """A learner that takes what was read once for probe and reader, since it takes minutes.

    Pooled states are worked out from those of the messages: their mean, and their mean by tokens.
    """

    def __init__(
        self, settings: EstimatorSettings, windows: Sequence[Window], backbone: Backbone
    ) -> None:
        super().__init__(settings, backbone)
        self.rows = {(each.user_id, each.messages): row for row, each in enumerate(windows)}
        self.said, self.tokens = messages(backbone, windows, settings.rendering, PROBE.layers)

    def states(self, windows: Sequence[Window], advance: Advance = silent) -> Features:
        """Give pooled states of some of the windows, on the probe's layers."""
        advance(len(windows), len(windows))
        rows = [self.rows[each.user_id, each.messages] for each in windows]
        means = [self.said[row].states.mean(axis=0) for row in rows]
        weighed = [
            np.average(self.said[row].states, axis=0, weights=self.tokens[row]) for row in rows
        ]
        return {
            "mean": np.array(weighed, np.float32),
            "message_mean": np.array(means, np.float32),
        }

    def messages(self, windows: Sequence[Window], advance: Advance = silent) -> list[MessageStates]:
        """Give the messages' states of some of the windows, on the reader's layers."""
        advance(len(windows), len(windows))
        places = [PROBE.layers.index(layer) for layer in self.layers]
        read = [self.said[self.rows[each.user_id, each.messages]] for each in windows]
        return [MessageStates(each.messages, each.states[:, places]) for each in read]


@dataclass(frozen=True)
class Data:
    """People with a questionnaire, a pool without, and what was said of both."""

    name: str
    people: list[Window]
    pool: list[Window]
    annotations: Mapping[str, Annotation]
    test: list[Window]

    def materials(self) -> Iterator[Material]:
        """Give each split: the test people, or every fold of the people in turn."""
        if self.test:
            yield Material(self.people, self.pool, self.annotations, self.test)
            return
        totals = np.array([each.total for each in self.people])
        folds = assign_folds([each.user_id for each in self.people], N_FOLDS, 0, totals)
        for fold in range(N_FOLDS):
            inside = [self.people[row] for row in np.flatnonzero(folds != fold).tolist()]
            outside = [self.people[row] for row in np.flatnonzero(folds == fold).tolist()]
            yield Material(inside, self.pool, self.annotations, outside)

    def learners(self) -> dict[str, Learner]:
        """Give the members, which have read everybody."""
        settings = read_recipe("recipes/smollm2-probe.yaml").settings
        windows = [*self.people, *self.pool, *self.test]
        backbone = load_backbone(settings.backbone.name)
        reader = replace(settings, probe=ProbeSettings(), reader=ReaderSettings())
        return {
            "probe": Kept(replace(settings, probe=PROBE), windows, backbone),
            "reader": Kept(reader, windows, backbone),
        }


def human_text() -> Data:
    """Read dep-wor and, as its pool, the annotated texts of covid-worry: one wave of a person."""
    tested, other = human_data(), open_dataset("covid-worry", shared_folder("covid-worry"))
    written = {each.conversation_id: each.messages for each in other.conversations}
    pool = []
    for user in other.annotations:
        wave = f"{user}-wave{other.people[user]['annotated_wave']}"
        pool.append(newest_window(user, written[wave], EVERY_WORD))
    said = {**tested.annotations, **other.annotations}
    return Data("dep-wor", people(), pool, said, [])


def simulated() -> Data:
    """Read the bundled cohort."""
    settings = read_recipe("recipes/smollm2-probe.yaml").settings
    chats: dict[str, list[Conversation]] = {}
    for each in bundled.conversations("unlabelled"):
        chats.setdefault(each.user_id, []).append(each)
    pool = [newest_window(user, timeline(of), settings.rules) for user, of in chats.items()]
    said = [*bundled.annotations("train"), *bundled.annotations("unlabelled")]
    return Data(
        "bundled",
        list(bundled_cohort("train", settings).windows),
        pool,
        {each.user_id: each for each in said},
        list(bundled_cohort("test", settings).windows),
    )


Rows = list[dict[str, Any]]


def table(name: str, scores: Mapping[str, Scores], test: Sequence[Window]) -> Rows:
    """Set scores of the same people side by side, each against the first."""
    totals, users = np.array([each.total for each in test]), [each.user_id for each in test]
    first = next(iter(scores))
    compared = compare(totals, scores, users, reference=first, instrument=PHQ_9)
    return [{"people": name, **row} for row in compared.flat()]


def staged(data: Data, learners: Mapping[str, Learner]) -> tuple[list[Window], list[list[Stage]]]:
    """Go through the stages on each split; give the people in the order of their scores."""
    tested, runs = [], []
    for material in data.materials():
        tested += list(material.test)
        runs.append(run_stages(material, learners, PLAN))
    return tested, runs


def stages(data: Data, learners: Mapping[str, Learner]) -> Rows:
    """Give the table of the stages, with what each used over the splits."""
    tested, runs = staged(data, learners)
    names = [stage.name for stage in runs[0]]
    scores = {
        name: np.concatenate([run[number].scores for run in runs])
        for number, name in enumerate(names)
    }
    rows = table(data.name, scores, tested)
    for number, row in enumerate(rows):
        made = [run[number].record for run in runs]
        row["trust"] = " ".join(f"{each['trust']:g}" for each in made)
        row["blend"] = " ".join(f"{each['blend']:g}" for each in made)
        row["pseudolabels"] = round(float(np.mean([each["n_pseudolabels"] for each in made])))
        row["members"] = " ".join(str(len(run[number].taught.fits)) for run in runs)
    return rows


Rule = Callable[[Material, Learner], Scores]
"""Scores a split's test people by one way to use pseudolabels."""


def taught(share: float, *, calibrated: bool = True, n: int | None = None) -> Rule:
    """Give the way that counts each pseudolabel `share` of a questionnaire.

    Parameters
    ----------
    share
        0 leaves the pool out.
    calibrated
        Whether totals are drawn to the questionnaires by a line on people who have both.
    n
        How many of the pool are taken, evening out severity by the annotator's totals; None for
        all.
    """

    def rule(material: Material, learner: Learner) -> Scores:
        training, pool = list(material.training), list(material.pool) if share else []
        if n is not None:
            pool = _evened(training, pool, learner, n)
        said = np.array([material.annotations[each.user_id].total for each in pool])
        if calibrated and pool:
            said = np.clip(_line(material)(said), PHQ_9.minimum, PHQ_9.maximum)
        windows = [*training, *_labelled(pool, said)]
        weights = [1.0] * len(training) + [share] * len(pool)
        pseudo = [False] * len(training) + [True] * len(pool)
        fit = learner.fit(windows, Supervision(weights, pseudo))
        return learner.points(fit.estimator, material.test)

    return rule


def blended(share: float) -> Rule:
    """Give the way that mixes the annotator into the training people's own targets."""

    def rule(material: Material, learner: Learner) -> Scores:
        totals = np.array([each.total for each in material.training])
        users = [each.user_id for each in material.training]
        said = np.array([material.annotations[user].total for user in users])
        targets = (1 - share) * totals + share * _line(material)(said)
        fit = learner.fit(material.training, Supervision(targets=targets.tolist()))
        return learner.points(fit.estimator, material.test)

    return rule


def _line(material: Material) -> Callable[[Scores], Scores]:
    """Regress questionnaires on the annotator's totals of the training people."""
    said = [material.annotations[each.user_id].total for each in material.training]
    slope, level = np.polyfit(said, [each.total for each in material.training], 1)
    return lambda totals: np.asarray(level + slope * totals)


def _labelled(pool: Sequence[Window], totals: Scores) -> list[Window]:
    return [
        replace(each, label=QuestionnaireResponse(each.user_id, PHQ_9.key, each.end, total))
        for each, total in zip(pool, totals.tolist(), strict=True)
    ]


def _evened(training: list[Window], pool: list[Window], learner: Learner, n: int) -> list[Window]:
    """Choose people of the pool by the questionnaires' own model, as `sottovoce select` does."""
    estimator = learner.fit(training).estimator
    points = learner.points(estimator, pool)
    estimates = [
        estimator.estimate(window, score)
        for window, score in zip(pool, points.tolist(), strict=True)
    ]
    chosen = select(estimates, [each.total for each in training], n, PHQ_9).users
    return [each for each in pool if each.user_id in set(chosen)]


def quoted(material: Material, reader: Learner) -> Scores:
    """Score by a reader of the training people's quotes, without the pool."""
    users = {each.user_id for each in material.training}
    said = {user: each for user, each in material.annotations.items() if user in users}
    fit = reader.fit(material.training, Supervision(annotations=said))
    return reader.points(fit.estimator, material.test)


def tried(data: Data, learners: Mapping[str, Learner]) -> Rows:
    """Give the table of ways to use an annotator, one at a time, most on the probe alone."""
    probe, reader = learners["probe"], learners["reader"]
    half = len(data.pool) // 4
    rules = {
        "questionnaires alone": taught(0),
        "annotator as it is, counting 1": taught(1, calibrated=False),
        "calibrated, counting 1": taught(1),
        "calibrated, counting 0.5": taught(0.5),
        "calibrated, counting 0.25": taught(0.25),
        f"{half} chosen by severity, counting 1": taught(1, n=half),
        "a quarter of the annotator in training targets": blended(0.25),
        "half of the annotator in training targets": blended(0.5),
        "the annotator alone as training targets": blended(1.0),
    }
    splits = list(data.materials())
    tested = [window for each in splits for window in each.test]
    scores = {
        name: np.concatenate([rule(each, probe) for each in splits]) for name, rule in rules.items()
    }
    alone, *_ = scores.values()
    read = np.concatenate([quoted(each, reader) for each in splits])
    scores["reader of the training people's quotes"] = read
    scores["its mean with questionnaires alone"] = (alone + read) / 2
    return table(data.name, scores, tested)


def broken(data: Data, learners: Mapping[str, Learner]) -> Rows:
    """Give the last stage with annotators that are off, next to questionnaires alone."""
    generator = np.random.default_rng(0)

    def changed(how: Callable[[Annotation], float]) -> dict[str, Annotation]:
        return {
            user: replace(each, total=float(np.clip(how(each), PHQ_9.minimum, PHQ_9.maximum)))
            for user, each in data.annotations.items()
        }

    kinds = {
        "as recorded": dict(data.annotations),
        "4 points too high": changed(lambda each: each.total + 4),
        "random totals": changed(lambda _: generator.uniform(0, PHQ_9.maximum)),
        "half of them garbage, refused or late": {
            user: each for user, each in data.annotations.items() if generator.random() < 0.5
        },
    }
    plan = replace(PLAN, stages=("ground_truth", "annotator", "relabel", "ensemble"))
    probe = {"probe": learners["probe"]}
    scores: dict[str, Scores] = {}
    for name, said in kinds.items():
        splits = [replace(each, annotations=said) for each in data.materials()]
        runs = [run_stages(each, probe, plan) for each in splits]
        scores.setdefault("questionnaires alone", _joined(runs, 0))
        scores[name] = _joined(runs, -1)
    return table(data.name, scores, [window for each in splits for window in each.test])


def _joined(runs: Sequence[Sequence[Stage]], number: int) -> Scores:
    return np.concatenate([run[number].scores for run in runs])


def curve(data: Data, probe: Learner) -> Rows:
    """Give the error with fewer questionnaires, and with annotated people in their place."""
    rows: Rows = []
    truth = np.array([each.total for each in data.test])
    sizes = [(n, 0) for n in (50, 75, 100, 125, 150, 175, 200)]
    sizes += [(50, m) for m in (25, 50, 100, 150)] + [(100, m) for m in (25, 50, 100, 150)]
    for n, m in sizes:
        errors, correlations = [], []
        for draw in range(DRAWS):
            generator = np.random.default_rng([draw, n, m])
            chosen = _some(data.people, n, generator)
            material = Material(chosen, _some(data.pool, m, generator), data.annotations, data.test)
            said = taught(1.0 if m else 0.0)(material, probe)
            errors.append(np.abs(said - truth).mean())
            correlations.append(np.corrcoef(said, truth)[0, 1])
        spread = np.std(errors, ddof=1) / np.sqrt(DRAWS)
        rows.append(
            {
                "name": f"{n} questionnaires, {m} annotated",
                "questionnaires": n,
                "annotated": m,
                "mae": float(np.mean(errors)),
                "mae_standard_error_of_draws": float(spread),
                "r": float(np.mean(correlations)),
                "draws": DRAWS,
            }
        )
    for row in rows:
        row["one_replaces"] = _worth(row, [each for each in rows if not each["annotated"]])
    return rows


def _worth(row: Mapping[str, Any], alone: Rows) -> float | None:
    """Give the questionnaires that one annotated person replaces: those that give the same error.

    None where there is no annotated person, or fewer or more questionnaires than were tried would
    be needed.
    """
    errors = np.minimum.accumulate([each["mae"] for each in alone])  # chance lets it rise at times
    if not row["annotated"] or not errors[-1] <= row["mae"] <= errors[0]:
        return None
    needed = np.interp(row["mae"], errors[::-1], [each["questionnaires"] for each in alone][::-1])
    return float((needed - row["questionnaires"]) / row["annotated"])


def _some(windows: list[Window], n: int, generator: np.random.Generator) -> list[Window]:
    return [windows[row] for row in sorted(generator.permutation(len(windows))[:n].tolist())]


def main() -> None:
    """Print the tables."""
    given = options(__doc__ or "")
    for data in (simulated(), human_text()):
        learners = data.learners()
        people = f"{len(data.people)} people with a questionnaire, a pool of {len(data.pool)}"
        title = f"{data.name}: {people}"
        _show(data, "stages", title, stages(data, learners), given)
        _show(
            data,
            "tried",
            f"{title}: ways to use pseudolabels",
            tried(data, learners),
            given,
        )
        if data.test:
            _show(
                data, "broken", f"{title}: annotators that are off", broken(data, learners), given
            )
            _show(data, "curve", f"{title}: fewer people", curve(data, learners["probe"]), given)


def _show(data: Data, kind: str, title: str, rows: Rows, given: Options) -> None:
    what = " (simulated)" if data.test else ""
    show(f"pseudolabels_{data.name}_{kind}", title + what, rows, given)


if __name__ == "__main__":
    main()
