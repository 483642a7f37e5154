"""Everything that decides an estimator besides the data, as plain records with their defaults.

Owns the settings of backbone, body and estimator. Does not know how they are written in a recipe
(`recipe`) nor what is done with them (`estimator`).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from sottovoce.backbones import VISION, Quantization
from sottovoce.cohort import WindowRules
from sottovoce.errors import DataError
from sottovoce.features import Pooling
from sottovoce.head import HeadPooling, HeadStart, Outputs
from sottovoce.losses import LossKind
from sottovoce.model_input import Rendering
from sottovoce.probe import ProbeSearch


@dataclass(frozen=True, slots=True)
class BackboneSettings:
    """Which backbone: its name, revision on the hub, number type, and 4 bits (`load_backbone`)."""

    name: str = "smollm2-135m"
    revision: str | None = None
    dtype: str = "float32"
    quantization: Quantization | None = None


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """What the probe may choose from, by cross-validation over people.

    Parameters
    ----------
    poolings, layers
        Candidates; no layers means all of them.
    search
        Penalties to try, and how many of the best candidates are averaged.
    n_folds
        Folds of people, stratified by total.
    """

    poolings: tuple[Pooling, ...] = ("mean", "message_mean")
    layers: tuple[int, ...] = ()
    search: ProbeSearch = field(default_factory=ProbeSearch)
    n_folds: int = 5


Method = Literal["lora", "full"]
Calibration = Literal["cross_fit", "held_out"]
Sharding = Literal["none", "fsdp"]
HALF_PRECISION = "half-precision weights round the steps of a full training away"
HALF_PRECISION_FIX = "use the dtype float32 (a GPU computes in bfloat16 anyway) or lora"
FOUR_BITS = "weights in 4 bits cannot be trained themselves"
FOUR_BITS_FIX = "use lora, or leave backbone.quantization out"
SHARED_OUT = "weights in 4 bits are not shared out"
SHARED_OUT_FIX = "use sharding none, which gives every process a whole copy"


def can_train(method: Method, dtype: str) -> bool:
    """Whether weights of this number type can be trained so; adapters are always float32."""
    return method == "lora" or dtype == "float32"


@dataclass(frozen=True, slots=True)
class LoraSettings:
    """Low-rank adapters (Hu et al. 2021, arXiv:2106.09685).

    The study does not say whether it uses them; the defaults are those of the paper's and peft's
    examples.

    Parameters
    ----------
    rank, alpha, dropout
        As in peft.
    targets
        Names of linear layers; none means every linear layer.
    exclude
        Pattern of whole module names that get no adapter.
    """

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05
    targets: tuple[str, ...] = ()
    exclude: str = VISION


@dataclass(frozen=True, slots=True)
class HeadSettings:
    """What the head reads, puts out and loses. None of it is published by the study.

    Parameters
    ----------
    pooling
        ``last`` token, ``user_mean`` over the person's tokens, ``message_mean`` over their
        messages, each the mean of its tokens, or ``all_mean``. The person's tokens by default,
        as in the probe.
    outputs, loss, item_weight
        See `head.Head`. Huber by default: the study's MAE/RMSE of .65 is heavy-tailed.
    smoothing
        Whether rare totals weigh more (`losses.rarity_weights`).
    start
        What the total's weights are before the first step. ``zero``; or ``probe``: a ridge
        regression on the training windows' pooled states, which are then standardised, so that
        fine-tuning starts from what a linear probe knows and does not distort it on the way
        there (Kumar, Raghunathan, Jones, Ma, Liang 2022, arXiv:2202.10054).
    """

    pooling: HeadPooling = "user_mean"
    outputs: Outputs = "total"
    loss: LossKind = "huber"
    item_weight: float = 0.5
    smoothing: bool = False
    start: HeadStart = "zero"


@dataclass(frozen=True, slots=True)
class ScheduleSettings:
    """How long and how fast is trained; none of it is published by the study.

    Parameters
    ----------
    epochs, patience
        Epochs at most, and epochs without a better validation error after which it stops.
    learning_rate, head_learning_rate
        Peak rates of the backbone (or its adapters) and of the head, which starts from nothing.
        AdamW moves each of the head's weights by about its rate, and a score by that times
        hidden_size times the states' mean size: the wider the backbone, the lower the rate.
    weight_decay, warm_up, clip
        Of AdamW; share of the steps until the peak rate, after which it falls as a cosine; norm
        that a gradient is cut to.
    batch_size, batch_tokens
        Windows of a step, and padded tokens that are in memory at once: a step is made of as
        many parts as that takes, and its gradient is theirs together.
    gradient_checkpointing
        Whether activations are computed twice to save memory.
    checkpoint_steps
        Steps between checkpoints; each epoch ends with one too.
    """

    epochs: int = 10
    patience: int = 3
    learning_rate: float = 2e-4
    head_learning_rate: float = 5e-4
    weight_decay: float = 0.01
    warm_up: float = 0.1
    clip: float = 1.0
    batch_size: int = 16
    batch_tokens: int = 8192
    gradient_checkpointing: bool = False
    checkpoint_steps: int = 50


@dataclass(frozen=True, slots=True)
class FinetuneSettings:
    """Fine-tuning of the backbone with a regression head.

    Parameters
    ----------
    method
        ``lora`` trains adapters, ``full`` every weight.
    lora, head, schedule
        See each; `lora` does not count for ``full``.
    validation_share
        Share of the training people by whose error training stops and the best epoch is kept;
        0 trains all epochs and keeps the last.
    calibration
        Whose residuals make the predictive distribution. ``cross_fit``: `n_folds` trainings, each
        without a fold of people, and one on everybody: an error of every person, for
        ``n_folds + 1`` trainings. ``held_out``: one training without one fold, for backbones
        that are too large to train again.
    n_folds
        Folds of people, stratified by total.
    layers
        Blocks of the backbone that are used, lowest first; the head reads the last of them.
        None uses all.
    frozen_layers
        How many of the lowest blocks, and the embeddings below them, stay as published. Each
        text passes through them once and is kept (`lower.ReadOnce`); they get no dropout.
    sharding
        What several processes (torchrun) do with the backbone's weights. ``none``: each holds
        them whole. ``fsdp``: each holds a piece, and of gradients and optimizer states where
        every weight is trained. Neither changes what is computed.
    """

    method: Method = "lora"
    lora: LoraSettings = field(default_factory=LoraSettings)
    head: HeadSettings = field(default_factory=HeadSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    validation_share: float = 0.15
    calibration: Calibration = "cross_fit"
    n_folds: int = 5
    layers: int | None = None
    frozen_layers: int = 0
    sharding: Sharding = "none"


@dataclass(frozen=True, slots=True)
class ReaderSettings:
    """What an evidence reader reads and how strongly it is shrunk; beyond the study.

    Parameters
    ----------
    layers
        Whose states are read and averaged; none means the blocks at `depths` of the backbone.
    penalty
        Ridge penalty per feature of the readings. On the bundled training people 1, 3 and 10
        give out-of-fold MAE 3.65, 3.63 and 3.65, on dep-wor .3, 1 and 10 about the same
        (docs/decisions/0011).
    n_folds
        Folds of people, stratified by total; three or more, since what is held out of a fold is
        taught by readings that held out one more.

    Raises
    ------
    DataError
        If there are fewer folds.
    """

    layers: tuple[int, ...] = ()
    penalty: float = 3.0
    n_folds: int = 5

    def __post_init__(self) -> None:
        if self.n_folds < FEWEST_READER_FOLDS:
            raise DataError(
                f"a reader needs {FEWEST_READER_FOLDS} folds or more",
                field="reader.n_folds",
                fix="give as many",
            )

    def layers_of(self, n_layers: int) -> tuple[int, ...]:
        """Give the layers to read of a backbone with so many blocks."""
        return self.layers or tuple(sorted({round(depth * n_layers) for depth in READ_DEPTHS}))


FEWEST_READER_FOLDS = 3

READ_DEPTHS = (0.5, 0.6, 0.7)
"""Depths of the backbone that are read where no layers are named: blocks 15, 18 and 21 of
SmolLM2-135M, which read best on the bundled training people (docs/decisions/0011)."""


@dataclass(frozen=True, slots=True)
class EstimatorSettings:
    """Everything that decides an estimator besides the data.

    Raises
    ------
    DataError
        If there are settings for two bodies, or weights in half precision or in 4 bits are to
        be trained.
    """

    instrument: str = "phq-9"
    rules: WindowRules = field(default_factory=WindowRules)
    rendering: Rendering = field(default_factory=Rendering)
    backbone: BackboneSettings = field(default_factory=BackboneSettings)
    probe: ProbeSettings = field(default_factory=ProbeSettings)
    coverage: float = 0.9
    seed: int = 0
    finetune: FinetuneSettings | None = None
    """When given, the body is a fine-tuned backbone and there is no probe."""
    reader: ReaderSettings | None = None
    """When given, the body is an evidence reader and there is no probe."""

    def __post_init__(self) -> None:
        probe = None if self.probe == ProbeSettings() else self.probe
        bodies = {"probe": probe, "finetune": self.finetune, "reader": self.reader}
        given = [name for name, settings in bodies.items() if settings is not None]
        if len(given) > 1:
            raise DataError(
                f"there are settings for {len(given)} bodies: {' and '.join(given)}",
                field=given[-1],
                fix="give one of them",
            )
        if self.finetune and self.finetune.method == "full" and self.backbone.quantization:
            raise DataError(FOUR_BITS, field="finetune.method", fix=FOUR_BITS_FIX)
        if self.finetune and self.finetune.sharding == "fsdp" and self.backbone.quantization:
            raise DataError(SHARED_OUT, field="finetune.sharding", fix=SHARED_OUT_FIX)
        if self.finetune and not can_train(self.finetune.method, self.backbone.dtype):
            raise DataError(HALF_PRECISION, field="finetune.method", fix=HALF_PRECISION_FIX)

    @property
    def record(self) -> dict[str, Any]:
        """As JSON values, of the bodies only the one that is used."""
        values = asdict(self)
        if self.backbone.quantization is None:  # as in records from before there were 4 bits
            del values["backbone"]["quantization"]
        used = "finetune" if self.finetune else "reader" if self.reader else "probe"
        for body in {"probe", "finetune", "reader"} - {used}:
            del values[body]
        return values

    @property
    def n_folds(self) -> int:
        """Folds of people that the body asks for."""
        return (self.finetune or self.reader or self.probe).n_folds


def finetune_from(record: Mapping[str, Any]) -> FinetuneSettings:
    """Give the settings of a record made by `EstimatorSettings.record`."""
    lora = {**record["lora"], "targets": tuple(record["lora"]["targets"])}
    return FinetuneSettings(
        **{
            **record,
            "lora": LoraSettings(**lora),
            "head": HeadSettings(**record["head"]),
            "schedule": ScheduleSettings(**record["schedule"]),
        }
    )
