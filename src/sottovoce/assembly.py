"""Training by either form of recipe: one estimator, or an ensemble with every member's own run.

Owns what the run folder of an ensemble holds beyond its members' runs. Does not know how one
estimator is trained (`train`) nor how members are put together (`ensemble`).
"""

from pathlib import Path

from sottovoce.cohort import Cohort
from sottovoce.conversations import write_json_lines
from sottovoce.ensemble import MEMBERS, EnsembleFit, fit_ensemble
from sottovoce.errors import ModelError
from sottovoce.estimates import estimate_record
from sottovoce.estimator import Estimator, Fit
from sottovoce.evaluation import Evaluation, evaluate
from sottovoce.model_card import write_model_card
from sottovoce.parallel import world
from sottovoce.progress import Advance, part, silent
from sottovoce.recipe import BUNDLED, Recipe
from sottovoce.roster import Roster, read_any
from sottovoce.supervision import Supervision
from sottovoce.tracking import tracked
from sottovoce.train import (
    PREDICTIONS,
    RECIPE,
    Heading,
    Run,
    checkpoints_beside,
    data_record,
    load_cohort,
    load_supervision,
    out_of_fold,
    remove_checkpoints,
    train,
    whole_folder,
    write_evaluation,
    write_json,
    write_run,
)

LIMIT = (
    "These are the training people, each scored by members, weights and widths that were made "
    "without them. A test on other people is still owed."
)


def assemble(recipe_file: str | Path, out: str | Path, advance: Advance = silent) -> Run:
    """Train by a recipe of either form and keep the run.

    Parameters
    ----------
    recipe_file
        Of one estimator, or with the key `ensemble`.
    out
        Run folder, as for `train`. That of an ensemble is an artefact itself and holds each
        member's run in `members/NAME/`.
    advance
        Called with windows read or trained on, and their number over all members.

    Raises
    ------
    RecipeError, DataError, ModelError
        In one sentence each; the sentence names the member.
    """
    recipe_file, out = Path(recipe_file), Path(out)
    roster = read_any(recipe_file)
    if isinstance(roster, Recipe):
        return train(recipe_file, out, advance)
    with whole_folder(out) as partial:
        place, leader = roster.leader
        with world().alike():
            cohort = load_cohort(leader, place.parent)
            supervisions = {
                name: load_supervision(recipe, path, cohort.users)
                for name, (path, recipe) in roster.members.items()
            }
        fits: dict[str, Fit] = {}
        for number, (name, member) in enumerate(roster.members.items()):
            path, recipe = member
            kept, folder = _checkpoints(out, name), partial / MEMBERS / name
            whole = part(number, len(roster.members), advance)
            with world().alike():
                if world().first:
                    folder.mkdir(parents=True)
            with tracked(recipe.trackers if world().first else (), folder, whole) as told:
                fit = _fit_member(name, member, cohort, supervisions[name], kept, told)
                fits[name] = fit
            with world().alike():
                if world().first:
                    own = out_of_fold(recipe, cohort, fit)
                    write_run(folder, path, recipe, cohort, fit, own)
        form = roster.form
        together = fit_ensemble(
            cohort.windows, fits, weighting=form.ensemble.weights, coverage=form.coverage
        )
        evaluation = _evaluated(leader, cohort, together)
        with world().alike():
            if world().first:
                _write(partial, recipe_file, roster, cohort, together, evaluation)
    if world().first:
        for name in roster.members:
            remove_checkpoints(_checkpoints(out, name))
    return Run(out, together.ensemble, evaluation)


def _checkpoints(out: Path, name: str) -> Path:
    """Where a member's training keeps its checkpoints until the ensemble is there."""
    return checkpoints_beside(out.with_name(f"{out.name}.{name}"))


def _fit_member(
    name: str,
    member: tuple[Path, Recipe],
    cohort: Cohort,
    supervision: Supervision,
    checkpoints: Path,
    advance: Advance,
) -> Fit:
    path, recipe = member
    settings = recipe.settings_in(path.parent)
    try:
        return Estimator.fit(
            cohort.windows,
            settings,
            supervision=supervision,
            checkpoints=checkpoints,
            advance=advance,
        )
    except ModelError as error:
        raise ModelError(f"member {name}: {error}") from None


def _evaluated(leader: Recipe, cohort: Cohort, fit: EnsembleFit) -> Evaluation:
    estimates = fit.held_out_estimates(cohort.windows)
    return evaluate(cohort.totals, estimates, cohort.users, instrument=leader.instrument)


def _write(
    folder: Path,
    recipe_file: Path,
    roster: Roster,
    cohort: Cohort,
    fit: EnsembleFit,
    evaluation: Evaluation,
) -> None:
    place, leader = roster.leader
    estimates = fit.held_out_estimates(cohort.windows)
    simulated = leader.data.chats == BUNDLED
    (folder / RECIPE).write_text(roster.text, "utf-8")
    write_json(folder / "data.json", data_record(leader, place.parent, cohort))
    fit.ensemble.save_combination(folder)
    write_json_lines(folder / PREDICTIONS, map(estimate_record, estimates))
    ensemble = {"weights": fit.ensemble.weights, **fit.ensemble.record}
    write_json(
        folder / "metrics.json",
        {"out_of_fold": evaluation.as_dict(), "simulated": simulated, "ensemble": ensemble},
    )
    heading = Heading(f"ensemble {roster.form.name}", LIMIT, recipe_file)
    write_evaluation(folder, leader, cohort, evaluation, heading)
    write_model_card(folder / "MODEL_CARD.md", fit.ensemble, evaluation, simulated=simulated)
