"""The recipe of a self-training: members, pool, test people, stages, and how far labels may go.

Owns the file's form and its validation, all mistakes told at once. Does not know a member's own
form (`recipe`), nor data.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from sottovoce import bundled
from sottovoce.combination import Weighting
from sottovoce.duplicates import ALIKE
from sottovoce.errors import RecipeError
from sottovoce.material import STUDY, Kind, SelfTraining
from sottovoce.mistakes import Section, mistakes_of, read_mapping, refusal
from sottovoce.recipe import BUNDLED, Recipe, Text
from sottovoce.roster import SELF_TRAINING as KEY
from sottovoce.roster import read_members
from sottovoce.stages import order_problem, readers_problem

RECIPES = "recipes"
"""Folder of the members' recipes in a run folder."""


class PoolSection(Section):
    """People without a questionnaire, and what an annotator said of them and of training people."""

    chats: Text
    annotations: Text


class TestSection(Section):
    """People who are tested only."""

    chats: Text
    labels: Text | None = None

    @model_validator(mode="after")
    def _labels_are_named(self) -> "TestSection":
        if self.chats != BUNDLED and self.labels is None:
            raise ValueError("labels are missing; name the labels.jsonl")
        if self.chats == BUNDLED and self.labels is not None:
            raise ValueError("the bundled cohort brings its labels; leave them out")
        return self


class SelfTrainingSection(Section):
    """See `material.SelfTraining`; members are named as in an ensemble's recipe."""

    members: tuple[Text, ...] = Field(min_length=1)
    pool: PoolSection
    test: TestSection | None = None
    cross_validation: int | None = Field(None, ge=2)
    stages: tuple[Kind, ...] = STUDY
    parts: int = Field(2, ge=2)
    trust: tuple[float, ...] = Field((0.25, 0.5, 1.0), min_length=1)
    blend: tuple[float, ...] = ()
    agreement: float = Field(0.98, gt=0, le=1)
    duplicates: float = Field(ALIKE, gt=0, le=1)
    weights: Weighting = "learnt"

    @field_validator("stages")
    @classmethod
    def _in_order(cls, stages: tuple[Kind, ...]) -> tuple[Kind, ...]:
        problem = order_problem(stages)
        if problem:
            raise ValueError(problem)
        return stages

    @field_validator("trust")
    @classmethod
    def _above_zero(cls, trust: tuple[float, ...]) -> tuple[float, ...]:
        if min(trust) <= 0:
            raise ValueError("0 is always tried; write numbers above it")
        return trust

    @field_validator("blend")
    @classmethod
    def _shares(cls, blend: tuple[float, ...]) -> tuple[float, ...]:
        if blend and not 0 < min(blend) <= max(blend) <= 1:
            raise ValueError("0 is always tried; write shares above it, at most 1")
        return blend

    @model_validator(mode="after")
    def _tested_in_one_way(self) -> "SelfTrainingSection":
        if (self.test is None) == (self.cross_validation is None):
            raise ValueError("write test or cross_validation, one of them")
        return self


class CurriculumForm(Section):
    """A whole recipe of a self-training; everything else stands in its members' recipes."""

    name: Text
    self_training: SelfTrainingSection
    seed: int = Field(0, ge=0)


@dataclass(frozen=True, slots=True)
class Curriculum:
    """A self-training's recipe with its members' recipes.

    Parameters
    ----------
    form
        What the file says.
    members
        Path and recipe of each member, by the recipe's name.
    folder
        Of the recipe; relative paths in it count from there.
    """

    form: CurriculumForm
    members: Mapping[str, tuple[Path, Recipe]]
    folder: Path

    @property
    def section(self) -> SelfTrainingSection:
        """What stands under the key."""
        return self.form.self_training

    @property
    def leader(self) -> tuple[Path, Recipe]:
        """Path and recipe of the first member; data, windows and folds are the same in all."""
        return next(iter(self.members.values()))

    @property
    def simulated(self) -> bool:
        """Whether the people who are tested are simulated."""
        tested = self.section.test.chats if self.section.test else self.leader[1].data.chats
        return tested == BUNDLED

    @property
    def plan(self) -> SelfTraining:
        """The recipe as settings of the stages."""
        used = self.section
        return SelfTraining(
            used.stages,
            used.parts,
            used.trust,
            used.blend,
            used.agreement,
            used.duplicates,
            self.form.seed,
            used.weights,
        )

    def files(self) -> dict[str, Path]:
        """Give the files of pool and test people by key."""
        own = {"pool": bundled.CHATS, "annotations": bundled.ANNOTATIONS}
        own |= {"test": bundled.CHATS, "test_labels": bundled.LABELS}
        named = {"pool": self.section.pool.chats, "annotations": self.section.pool.annotations}
        if self.section.test:
            named |= {"test": self.section.test.chats}
            named |= {"test_labels": self.section.test.labels or BUNDLED}
        return {
            key: own[key] if name == BUNDLED else self.folder / name for key, name in named.items()
        }

    def text_for(self, folder: Path) -> str:
        """Give the recipe as it has to stand in a run folder, the members' in `recipes/`."""
        raw = self.form.model_dump(mode="json", exclude_none=True)
        section = raw[KEY]
        section["members"] = [f"{RECIPES}/{name}.yaml" for name in self.members]
        for part in ("pool", "test"):
            for key, name in section.get(part, {}).items():
                if name != BUNDLED and not Path(name).is_absolute():
                    place = (self.folder / name).resolve()
                    section[part][key] = os.path.relpath(place, folder.resolve())
        return yaml.safe_dump(raw, sort_keys=False, allow_unicode=True)


def read_curriculum(path: str | Path) -> Curriculum:
    """Read and validate a self-training's recipe and those of its members.

    Raises
    ------
    RecipeError
        Naming every mistake at once, the members' own among them.
    """
    path = Path(path)
    raw, mistakes = read_mapping(path), []
    if KEY not in raw:
        raise RecipeError(
            f"{path}: the key {KEY} is missing; start from recipes/self-train-small.yaml, or train "
            "this recipe with sottovoce train"
        )
    form: CurriculumForm | None = None
    try:
        form = CurriculumForm.model_validate(raw)
    except ValidationError as error:
        mistakes += mistakes_of(error, CurriculumForm)
    found, others = read_members(raw, path.parent, KEY)
    mistakes += others
    if form is not None and found:
        readers = sum(recipe.reader is not None for _, recipe in found)
        problem = readers_problem(form.self_training.stages, readers, len(found))
        mistakes += [f"{KEY}.members: {problem}"] if problem else []
    if mistakes or form is None:
        raise refusal(path, mistakes)
    members = {recipe.name: (place, recipe) for place, recipe in found}
    return Curriculum(form, members, path.parent)
