"""Self-training from a recipe: a run folder with every stage, the ablation and the last model.

Owns reading the people, the outer folds where nobody is kept for a test, and what the folder
holds. Does not know how a stage is made (`stages`).
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sottovoce import bundled
from sottovoce.ablation import Ablation, tabulate
from sottovoce.annotations import annotations_by_person
from sottovoce.cohort import Cohort, Window, assign_folds, build_cohort, newest_window, timeline
from sottovoce.conversations import Conversation, read_chats, read_labels, write_json_lines
from sottovoce.curriculum import RECIPES, Curriculum, read_curriculum
from sottovoce.ensemble import Ensemble, fit_ensemble
from sottovoce.errors import DataError
from sottovoce.estimates import Estimate, estimate_record
from sottovoce.evaluation import Evaluation, evaluate
from sottovoce.instruments import instrument
from sottovoce.learner import Learner
from sottovoce.material import Material, People
from sottovoce.model_card import write_model_card
from sottovoce.progress import Advance, part, silent
from sottovoce.recipe import BUNDLED, recipe_for
from sottovoce.report import Provenance, Report, write_report
from sottovoce.scorer import Scorer
from sottovoce.shelf import FolderShelf, identity
from sottovoce.stages import Stage, names_of, run_stages
from sottovoce.train import (
    ENVIRONMENT,
    RECIPE,
    checkpoints_beside,
    checksum,
    data_record,
    environment_record,
    load_cohort,
    whole_folder,
    write_json,
)

ABLATION, STAGES = "ablation.json", "stages"

LEARNT: tuple[bundled.Split, ...] = ("train", "unlabelled")
"""Bundled people whose annotations may be learnt from."""


@dataclass(frozen=True, slots=True)
class SelfTrained:
    """What a self-training left behind: its folder, the last stage's model, the ablation."""

    folder: Path
    scorer: Scorer
    ablation: Ablation


@dataclass(frozen=True, slots=True)
class _Tested:
    """What every stage said of the people who were tested."""

    windows: tuple[Window, ...]
    estimates: Mapping[str, Sequence[Estimate]]
    scores: Mapping[str, Sequence[float]]


def self_train(recipe_file: str | Path, out: str | Path, advance: Advance = silent) -> SelfTrained:
    """Go through the stages of a recipe and keep the run.

    Parameters
    ----------
    recipe_file
        YAML with the key `self_training`; relative paths in it count from its folder.
    out
        Run folder; replaced if it is one already. Finished stages are kept beside it, in a folder
        that ends in `.checkpoint`, until the run is whole: the same call goes on from them after
        a kill.
    advance
        Called with stages done and their number.

    Raises
    ------
    RecipeError, DataError, ModelError
        In one sentence each.
    """
    recipe_file, out = Path(recipe_file), Path(out)
    curriculum = read_curriculum(recipe_file)
    place, leader = curriculum.leader
    with whole_folder(out) as partial:
        cohort = load_cohort(leader, place.parent)
        material = _material(curriculum, cohort)
        kept = checkpoints_beside(out) / STAGES
        stages, tested = _run(curriculum, material, kept, advance)
        ablation = _ablation(leader.instrument, stages, tested)
        people = People.of(material, ablation.instrument, curriculum.plan, leader.seed)
        _write_data(partial, curriculum, cohort, people)
        _write(partial, recipe_file, curriculum, people, (stages, tested, ablation))
        shutil.copytree(kept, partial / STAGES)
    shutil.rmtree(checkpoints_beside(out), ignore_errors=True)
    return SelfTrained(out, stages[-1].scorer, ablation)


def _run(
    curriculum: Curriculum, material: Material, kept: Path, advance: Advance
) -> tuple[list[Stage], _Tested]:
    """Make the stages, and the same stages again for each outer fold where there is no test."""
    plan = curriculum.plan
    settings = {
        name: recipe.settings_in(path.parent) for name, (path, recipe) in curriculum.members.items()
    }
    learners = {name: Learner(each) for name, each in settings.items()}

    def run(people: Material, folder: Path, told: Advance) -> list[Stage]:
        shelf = FolderShelf(folder, identity(people, settings, plan), names_of(plan))
        return run_stages(people, learners, plan, shelf=shelf, advance=told)

    count = curriculum.section.cross_validation
    if count is None:
        stages = run(material, kept, advance)
        return stages, _tested(material.test, stages)
    windows = material.training
    users, totals = [each.user_id for each in windows], [each.total for each in windows]
    folds = assign_folds(users, count, plan.seed, totals)
    parts = []
    for fold in range(count):
        apart = Material(
            [windows[row] for row in np.flatnonzero(folds != fold).tolist()],
            material.pool,
            material.annotations,
            [windows[row] for row in np.flatnonzero(folds == fold).tolist()],
        )
        stages = run(apart, kept / f"fold-{fold}", part(fold, count + 1, advance))
        parts.append(_tested(apart.test, stages))
    stages = run(material, kept, part(count, count + 1, advance))
    return stages, _joined(parts)


def _tested(test: Sequence[Window], stages: Sequence[Stage]) -> _Tested:
    return _Tested(
        tuple(test),
        {each.name: each.estimates(test) for each in stages},
        {each.name: each.scores.tolist() for each in stages},
    )


def _joined(parts: Sequence[_Tested]) -> _Tested:
    names = list(parts[0].scores)
    return _Tested(
        tuple(window for each in parts for window in each.windows),
        {name: [one for each in parts for one in each.estimates[name]] for name in names},
        {name: [one for each in parts for one in each.scores[name]] for name in names},
    )


def _material(curriculum: Curriculum, cohort: Cohort) -> Material:
    """Read pool, annotations and test people."""
    leader, section, files = curriculum.leader[1], curriculum.section, curriculum.files()
    rules, used = leader.settings.rules, instrument(leader.instrument)
    chats = bundled.conversations("unlabelled") if section.pool.chats == BUNDLED else None
    people: dict[str, list[Conversation]] = {}
    for each in chats if chats is not None else read_chats(files["pool"]):
        people.setdefault(each.user_id, []).append(each)
    timelines = {user: timeline(each) for user, each in people.items()}
    pool = [newest_window(user, said, rules) for user, said in timelines.items() if said]
    annotations = (
        {each.user_id: each for part in LEARNT for each in bundled.annotations(part)}
        if section.pool.annotations == BUNDLED
        else annotations_by_person(files["annotations"], leader.instrument)
    )
    test: tuple[Window, ...] = ()
    if section.test is not None:
        simulated = section.test.chats == BUNDLED
        tested = build_cohort(
            bundled.conversations("test") if simulated else read_chats(files["test"]),
            bundled.labels("test") if simulated else read_labels(files["test_labels"]),
            rules,
            used,
        )
        test = tested.windows
        if not test:
            raise DataError(
                "nobody is left to test on",
                path=files["test_labels"],
                fix="look at the files with sottovoce check",
            )
    return Material(cohort.windows, pool, annotations, test)


def _ablation(key: str, stages: Sequence[Stage], tested: _Tested) -> Ablation:
    return tabulate(
        [each.total for each in tested.windows],
        tested.scores,
        [each.user_id for each in tested.windows],
        instrument(key),
        told={each.name: (each.record, each.notes) for each in stages},
    )


def _held_out(training: Sequence[Window], stage: Stage) -> list[Estimate]:
    """Give the training people's estimates by members that did not hold them."""
    used = stage.taught.fits
    if isinstance(stage.scorer, Ensemble):
        weighting = stage.scorer.settings.weighting
        return fit_ensemble(training, used, weighting=weighting).held_out_estimates(training)
    (fit,) = used.values()
    return fit.held_out_estimates(training)


def _write(
    folder: Path,
    recipe_file: Path,
    curriculum: Curriculum,
    people: People,
    found: tuple[list[Stage], _Tested, Ablation],
) -> None:
    """Write what was found, beside the stages."""
    stages, tested, ablation = found
    leader, last = curriculum.leader[1], stages[-1]
    write_json(folder / ABLATION, {**ablation.as_dict(), "simulated": curriculum.simulated})
    estimates = tested.estimates[last.name]
    write_json_lines(folder / "predictions.jsonl", map(estimate_record, estimates))
    is_ensemble = isinstance(last.scorer, Ensemble)
    last.scorer.save_pretrained(folder if is_ensemble else folder / "model")
    users = [each.user_id for each in tested.windows]
    totals = [each.total for each in tested.windows]
    evaluation = evaluate(totals, estimates, users, instrument=leader.instrument)
    _write_report(folder, recipe_file, curriculum, evaluation, ablation)
    own = evaluate(
        people.totals,
        _held_out(people.training, last),
        [each.user_id for each in people.training],
        instrument=leader.instrument,
    )
    write_model_card(folder / "MODEL_CARD.md", last.scorer, own, simulated=curriculum.simulated)


def _write_data(folder: Path, curriculum: Curriculum, cohort: Cohort, people: People) -> None:
    """Write recipes, environment, and which data it was."""
    place, leader = curriculum.leader
    (folder / RECIPES).mkdir()
    for name, (path, _) in curriculum.members.items():
        text = recipe_for(path, folder / RECIPES)
        (folder / RECIPES / f"{name}.yaml").write_text(text, "utf-8")
    (folder / RECIPE).write_text(curriculum.text_for(folder), "utf-8")
    write_json(folder / ENVIRONMENT, environment_record())
    used = {
        key: {"name": path.name, "sha256": checksum(path)}
        for key, path in curriculum.files().items()
    }
    counts = {"training": len(people.training), "pool": len(people.pool)}
    counts |= {"annotated": len(people.annotations), "test": len(people.test)}
    record = data_record(leader, place.parent, cohort)
    record |= {"other_files": used, "learnt_from": counts, "left_out_of_it": dict(people.counts)}
    write_json(folder / "data.json", record)


def _write_report(
    folder: Path,
    recipe_file: Path,
    curriculum: Curriculum,
    evaluation: Evaluation,
    ablation: Ablation,
) -> None:
    tested = curriculum.section.test
    if tested is None:
        limit = (
            "Every person was scored by stages that did not hold them; the model itself is made by "
            "the same stages on everybody."
        )
    else:
        limit = "The people who were tested had no part in any stage."
    title = f"{evaluation.instrument.title} self-training {curriculum.form.name}"
    report = Report(
        title=title,
        evaluation=evaluation,
        ablation=ablation,
        cohort=bundled.NAME if curriculum.simulated else None,
        simulated=curriculum.simulated,
        limits=(limit,),
        provenance=Provenance(
            versions=environment_record()["versions"],
            commands=(f"sottovoce self-train {recipe_file.name} --out {folder.stem}",),
        ),
    )
    write_report(folder / "report.html", report)
