"""A recipe: one YAML file that says what is trained on what.

Owns the file's form, its validation (all mistakes told at once, near-miss keys suggested) and its
translation into settings. Does not read data or train.
"""

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from sottovoce import bundled
from sottovoce.backbones import NAMED, VISION, Quantization
from sottovoce.cohort import LeakPolicy, WindowRules
from sottovoce.conversations import Role
from sottovoce.errors import DataError
from sottovoce.features import Pooling
from sottovoce.head import HeadPooling, HeadStart, Outputs
from sottovoce.instruments import instrument
from sottovoce.losses import LossKind
from sottovoce.mistakes import Section, mistakes_of, read_mapping, refusal
from sottovoce.model_input import Layout, Rendering
from sottovoce.probe import N_AVERAGED, PENALTIES, ProbeSearch
from sottovoce.settings import (
    FEWEST_READER_FOLDS,
    FOUR_BITS,
    FOUR_BITS_FIX,
    HALF_PRECISION,
    HALF_PRECISION_FIX,
    SHARED_OUT,
    SHARED_OUT_FIX,
    BackboneSettings,
    Calibration,
    EstimatorSettings,
    FinetuneSettings,
    HeadSettings,
    LoraSettings,
    Method,
    ProbeSettings,
    ReaderSettings,
    ScheduleSettings,
    Sharding,
    can_train,
)
from sottovoce.tracking import Tracker

BUNDLED = "bundled"
"""Written instead of a path: the simulated cohort that comes with the package."""

PLACES = (
    *(("data", key) for key in ("chats", "labels", "people", "annotations")),
    ("backbone", "name"),
)
"""Keys that may name a file or folder; a relative one counts from the recipe's folder."""

TAUGHT_FROM = ("annotations", "evidence")
"""Files that teach a reader alone; members of one ensemble need not share them."""

LONGEST_LOOK_BACK = 36525
"""Days, a hundred years: no conversation is older, and the calendar of Python ends somewhere."""

Text = Annotated[str, Field(min_length=1)]


class DataSection(Section):
    """Where the people come from: canonical files, or `bundled`."""

    chats: Text
    labels: Text | None = None
    people: Text | None = None
    split: Text | None = None
    annotations: Text | None = None


class WindowSection(Section):
    """See `cohort.WindowRules`."""

    look_back_days: float = Field(14.0, gt=0, le=LONGEST_LOOK_BACK)
    min_user_messages: int = Field(5, ge=1)
    min_user_words: int = Field(45, ge=0)
    leaks: LeakPolicy = "remove"


class InputSection(Section):
    """See `model_input.Rendering`."""

    roles: tuple[Role, ...] = ("user",)
    layout: Layout = "chat"
    max_tokens: int = Field(4096, ge=1)

    @field_validator("roles")
    @classmethod
    def _user_is_read(cls, roles: tuple[Role, ...]) -> tuple[Role, ...]:
        if "user" not in roles:
            raise ValueError("user must be among them")
        return roles


class BackboneSection(Section):
    """See `backbones.load_backbone`."""

    name: Text
    revision: Text | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    quantization: Quantization | None = None


class ProbeSection(Section):
    """See `settings.ProbeSettings`; `all` is written for no layers, and means every one."""

    poolings: tuple[Pooling, ...] = Field(("mean", "message_mean"), min_length=1)
    layers: tuple[Annotated[int, Field(ge=0)], ...] = ()
    penalties: tuple[float, ...] = Field(PENALTIES, min_length=1)
    average: int = Field(N_AVERAGED, ge=1)
    folds: int = Field(5, ge=2)

    @field_validator("layers", mode="before")
    @classmethod
    def _all_or_some(cls, layers: object) -> object:
        if layers == "all":
            return ()
        if not isinstance(layers, list) or not layers:
            raise ValueError("write all, or a list of layers such as [12, 18]")
        return layers

    @field_validator("penalties")
    @classmethod
    def _above_zero(cls, penalties: tuple[float, ...]) -> tuple[float, ...]:
        if min(penalties) <= 0:
            raise ValueError("every penalty must be above 0")
        return penalties


class ReaderSection(Section):
    """See `settings.ReaderSettings`; `default` is written for no layers."""

    layers: tuple[Annotated[int, Field(ge=0)], ...] = ()
    penalty: float = Field(3.0, gt=0)
    folds: int = Field(5, ge=FEWEST_READER_FOLDS)

    @field_validator("layers", mode="before")
    @classmethod
    def _default_or_some(cls, layers: object) -> object:
        if layers == "default":
            return ()
        if not isinstance(layers, list) or not layers:
            raise ValueError("write default, or a list of layers such as [15, 18]")
        return layers

    @property
    def settings(self) -> ReaderSettings:
        """The section as settings."""
        return ReaderSettings(tuple(sorted(set(self.layers))), self.penalty, self.folds)


class LoraSection(Section):
    """See `settings.LoraSettings`; `all` is written for no targets, and means every layer."""

    rank: int = Field(16, ge=1)
    alpha: int = Field(32, ge=1)
    dropout: float = Field(0.05, ge=0, lt=1)
    targets: tuple[Text, ...] = ()
    exclude: Text = VISION

    @field_validator("targets", mode="before")
    @classmethod
    def _all_or_some(cls, targets: object) -> object:
        if targets == "all":
            return ()
        if not isinstance(targets, list) or not targets:
            raise ValueError("write all, or a list of layer names such as [q_proj, v_proj]")
        return targets

    @field_validator("exclude")
    @classmethod
    def _is_a_pattern(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error:
            raise ValueError("not a regular expression") from None
        return pattern


class HeadSection(Section):
    """See `settings.HeadSettings`."""

    pooling: HeadPooling = "user_mean"
    outputs: Outputs = "total"
    loss: LossKind = "huber"
    item_weight: float = Field(0.5, ge=0)
    smoothing: bool = False
    start: HeadStart = "zero"

    @model_validator(mode="after")
    def _ordinal_is_about_the_total(self) -> "HeadSection":
        if self.loss == "ordinal" and self.outputs == "items":
            raise ValueError("the ordinal loss is about the total; use outputs total or both")
        if self.start == "probe" and (self.loss == "ordinal" or self.outputs == "items"):
            raise ValueError("a probe starts a total without cut-offs; use start zero")
        return self


class ScheduleSection(Section):
    """See `settings.ScheduleSettings`."""

    epochs: int = Field(10, ge=1)
    patience: int = Field(3, ge=1)
    learning_rate: float = Field(2e-4, gt=0)
    head_learning_rate: float = Field(5e-4, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    warm_up: float = Field(0.1, ge=0, le=1)
    clip: float = Field(1.0, gt=0)
    batch_size: int = Field(16, ge=1)
    batch_tokens: int = Field(8192, ge=1)
    gradient_checkpointing: bool = False
    checkpoint_steps: int = Field(50, ge=1)


class FinetuneSection(Section):
    """See `settings.FinetuneSettings`; `report_to` names trackers and decides no number."""

    method: Method = "lora"
    lora: LoraSection = LoraSection()
    head: HeadSection = HeadSection()
    schedule: ScheduleSection = ScheduleSection()
    validation_share: float = Field(0.15, ge=0, le=0.5)
    calibration: Calibration = "cross_fit"
    folds: int = Field(5, ge=2)
    sharding: Sharding = "none"
    layers: int | None = Field(None, ge=1)
    frozen_layers: int = Field(0, ge=0)
    report_to: tuple[Tracker, ...] = ()

    @model_validator(mode="after")
    def _frozen_layers_fit(self) -> "FinetuneSection":
        if self.layers is not None and self.frozen_layers >= self.layers:
            raise ValueError("no block is left to train; make frozen_layers less than layers")
        if self.frozen_layers and self.sharding == "fsdp":
            raise ValueError("what frozen blocks give is kept whole; use sharding none")
        return self

    @model_validator(mode="after")
    def _lora_is_used(self) -> "FinetuneSection":
        if self.method == "full" and "lora" in self.model_fields_set:
            raise ValueError("the method full trains every weight; leave lora out")
        return self

    @property
    def settings(self) -> FinetuneSettings:
        """The section as settings."""
        lora = self.lora.model_dump()
        return FinetuneSettings(
            self.method,
            LoraSettings(**lora),
            HeadSettings(**self.head.model_dump()),
            ScheduleSettings(**self.schedule.model_dump()),
            self.validation_share,
            self.calibration,
            self.folds,
            self.layers,
            self.frozen_layers,
            self.sharding,
        )


class Recipe(Section):
    """A whole recipe, valid in itself; whether its files exist is seen when it runs.

    With `finetune` the body is a fine-tuned backbone, with `reader` an evidence reader that learns
    from `data.annotations`, otherwise a probe. The `architecture` is read by `sottovoce plan` only,
    where the backbone's own configuration is not at hand.
    """

    name: Text
    instrument: str = "phq-9"
    data: DataSection
    windows: WindowSection = WindowSection()
    input: InputSection = InputSection()
    backbone: BackboneSection
    architecture: dict[str, Any] | None = None
    probe: ProbeSection = ProbeSection()
    finetune: FinetuneSection | None = None
    reader: ReaderSection | None = None
    coverage: float = Field(0.9, gt=0, lt=1)
    seed: int = Field(0, ge=0)

    @field_validator("finetune")
    @classmethod
    def _steps_are_not_rounded_away(
        cls, finetune: FinetuneSection | None, others: ValidationInfo
    ) -> FinetuneSection | None:
        backbone = others.data.get("backbone")
        if finetune and backbone and finetune.method == "full" and backbone.quantization:
            raise ValueError(f"{FOUR_BITS}; {FOUR_BITS_FIX}")
        if finetune and backbone and finetune.sharding == "fsdp" and backbone.quantization:
            raise ValueError(f"{SHARED_OUT}; {SHARED_OUT_FIX}")
        if finetune and backbone and not can_train(finetune.method, backbone.dtype):
            raise ValueError(f"{HALF_PRECISION}; {HALF_PRECISION_FIX}")
        return finetune

    @field_validator("instrument")
    @classmethod
    def _known(cls, key: str) -> str:
        try:
            return instrument(key).key
        except DataError as error:
            raise ValueError(f"not known; {error.fix}") from None

    @field_validator("architecture")
    @classmethod
    def _says_its_kind(cls, numbers: dict[str, Any] | None) -> dict[str, Any] | None:
        if numbers is not None and not isinstance(numbers.get("model_type"), str):
            raise ValueError("model_type is missing; write one such as qwen3_5_text")
        return numbers

    @field_validator("data")
    @classmethod
    def _labels_are_named(cls, data: DataSection) -> DataSection:
        if data.chats != BUNDLED and data.labels is None:
            raise ValueError("labels are missing; name the labels.jsonl")
        if data.chats == BUNDLED and (data.labels or data.people or data.annotations):
            raise ValueError("the bundled cohort brings all of its files; leave the others out")
        if data.chats == BUNDLED and data.split not in (None, "train"):
            raise ValueError("the bundled cohort is trained on its split train only")
        if data.split is not None and data.chats != BUNDLED and data.people is None:
            raise ValueError("a split needs people, the people.jsonl with a column split")
        return data

    @property
    def settings(self) -> EstimatorSettings:
        """The recipe as settings of an estimator."""
        return EstimatorSettings(
            instrument=self.instrument,
            rules=WindowRules(**self.windows.model_dump()),
            rendering=Rendering(**self.input.model_dump()),
            backbone=BackboneSettings(**self.backbone.model_dump()),
            probe=ProbeSettings(
                self.probe.poolings,
                self.probe.layers,
                ProbeSearch(self.probe.penalties, self.probe.average),
                self.probe.folds,
            ),
            coverage=self.coverage,
            seed=self.seed,
            finetune=self.finetune.settings if self.finetune else None,
            reader=self.reader.settings if self.reader else None,
        )

    @property
    def folds(self) -> int:
        """Folds of people that the body asks for."""
        return self.settings.n_folds

    @property
    def trackers(self) -> tuple[Tracker, ...]:
        """Where a fine-tuning's figures go while it runs."""
        return self.finetune.report_to if self.finetune else ()

    def settings_in(self, folder: Path) -> EstimatorSettings:
        """Give the settings of a recipe that stands in a folder.

        A backbone that is a folder beside the recipe is named by its whole path, so that the
        estimator finds it from wherever it is used later.
        """
        settings = self.settings
        beside = backbone_beside(self.backbone.name, folder)
        if beside is None:
            return settings
        return replace(settings, backbone=replace(settings.backbone, name=str(beside)))

    def files(self, folder: Path) -> dict[str, Path]:
        """Give the data files by their key, relative paths counted from the recipe's folder."""
        if self.data.chats == BUNDLED:
            own = {"chats": bundled.CHATS, "labels": bundled.LABELS, "people": bundled.PEOPLE}
            taught = {"annotations": bundled.ANNOTATIONS, "evidence": bundled.EVIDENCE}
            return own | taught if self.reader else own
        named = {
            "chats": self.data.chats,
            "labels": self.data.labels,
            "people": self.data.people if self.data.split else None,
            "annotations": self.data.annotations if self.reader else None,
        }
        return {key: folder / name for key, name in named.items() if name is not None}


def backbone_beside(name: str, folder: Path) -> Path | None:
    """Give the whole path of a backbone that is a folder, counted from the recipe's folder."""
    beside = folder / name
    return beside.resolve() if name not in NAMED and beside.is_dir() else None


def recipe_for(path: Path, folder: Path) -> str:
    """Give the text of a valid recipe as it has to stand in another folder.

    Word for word where no path in it is relative; otherwise without comments, each relative path
    counted from that folder.
    """
    text = path.read_text("utf-8")
    raw, moved = yaml.safe_load(text), False
    for section, key in PLACES:
        name = raw[section].get(key)
        if name is None or name == BUNDLED or Path(name).is_absolute():
            continue
        if section == "data" or backbone_beside(name, path.parent):
            raw[section][key] = os.path.relpath((path.parent / name).resolve(), folder.resolve())
            moved = True
    return yaml.safe_dump(raw, sort_keys=False, allow_unicode=True) if moved else text


def read_recipe(path: str | Path) -> Recipe:
    """Read and validate a recipe.

    Raises
    ------
    RecipeError
        Naming every mistake at once, with the nearest valid key where one was misspelt.
    """
    path = Path(path)
    raw = read_mapping(path)
    mistakes = []
    bodies = [name for name in ("probe", "finetune", "reader") if name in raw]
    if len(bodies) > 1:
        mistakes.append(
            f"{bodies[-1]}: a recipe has one body, this one has {' and '.join(bodies)}; leave "
            "all but one out"
        )
    try:
        recipe = Recipe.model_validate(raw)
    except ValidationError as error:
        mistakes += mistakes_of(error, Recipe)
    if mistakes:
        raise refusal(path, mistakes)
    return recipe
