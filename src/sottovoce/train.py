"""Training from a recipe: a run folder that is enough to repeat the run.

Owns reading the recipe's data, fitting, and what the folder holds: recipe, environment, data
record, model, out-of-fold predictions, metrics, report, model card. Does not know the arithmetic
of any of them.
"""

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sottovoce import bundled
from sottovoce.annotations import annotations_by_person
from sottovoce.cohort import Cohort, build_cohort
from sottovoce.conversations import (
    Conversation,
    QuestionnaireResponse,
    read_chats,
    read_json_lines,
    read_labels,
    write_json_lines,
)
from sottovoce.errors import DataError, RecipeError
from sottovoce.estimates import estimate_record, total_dropped
from sottovoce.estimator import Estimator, Fit
from sottovoce.evaluation import Evaluation, evaluate
from sottovoce.instruments import instrument
from sottovoce.model_card import write_model_card
from sottovoce.parallel import world
from sottovoce.progress import Advance, silent
from sottovoce.recipe import BUNDLED, Recipe, read_recipe, recipe_for
from sottovoce.report import Provenance, Report, installed_versions, write_report
from sottovoce.scorer import Scorer
from sottovoce.supervision import NONE, Supervision
from sottovoce.tracking import tracked

RECIPE, ENVIRONMENT = "recipe.yaml", "environment.json"
"""The run folder's own recipe, from which the run is repeated; and what it ran on."""

PREDICTIONS = "predictions.jsonl"
"""The run folder's estimates of its training people, by trainings that did not hold them."""

RUN_MARKS = (RECIPE, ENVIRONMENT)
"""Files that make a folder a run."""

VERSIONED = ("torch", "transformers", "peft", "bitsandbytes", "safetensors", "scikit-learn")


@dataclass(frozen=True, slots=True)
class Run:
    """What a training left behind: its folder, the estimator, its out-of-fold evaluation."""

    folder: Path
    estimator: Scorer
    evaluation: Evaluation


def train(recipe_file: str | Path, out: str | Path, advance: Advance = silent) -> Run:
    """Train by a recipe and keep the run.

    Parameters
    ----------
    recipe_file
        YAML; relative paths in it count from its folder.
    out
        Run folder; replaced if it is one already. Written beside the target and moved into place,
        so that it is there whole or not at all. A fine-tuning keeps checkpoints beside it, in a
        folder that ends in `.checkpoint`, until the run is whole: the same call goes on from
        them after a kill.
    advance
        Called with windows read or trained on and their number.

    Returns
    -------
    Run
        Of several processes (`parallel`) only the first writes, and its estimator alone has the
        trained weights.

    Raises
    ------
    RecipeError, DataError, ModelError, ProcessError
        In one sentence each.
    """
    recipe_file, out = Path(recipe_file), Path(out)
    recipe = read_recipe(recipe_file)
    with whole_folder(out) as partial:
        with world().alike():
            cohort = load_cohort(recipe, recipe_file.parent)
            supervision = load_supervision(recipe, recipe_file, cohort.users)
        settings = recipe.settings_in(recipe_file.parent)
        with tracked(recipe.trackers if world().first else (), partial, advance) as told:
            fit = Estimator.fit(
                cohort.windows,
                settings,
                supervision=supervision,
                checkpoints=checkpoints_beside(out),
                advance=told,
            )
        evaluation = out_of_fold(recipe, cohort, fit)
        with world().alike():
            if world().first:
                write_run(partial, recipe_file, recipe, cohort, fit, evaluation)
    if world().first:
        remove_checkpoints(checkpoints_beside(out))
    return Run(out, fit.estimator, evaluation)


@contextmanager
def whole_folder(
    out: Path, kind: str = "a run", marks: Sequence[str] = RUN_MARKS
) -> Iterator[Path]:
    """Give a folder beside the target that takes its place when everything went well.

    Only a folder of its kind, known by the files that mark one, is ever replaced: one that holds
    other things is left alone. Of several processes only the first has the folder, and all are
    refused with it.
    """
    here, target = world(), out.resolve()
    partial = target.with_name(target.name + ".partial")
    try:
        with here.alike():
            if here.first:
                _refuse_others(out, kind, marks)
                _make_room(out, partial)
        yield partial
        with here.alike():
            if here.first:
                if target.exists():
                    shutil.rmtree(target)
                partial.rename(target)
    finally:
        if here.first:
            shutil.rmtree(partial, ignore_errors=True)


def _refuse_others(out: Path, kind: str, marks: Sequence[str]) -> None:
    target = out.resolve()
    is_own = all((target / name).is_file() for name in marks)
    if target.is_dir() and any(target.iterdir()) and not is_own:
        raise DataError(
            f"the folder holds other things than {kind}", path=out, fix="name another output"
        )
    if target.exists() and not target.is_dir():
        raise DataError("this is a file", path=out, fix="name a folder")


def _make_room(out: Path, partial: Path) -> None:
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DataError(
            f"the folder cannot be made ({reason})", path=out, fix="name another output"
        ) from None


def checkpoints_beside(out: Path) -> Path:
    """Give the folder beside a run folder where its trainings keep their checkpoints."""
    target = out.resolve()
    return target.with_name(target.name + ".checkpoint")


def remove_checkpoints(folder: Path) -> None:
    """Remove checkpoints, and their folder if nothing else lies in it."""
    for path in folder.glob("*.safetensors"):
        for kind in (".jsonl", ".jsonl.partial", ".partial", ".safetensors"):
            path.with_suffix(kind).unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def load_cohort(recipe: Recipe, folder: Path) -> Cohort:
    """Read the recipe's people and cut their windows.

    Raises
    ------
    DataError
        If a file cannot be used, or too few windows are left; says what was left out and why.
    """
    rules, used = recipe.settings.rules, instrument(recipe.instrument)
    files = recipe.files(folder)
    chats: Iterable[Conversation]
    labels: Iterable[QuestionnaireResponse]
    if recipe.data.chats == BUNDLED:
        chats, labels = bundled.conversations("train"), bundled.labels("train")
    else:
        wanted = _people_of_split(recipe, files)
        chats = (c for c in read_chats(files["chats"]) if wanted is None or c.user_id in wanted)
        labels = (r for r in read_labels(files["labels"]) if wanted is None or r.user_id in wanted)
    cohort = build_cohort(chats, labels, rules, used)
    people = len(set(cohort.users))
    if people < recipe.folds:
        reasons = "; ".join(f"{count}: {why}" for why, count in cohort.left_out.items())
        raise DataError(
            f"{people} people are left to train on, {recipe.folds} folds need as many"
            + (f" (left out: {reasons})" if reasons else ""),
            path=files["labels"],
            fix="look at the files with sottovoce check",
        )
    return cohort


def load_supervision(recipe: Recipe, recipe_file: Path, users: Sequence[str]) -> Supervision:
    """Read what an annotator said of the people who are trained on, if a reader learns from it.

    Raises
    ------
    RecipeError
        If the recipe has a reader and names no annotations. Its form allows that: a self-training
        brings annotations of its own.
    DataError
        With file, line and field, if one cannot be used.
    """
    if recipe.reader is None:
        return NONE
    if recipe.data.chats == BUNDLED:
        said = {each.user_id: each for each in bundled.annotations("train")}
        return Supervision(annotations=said)
    path = recipe.files(recipe_file.parent).get("annotations")
    if path is None:
        raise RecipeError(
            f"{recipe_file}: data.annotations is missing; name the annotations.jsonl that "
            "sottovoce annotate wrote"
        )
    found = annotations_by_person(path, recipe.instrument, frozenset(users))
    if not found:
        raise DataError(
            "nobody of the training people is annotated",
            path=path,
            fix="name the annotations of these people",
        )
    return Supervision(annotations=found)


def _people_of_split(recipe: Recipe, files: Mapping[str, Path]) -> frozenset[str] | None:
    if recipe.data.split is None:
        return None
    path = files["people"]
    rows = [row for _, row in read_json_lines(path) if isinstance(row, dict)]
    wanted = frozenset(
        str(row["user_id"])
        for row in rows
        if row.get("split") == recipe.data.split and "user_id" in row
    )
    if not wanted:
        raise RecipeError(f"{path}: nobody has the split named in data.split; correct the name")
    return wanted


def out_of_fold(recipe: Recipe, cohort: Cohort, fit: Fit) -> Evaluation:
    """Evaluate what trainings said about people that they did not hold."""
    estimates = fit.held_out_estimates(cohort.windows)
    users = [each.user_id for each in estimates]
    return evaluate(cohort.totals[fit.rows], estimates, users, instrument=recipe.instrument)


def write_run(
    folder: Path,
    recipe_file: Path,
    recipe: Recipe,
    cohort: Cohort,
    fit: Fit,
    evaluation: Evaluation,
) -> None:
    """Write everything that a run folder holds."""
    estimates = fit.held_out_estimates(cohort.windows)
    simulated = recipe.data.chats == BUNDLED
    (folder / RECIPE).write_text(recipe_for(recipe_file, folder), "utf-8")
    data = data_record(recipe, recipe_file.parent, cohort)
    write_json(folder / "data.json", {**data, "dropped": total_dropped(fit.dropped)})
    fit.estimator.save_pretrained(folder / "model")
    write_json_lines(folder / PREDICTIONS, map(estimate_record, estimates))
    write_json(
        folder / "metrics.json",
        {"out_of_fold": evaluation.as_dict(), "simulated": simulated, **_candidates(fit)},
    )
    if fit.history:
        write_json_lines(folder / "metrics.jsonl", fit.history)
    limit = f"{_who_was_scored(recipe)} A test on other people is still owed."
    write_evaluation(
        folder, recipe, cohort, evaluation, Heading(f"estimator {recipe.name}", limit, recipe_file)
    )
    write_model_card(folder / "MODEL_CARD.md", fit.estimator, evaluation, simulated=simulated)


@dataclass(frozen=True, slots=True)
class Heading:
    """What a run's report is of, what it cannot say, and the recipe that makes it again."""

    name: str
    limit: str
    recipe_file: Path


def write_evaluation(
    folder: Path, recipe: Recipe, cohort: Cohort, evaluation: Evaluation, heading: Heading
) -> None:
    """Write environment.json and the report of people who were scored out of fold."""
    simulated, environment = recipe.data.chats == BUNDLED, environment_record()
    write_json(folder / ENVIRONMENT, environment)
    times = [window.end for window in cohort.windows]
    report = Report(
        title=f"{evaluation.instrument.title} {heading.name}: out-of-fold evaluation",
        evaluation=evaluation,
        cohort=bundled.NAME + ", split train" if simulated else Path(recipe.data.chats).name,
        simulated=simulated,
        period=(min(times), max(times)),
        limits=(heading.limit,),
        provenance=Provenance(
            versions=environment["versions"],
            commands=(f"sottovoce train {heading.recipe_file.name} --out {folder.stem}",),
        ),
    )
    write_report(folder / "report.html", report)


def _candidates(fit: Fit) -> dict[str, Any]:
    """Every candidate probe with its error; nothing for another body."""
    if fit.fitted is None:
        return {}
    tried = [
        {"pooling": each.pooling, "layer": each.layer, "penalty": each.penalty, "mae": error}
        for each, error in fit.fitted.errors.items()
    ]
    return {"candidates": tried}


def _who_was_scored(recipe: Recipe) -> str:
    if recipe.reader is not None:
        return (
            "These are the training people, each scored by a reader taught without them. Its "
            "default layers and penalty were chosen on the bundled, simulated ones."
        )
    if recipe.finetune is None:
        return (
            "These are the training people, each scored by folds that did not hold them. They "
            "chose pooling, layer and penalty."
        )
    if recipe.finetune.calibration == "held_out":
        return "These people were left out of the training; their errors make the intervals."
    return (
        "These are the training people, each scored by a training that did not hold them; the "
        "estimator itself is one more training, on all of them."
    )


def data_record(recipe: Recipe, folder: Path, cohort: Cohort) -> dict[str, Any]:
    """Which data it was, by checksum, and what became of it; no id and no text."""
    return {
        "files": {
            key: {"name": path.name, "sha256": checksum(path)}
            for key, path in recipe.files(folder).items()
        },
        "windows": len(cohort.windows),
        "people": len(set(cohort.users)),
        "left_out": dict(cohort.left_out),
        "leaks": dict(cohort.leaks),
        "total_mean": round(float(cohort.totals.mean()), 3),
        "total_sd": round(float(cohort.totals.std(ddof=1)), 3),
    }


def environment_record() -> dict[str, Any]:
    """Give versions and machine of the run."""
    return {
        "versions": installed_versions(*VERSIONED),
        "system": platform.system(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "processes": world().size,
    }


def checksum(path: Path) -> str:
    """Give a file's SHA-256."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write one object; refuses what is not a number."""
    path.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", "utf-8")
