"""The stages of self-training: questionnaires alone, an annotator's labels, relabelling, ensemble.

Owns their order, and what each leaves behind. Does not know files, recipes or metrics of test
people, nor who labels whom (`labelling`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sottovoce.cohort import Window
from sottovoce.combination import Weighting
from sottovoce.ensemble import Ensemble, fit_ensemble
from sottovoce.errors import DataError
from sottovoce.estimates import Estimate
from sottovoce.estimator import Estimator, Fit
from sottovoce.instruments import instrument
from sottovoce.labelling import Labelled, Labeller
from sottovoce.learner import Learner
from sottovoce.material import Material, People, SelfTraining
from sottovoce.progress import Advance, silent
from sottovoce.teaching import Fits, Labels, Taught, Teacher, refuse_partial

Array = npt.NDArray[np.float64]
Model = Estimator | Ensemble


@dataclass(frozen=True, slots=True)
class Stage:
    """One finished stage.

    Parameters
    ----------
    name
        `ground_truth`, `annotator`, `evidence`, `relabel-1`..., `ensemble`.
    scorer
        Its estimator, or an ensemble of its members'.
    taught
        Its members by name, as in `scorer`, and how far pseudolabels were trusted.
    labels
        Pseudolabels that it made; they were trained on only if the trust is above 0.
    points
        What each member says of the test windows, within the range, shape (m, k).
    record
        Counts, what was tried, calibration: JSON values without ids.
    notes
        Plain sentences that a person has to know.
    """

    name: str
    scorer: Model
    taught: Taught
    labels: Labels
    points: Array
    record: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    @property
    def scores(self) -> Array:
        """Scores of the test windows, points, shape (m,)."""
        if isinstance(self.scorer, Ensemble):
            return self.scorer.combination.score(self.points)
        return self.points[:, 0]

    def estimates(self, test: Sequence[Window]) -> list[Estimate]:
        """Give the test windows' estimates, in order."""
        found = []
        for window, score, points in zip(test, self.scores, self.points, strict=True):
            errors = None  # those of the scorer, unless members' disagreement says more
            if isinstance(self.scorer, Ensemble):
                errors = self.scorer.combination.distribution(points)
            found.append(self.scorer.estimate(window, float(score), distribution=errors))
        return found


class Shelf(Protocol):
    """Where finished stages are kept, so that a run that was killed goes on."""

    def load(self, name: str) -> Stage | None:
        """Give a stage of the same run, if it was finished."""

    def save(self, stage: Stage, test: Sequence[Window]) -> None:
        """Keep a finished stage."""


def run_stages(
    material: Material,
    learners: Mapping[str, Learner],
    plan: SelfTraining,
    *,
    shelf: Shelf | None = None,
    advance: Advance = silent,
) -> list[Stage]:
    """Go through the stages, each building on the one before.

    Parameters
    ----------
    material
        The people. Test people, whoever has a text like theirs, and people of the pool who have a
        questionnaire are left out of what is learnt from, counted in the first stage's record.
    learners
        Members by name. Texts that one has read are not read again.
    plan
        Stages, and how far pseudolabels are trusted.
    shelf
        Keeps finished stages; None keeps none.
    advance
        Called with stages done and their number.

    Returns
    -------
    list of Stage

    Raises
    ------
    DataError
        If the first stage is not `ground_truth`, a member leaves training people without a
        held-out score, or anything of a test person is left in what is learnt from.
    """
    _refuse_order(plan)
    readers = {name: each for name, each in learners.items() if each.settings.reader}
    _refuse_readers(plan, readers, len(learners))
    settings = next(iter(learners.values())).settings
    people = People.of(material, instrument(settings.instrument), plan, settings.seed)
    run = _Run(people, learners, plan)
    everybody = [*material.training, *material.pool, *material.test]
    stages: list[Stage] = []
    for number, name in enumerate(names_of(plan)):
        stage = shelf.load(name) if shelf else None
        if stage is None:
            for learner in learners.values():
                learner.read_ahead([each for each in everybody if each.reason is None])
            stage = run.stage(name, stages)
            if shelf:
                shelf.save(stage, people.test)
        stages.append(stage)
        advance(number + 1, len(plan.stages))
    return stages


def names_of(plan: SelfTraining) -> list[str]:
    """Give the stages' names, `relabel` with the number of its round.

    Examples
    --------
    >>> names_of(SelfTraining(("ground_truth", "annotator", "relabel", "relabel")))
    ['ground_truth', 'annotator', 'relabel-1', 'relabel-2']
    """
    return [
        f"{kind}-{plan.stages[: number + 1].count(kind)}" if kind == "relabel" else kind
        for number, kind in enumerate(plan.stages)
    ]


def order_problem(stages: Sequence[str]) -> str | None:
    """Say what is wrong with an order of stages, or None."""
    if not stages or stages[0] != "ground_truth":
        return "the first stage is not ground_truth; begin with it"
    for kind in ("ground_truth", "annotator", "evidence", "ensemble"):
        if stages.count(kind) > 1:
            return f"{kind} stands twice; leave one out"
    if "ensemble" in stages[:-1]:
        return "a stage comes after ensemble; put ensemble last"
    if "annotator" in stages[2:]:
        return "annotator is not the second stage; put it second"
    if "relabel" in stages and "evidence" in stages[stages.index("relabel") :]:
        return "evidence comes after relabel; put it before"
    return None


def _refuse_order(plan: SelfTraining) -> None:
    problem = order_problem(plan.stages)
    if problem:
        what, _, fix = problem.partition("; ")
        raise DataError(what, field="stages", fix=fix)


def readers_problem(stages: Sequence[str], n_readers: int, n_members: int) -> str | None:
    """Say what is wrong with the stages for members some of which are readers, or None."""
    if n_readers == n_members:
        return "every member learns from quotes; add one that learns from questionnaires alone"
    if n_readers and "evidence" not in stages:
        return "a member learns from quotes; add the stage evidence after annotator"
    if "evidence" in stages and not n_readers:
        return (
            "no member learns from quotes; add one with the section reader, or leave evidence out"
        )
    return None


def _refuse_readers(plan: SelfTraining, readers: Mapping[str, Learner], n_members: int) -> None:
    problem = readers_problem(plan.stages, len(readers), n_members)
    if problem:
        what, _, fix = problem.partition("; ")
        raise DataError(what, field="members", fix=fix)


@dataclass(frozen=True, slots=True)
class _Run:
    """What makes one stage after another."""

    people: People
    learners: Mapping[str, Learner]
    plan: SelfTraining

    def _teacher(self, members: Iterable[str]) -> Teacher:
        return Teacher(self.people, {name: self.learners[name] for name in members})

    @property
    def plain(self) -> list[str]:
        """Members that learn without quotes."""
        return [name for name, each in self.learners.items() if each.settings.reader is None]

    def stage(self, name: str, before: Sequence[Stage]) -> Stage:
        """Make the stage of a name on top of those before."""
        if name == "ground_truth":
            fits = self._teacher(self.plain).fit(Labels(), 0.0, self.people.totals)
            refuse_partial(fits, len(self.people.training))
            counts = {"left_out": dict(self.people.counts)}
            return self._stage(
                name, Taught(fits), Labelled(Labels(), counts, self.people.left_out())
            )
        ground, last = before[0], before[-1]
        if name == "ensemble":
            return self._ensemble(ground, last)
        teacher = self._teacher(last.taught.fits)
        labeller = Labeller(teacher, ground.taught.fits, self.plan)
        if name == "evidence":
            return self._evidence(labeller, last)
        if name == "annotator":
            made = labeller.by_annotator()
        else:
            number = int(name.rpartition("-")[2])
            made = labeller.by_models(last.taught, last.labels, number)
        taught = teacher.choose(made.labels, ground.taught.fits, self.plan.trust, labeller.blends())
        if made.labels.users and not taught.trust:
            told = "no pseudolabel is used: none made the error of held-out people less"
            made = replace(made, notes=(*made.notes, told))
        return self._stage(name, taught, made)

    def _evidence(self, labeller: Labeller, last: Stage) -> Stage:
        """Add the members that learn from quotes to those of the stage before."""
        targets = labeller.blends().get(last.taught.blend, self.people.totals)
        readers = self._teacher(name for name in self.learners if name not in self.plain)
        taught = readers.join(last.taught, last.labels, targets)
        told = "no reader of quotes is used: none made the error of held-out people less"
        notes = () if len(taught.fits) > len(last.taught.fits) else (told,)
        learnt = (*self.people.training, *self.people.pool)
        said = [self.people.annotations.get(user) for user in {each.user_id for each in learnt}]
        quotes = sum(len(each.quotes) for each in said if each is not None)
        record = {"annotator": labeller.judgement.as_dict(), "quotes": quotes}
        return self._stage("evidence", taught, Labelled(last.labels, record, notes))

    def _stage(self, name: str, taught: Taught, made: Labelled) -> Stage:
        scorer = _together(self.people.training, taught.fits, self.plan.weights)
        weights = np.ones(len(self.people.training))
        if taught.trust:
            weights = np.append(weights, taught.trust * made.labels.weights)
        record = {
            "n_questionnaires": len({each.user_id for each in self.people.training}),
            "n_pseudolabels": len(made.labels.users) if taught.trust else 0,
            "effective_n": float(weights.sum() ** 2 / (weights**2).sum()),
            "trust": taught.trust,
            "blend": taught.blend,
            "tried": [dict(each) for each in taught.tried],
            **made.record,
        }
        points = self._points(taught.fits, self.learners)
        return Stage(name, scorer, taught, made.labels, points, record, made.notes)

    def _points(self, fits: Fits, readers: Mapping[str, Learner]) -> Array:
        """Score the test windows, each member by the learner that has read them."""
        columns = [
            readers[name].points(fit.estimator, self.people.test) for name, fit in fits.items()
        ]
        return np.stack(columns, axis=1)

    def _ensemble(self, ground: Stage, last: Stage) -> Stage:
        """Put members that learnt from questionnaires alone beside those that learnt from more."""
        kept = ("n_questionnaires", "n_pseudolabels", "effective_n", "trust", "blend")
        record: dict[str, Any] = {key: last.record[key] for key in kept}
        same = set(last.taught.fits) == set(ground.taught.fits)
        if same and not last.taught.trust and not last.taught.blend:
            told = ("no pseudolabel is used: the ensemble is the members of ground_truth",)
            return replace(ground, name="ensemble", record=record, notes=told)
        fits: dict[str, Fit] = {}
        readers: dict[str, Learner] = {}
        for stage in (ground, last):
            for member, fit in stage.taught.fits.items():
                name = f"{member}.{stage.name}"
                fits[name], readers[name] = fit, self.learners[member]
        scorer = fit_ensemble(self.people.training, fits, weighting=self.plan.weights).ensemble
        taught = replace(last.taught, fits=fits)
        record["members"] = scorer.weights
        points = self._points(fits, readers)
        return Stage("ensemble", scorer, taught, Labels(), points, record)


def _together(training: Sequence[Window], fits: Fits, weights: Weighting) -> Model:
    if len(fits) == 1:
        return next(iter(fits.values())).estimator
    return fit_ensemble(training, fits, weighting=weights).ensemble
