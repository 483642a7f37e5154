"""Fine-tuning: one training of a backbone and its head, that can be killed and goes on exactly.

Owns the loop: order, gradient, rates, early stopping, divergence, checkpoints and what is recorded
of each step. Does not know folds, calibration or recipes (`crossfit`), nor files of data.

References
----------
Loshchilov, Hutter 2019, Decoupled weight decay regularization, arXiv:1711.05101.
Loshchilov, Hutter 2017, SGDR (the cosine), arXiv:1608.03983.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sottovoce.adapter import named_weights, trainable
from sottovoce.backbones import Backbone
from sottovoce.batches import collate, epoch_order, pooled, within_budget
from sottovoce.checkpoint import read_checkpoint, under, write_checkpoint
from sottovoce.conversations import write_json_lines
from sottovoce.errors import ModelError
from sottovoce.head import Head, new_parameters, outcome, window_losses
from sottovoce.instruments import Instrument
from sottovoce.jobs import Array, Examples, Job, Rows, identity
from sottovoce.progress import Advance, silent
from sottovoce.settings import FinetuneSettings
from sottovoce.tuned import Reader, TunedBody

DIVERGED = 1e4
"""Mean loss of a step, in squared standard deviations or nats, that no training comes back from."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """A training's body, its scores of the held-out rows in points, and a record of each step."""

    body: TunedBody
    held_out: Array
    history: tuple[dict[str, Any], ...]


def finetune(
    backbone: Backbone,
    examples: Examples,
    instrument: Instrument,
    settings: FinetuneSettings,
    job: Job,
    advance: Advance = silent,
) -> Tuned:
    """Train once; goes on from the job's checkpoint where there is one of the same training.

    Parameters
    ----------
    backbone
        Untrained; it is afterwards as it was before.
    examples, job
        What is trained on.
    instrument, settings
        What is estimated, and how it is trained.
    advance
        Called with windows trained on and how many there can be, and with the record of each step
        and epoch; of a training that goes on, with those before, too.

    Raises
    ------
    ModelError
        If the training diverges, or the adapters' targets match nothing.
    """
    if settings.head.smoothing:
        examples = examples.weighed(instrument, job.training)
    head = Head.on(
        instrument,
        examples.totals[job.training],
        settings.head.outputs,
        settings.head.loss,
        settings.head.item_weight,
    )
    with (
        _own_randomness(job.seed),
        trainable(backbone.model, settings) as model,
        _recomputing(backbone.model, settings.schedule.gradient_checkpointing),
    ):
        training = _Training(replace(backbone, model=model), examples, settings, job, head)
        training.run(advance)
        return Tuned(training.body(), training.scores(job.held_out), tuple(training.state.history))


def learning_rate_share(step: int, n_steps: int, warm_up: float) -> float:
    """Give the share of the peak rate at a step (from 0): a line up, then half a cosine down."""
    rising = math.ceil(warm_up * n_steps)
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(n_steps - rising, 1)))


@dataclass(slots=True)
class _State:
    """Where a training is; everything of it that is no tensor."""

    epoch: int = 1
    batch: int = 0
    step: int = 0
    loss: float = 0.0
    best: float | None = None
    waited: int = 0
    finished: bool = False
    history: list[dict[str, Any]] = field(default_factory=list)


class _Training:
    """The loop and what it changes: weights, head, optimizer, state."""

    def __init__(
        self,
        backbone: Backbone,
        examples: Examples,
        settings: FinetuneSettings,
        job: Job,
        head: Head,
    ) -> None:
        import torch

        self.backbone, self.examples, self.settings = backbone, examples, settings
        self.job, self.head = job, head
        self.pace, self.state = settings.schedule, _State()
        self.weights = named_weights(backbone.model)
        self.device = next(backbone.model.parameters()).device
        started = new_parameters(head, backbone.hidden_size, examples.totals[job.training])
        self.parameters = {
            name: torch.tensor(array, device=self.device, requires_grad=True)
            for name, array in started.items()
        }
        self.best: dict[str, Any] = {}
        self.optimizer = self._new_optimizer()
        self.lengths = [examples.inputs[row].n_tokens for row in job.training]
        self.usual_weight = float(examples.weights[job.training].mean())
        self.n_steps = self.pace.epochs * math.ceil(len(job.training) / self.pace.batch_size)
        self.reader = Reader(head, settings.head.pooling, self.pace.batch_tokens)
        self.identity = identity(backbone.fingerprint, examples, settings, job, head)

    def run(self, advance: Advance) -> None:
        """Train until the epochs are over or validation no longer improves."""
        self._restore()
        size, history = len(self.job.training), self.state.history
        for before in history:
            advance((self.state.epoch - 1) * size, self.pace.epochs * size, before)
        while not self.state.finished:
            order = epoch_order(
                self.lengths, self.pace.batch_size, [self.job.seed, self.state.epoch]
            )
            for places in order[self.state.batch :]:
                self._step([int(self.job.training[place]) for place in places])
                done = (self.state.epoch - 1) * size + sum(map(len, order[: self.state.batch]))
                advance(done, self.pace.epochs * size, history[-1])
                if self.state.step % self.pace.checkpoint_steps == 0:
                    self._save()
            self._end_epoch(len(order))
            advance((self.state.epoch - 1) * size, self.pace.epochs * size, history[-1])
            self._save()

    def _step(self, rows: Sequence[int]) -> None:
        """Move the weights once; memory holds a part of the batch, the gradient all of it."""
        import torch

        share = learning_rate_share(self.state.step, self.n_steps, self.pace.warm_up)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * share
        self.backbone.model.train()
        whole, loss = len(rows) * self.usual_weight, 0.0
        for part in within_budget(rows, self.examples.inputs, self.pace.batch_tokens):
            weighted = self._weighted_loss(part) / whole
            weighted.backward()
            loss += float(weighted.detach())
        every = [*self.weights.values(), *self.parameters.values()]
        norm = float(torch.nn.utils.clip_grad_norm_(every, self.pace.clip))
        self._refuse_divergence(loss, norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.state.step += 1
        self.state.batch += 1
        self.state.loss += loss
        self._record(loss=loss, gradient_norm=norm, learning_rate_share=share)

    def _weighted_loss(self, rows: Sequence[int]) -> Any:
        import torch

        pad = self.backbone.tokenizer.pad_token_id or 0
        inputs = [self.examples.inputs[row] for row in rows]
        batch = collate(inputs, self.settings.head.pooling, pad)
        said = outcome(self.head, self.parameters, pooled(self.backbone.model, batch))
        totals, items, weights = (
            torch.tensor(each[rows], dtype=torch.float32, device=self.device)
            for each in (self.examples.totals, self.examples.items, self.examples.weights)
        )
        return (window_losses(self.head, said, totals, items) * weights).sum()

    def _end_epoch(self, n_batches: int) -> None:
        """Validate, keep the best weights, and decide whether to go on."""
        state = self.state
        error = self._validation_error()
        if error is not None:
            self._refuse_divergence(error, 0.0)
            if state.best is None or error < state.best:
                state.best, state.waited = error, 0
                self.best = {name: each.detach().clone() for name, each in self._moving().items()}
            else:
                state.waited += 1
        self._record(epoch_loss=state.loss / n_batches, validation_mae=error)
        state.finished = state.epoch >= self.pace.epochs or (
            error is not None and state.waited >= self.pace.patience
        )
        state.epoch, state.batch, state.loss = state.epoch + 1, 0, 0.0
        if state.finished:
            self._load(self.best)
            self.best = {}

    def _validation_error(self) -> float | None:
        rows = self.job.validation
        if not len(rows):
            return None
        return float(np.abs(self.scores(rows) - self.examples.totals[rows]).mean())

    def scores(self, rows: Rows) -> Array:
        """Score rows by the weights as they are, within the instrument's range."""
        self.backbone.model.eval()
        inputs = [self.examples.inputs[row] for row in rows]
        points = self.reader.read(self.backbone, self.parameters, inputs, silent)
        return np.clip(points, self.head.minimum, self.head.maximum)

    def body(self) -> TunedBody:
        """Give what was trained."""
        settings = self.settings
        return TunedBody(
            settings.lora if settings.method == "lora" else None,
            self.head,
            settings.head.pooling,
            self.pace.batch_tokens,
            {name: _array(each) for name, each in self.parameters.items()},
            {name: _array(each) for name, each in self.weights.items()},
        )

    def _new_optimizer(self) -> Any:
        """AdamW; vectors (norms and biases) of the backbone do not decay."""
        import torch

        pace = self.pace
        matrices = [each for each in self.weights.values() if each.ndim > 1]
        vectors = [each for each in self.weights.values() if each.ndim <= 1]
        groups = [
            {"params": matrices, "peak": pace.learning_rate, "weight_decay": pace.weight_decay},
            {"params": vectors, "peak": pace.learning_rate, "weight_decay": 0.0},
            {
                "params": list(self.parameters.values()),
                "peak": pace.head_learning_rate,
                "weight_decay": pace.weight_decay,
            },
        ]
        return torch.optim.AdamW([each for each in groups if each["params"]])

    def _refuse_divergence(self, loss: float, norm: float) -> None:
        if not (loss < DIVERGED and math.isfinite(norm)):
            raise ModelError(
                f"the training {self.job.name} diverged at step {self.state.step + 1}: its loss or "
                "gradient is not finite or far too large; lower finetune.schedule.learning_rate"
            )

    def _record(self, **figures: float | None) -> None:
        state = self.state
        self.state.history.append(
            {"job": self.job.name, "epoch": state.epoch, "step": state.step, **figures}
        )

    def _moving(self) -> dict[str, Any]:
        """Everything that is trained, by name."""
        return {
            **{"weights." + name: each for name, each in self.weights.items()},
            **{"head." + name: each for name, each in self.parameters.items()},
        }

    def _load(self, tensors: dict[str, Any]) -> None:
        import torch

        moving = self._moving()
        with torch.no_grad():
            for name, value in tensors.items():
                moving[name].copy_(value)

    def _save(self) -> None:
        """Write the checkpoint, if the job keeps one, and the record beside it for people."""
        import torch

        if self.job.folder is None:
            return
        tensors = {**self._moving(), "random": torch.get_rng_state()}
        if self.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state()
        if not self.state.finished:
            tensors |= {"best." + name: each for name, each in self.best.items()}
            for place, kept in self.optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{place}.{name}": each for name, each in kept.items()}
        state = {**asdict(self.state), "identity": self.identity}
        write_checkpoint(self._path(), tensors, state)
        write_json_lines(self._path().with_suffix(".jsonl"), self.state.history)

    def _restore(self) -> None:
        """Go on from the checkpoint, unless it is of another training."""
        import torch

        found = None if self.job.folder is None else read_checkpoint(self._path())
        if found is None or found[1].pop("identity") != self.identity:
            return
        tensors, state = found
        self.state = _State(**state)
        self._load({name: tensors[name] for name in self._moving()})
        self.best = {name: each.to(self.device) for name, each in under("best.", tensors).items()}
        kept: dict[int, dict[str, Any]] = {}
        for name, each in under("optimizer.", tensors).items():
            place, _, what = name.partition(".")
            kept.setdefault(int(place), {})[what] = each
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": kept, "param_groups": groups})
        torch.set_rng_state(tensors["random"])
        if "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"])

    def _path(self) -> Path:
        assert self.job.folder is not None
        return self.job.folder / f"{self.job.name}.safetensors"


@contextmanager
def _own_randomness(seed: int) -> Iterator[None]:
    """Seed torch for one training and leave the caller's random state as it was."""
    import torch

    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield


@contextmanager
def _recomputing(model: Any, wanted: bool) -> Iterator[None]:
    """Turn on gradient checkpointing for a while, under the name that this transformers has."""
    if not wanted:
        yield
        return
    kind = "activation" if hasattr(model, "activation_checkpointing_enable") else "gradient"
    getattr(model, f"{kind}_checkpointing_enable")({"use_reentrant": False})
    try:
        yield
    finally:
        getattr(model, f"{kind}_checkpointing_disable")()
        model.disable_input_require_grads()  # a hook that enabling leaves on the embeddings


def _array(tensor: Any) -> npt.NDArray[np.float32]:
    """Copy: the backbone's own weights are put back when the training is over."""
    return np.array(tensor.detach().float().cpu().numpy(), order="C")
