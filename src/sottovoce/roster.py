"""The recipe of an ensemble: which recipes are its members, and how they are weighed.

Owns the file's form and what the members must share, all mistakes told at once, theirs and its
own. Does not know a member's own form (`recipe`), nor data.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sottovoce.combination import FEWEST_FOLDS, Weighting
from sottovoce.ensemble import MEMBER_NAME
from sottovoce.errors import RecipeError
from sottovoce.recipe import Recipe, Text, mistakes_of, read_mapping, read_recipe, refusal

KEY = "ensemble"
"""The key that makes a recipe one of an ensemble."""

SELF_TRAINING = "self_training"
"""The key that makes a recipe one of a self-training (`curriculum`)."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class EnsembleSection(_Section):
    """Recipes of the members, counted from the ensemble's recipe, and the kind of weights."""

    members: tuple[Text, ...] = Field(min_length=2)
    weights: Weighting = "learnt"


class RosterForm(_Section):
    """A whole recipe of an ensemble; everything else stands in its members' recipes."""

    name: Text
    ensemble: EnsembleSection
    coverage: float = Field(0.9, gt=0, lt=1)


@dataclass(frozen=True, slots=True)
class Roster:
    """An ensemble's recipe with its members' recipes.

    Parameters
    ----------
    form
        What the file says.
    members
        Path and recipe of each member, by the recipe's name.
    """

    form: RosterForm
    members: Mapping[str, tuple[Path, Recipe]]

    @property
    def leader(self) -> tuple[Path, Recipe]:
        """Path and recipe of the first member; data, windows and folds are the same in all."""
        return next(iter(self.members.values()))

    @property
    def text(self) -> str:
        """The recipe as it has to stand in a run folder, with the members in `members/NAME/`."""
        members = [f"members/{name}/recipe.yaml" for name in self.members]
        section = {"members": members, "weights": self.form.ensemble.weights}
        whole = {"name": self.form.name, KEY: section, "coverage": self.form.coverage}
        return yaml.safe_dump(whole, sort_keys=False, allow_unicode=True)


def read_any(path: str | Path) -> Recipe | Roster:
    """Read and validate a recipe of either form.

    Raises
    ------
    RecipeError
        Naming every mistake at once.
    """
    path = Path(path)
    raw = read_mapping(path)
    if SELF_TRAINING in raw:
        raise RecipeError(f"{path}: this is a self-training's recipe; run sottovoce self-train")
    return read_roster(path) if KEY in raw else read_recipe(path)


def read_roster(path: str | Path) -> Roster:
    """Read and validate an ensemble's recipe and those of its members.

    Raises
    ------
    RecipeError
        Naming every mistake at once, the members' own among them.
    """
    path = Path(path)
    raw, mistakes = read_mapping(path), []
    form: RosterForm | None = None
    try:
        form = RosterForm.model_validate(raw)
    except ValidationError as error:
        mistakes += mistakes_of(error, RosterForm)
    found, others = read_members(raw, path.parent, KEY)
    mistakes += others
    if mistakes or form is None:
        raise refusal(path, mistakes)
    return Roster(form, {recipe.name: (place, recipe) for place, recipe in found})


def read_members(
    raw: Mapping[str, Any], folder: Path, key: str
) -> tuple[list[tuple[Path, Recipe]], list[str]]:
    """Read the recipes of a recipe's members, and say all that is wrong with them.

    Parameters
    ----------
    raw
        The recipe, which may be wrong otherwise.
    folder
        From which members are named.
    key
        Of the section that holds `members`.
    """
    found: list[tuple[Path, Recipe]] = []
    mistakes = []
    for number, member in enumerate(_named(raw, key)):
        place = folder / member
        try:
            if {KEY, SELF_TRAINING} & set(read_mapping(place)):
                mistakes.append(f"{key}.members.{number}: has members itself; name recipes")
            else:
                found.append((place, read_recipe(place)))
        except RecipeError as error:
            mistakes.append(f"{key}.members.{number}: {error}")
    return found, mistakes + _disagreements(found)


def _named(raw: Mapping[str, Any], key: str) -> list[str]:
    """Members of a recipe that may be wrong otherwise, so that theirs is told too."""
    section = raw.get(key)
    members = section.get("members") if isinstance(section, dict) else None
    return (
        [each for each in members if each and isinstance(each, str)]
        if isinstance(members, list)
        else []
    )


def _disagreements(members: list[tuple[Path, Recipe]]) -> list[str]:
    """Say what the members would have to share and do not."""
    mistakes: list[str] = []
    names: set[str] = set()
    for place, recipe in members:
        told = f"member {place.name}"
        if not MEMBER_NAME.fullmatch(recipe.name):
            mistakes.append(f"{told}: its name becomes a folder; use letters, digits, . _ and -")
        if recipe.name in names:
            mistakes.append(f"{told}: another member has the same name; give it one of its own")
        names.add(recipe.name)
        shared, wanted = _shared(place, recipe), _shared(*members[0])
        mistakes += [
            f"{told}: {key} differs from the first member's; make them the same"
            for key in wanted
            if shared[key] != wanted[key]
        ]
        used = recipe.settings.finetune
        if used is not None and used.calibration != "cross_fit":
            mistakes.append(f"{told}: an ensemble needs finetune.calibration cross_fit")
    if members and _folds(members[0][1]) < FEWEST_FOLDS:
        mistakes.append(f"member {members[0][0].name}: folds: {FEWEST_FOLDS} or more are needed")
    return mistakes


def _shared(place: Path, recipe: Recipe) -> dict[str, object]:
    files = recipe.files(place.parent)
    return {
        "instrument": recipe.instrument,
        "data": ({key: os.path.realpath(file) for key, file in files.items()}, recipe.data.split),
        "windows": recipe.windows,
        "seed": recipe.seed,
        "folds": _folds(recipe),
    }


def _folds(recipe: Recipe) -> int:
    settings = recipe.settings
    return settings.finetune.n_folds if settings.finetune else settings.probe.n_folds
