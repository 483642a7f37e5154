"""Fine-tuning: one training of a backbone and its head, that can be killed and goes on exactly.

Owns the loop: order, gradient, rates, early stopping, divergence, checkpoints and what is recorded
of each step. Several processes (`parallel`) share each step's batch. Does not know folds,
calibration or recipes (`crossfit`), nor files of data.

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
from sottovoce.backbones import Backbone, named_blocks
from sottovoce.batches import collate, dealt, epoch_order, pooled
from sottovoce.checkpoint import read_checkpoint, under, write_checkpoint
from sottovoce.conversations import write_json_lines
from sottovoce.errors import ModelError
from sottovoce.head import Head, new_parameters, outcome, window_losses, without_standardising
from sottovoce.instruments import Instrument
from sottovoce.jobs import Array, Examples, Job, Rows, identity
from sottovoce.lower import ReadOnce
from sottovoce.parallel import is_piece, world
from sottovoce.probe import Lesson, ProbeSearch, fit_probe
from sottovoce.progress import Advance, silent
from sottovoce.randomness import masks_apart, own_randomness, random_states, set_random_states
from sottovoce.settings import FinetuneSettings
from sottovoce.tuned import Reader, TunedBody

N_PENALTY_FOLDS = 5
"""Folds that choose the penalty of the probe a head starts from; as many as of people."""

LEAST_SPREAD = 1e-6
"""Least standard deviation that a state is divided by: a constant state stays near 0."""

DIVERGED = 1e4
"""Mean loss of a step, in squared standard deviations or nats, that no training comes back from."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """A training's body, its scores of the held-out rows in points, and a record of each step.

    Of several processes only the first has the trained weights in its body.
    """

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
        If the training diverges, the adapters' targets match nothing, or weights that were to be
        shared out are whole.
    ProcessError
        If another of several processes failed.
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
        own_randomness(job.seed),
        trainable(backbone.model, settings) as model,
        _recomputing(backbone.model, settings.schedule.gradient_checkpointing),
    ):
        read = _reading_once(model, settings.frozen_layers, examples)
        training = _Training(replace(backbone, model=read), examples, settings, job, head)
        masks_apart(job.seed, training.world)
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
        self.job, self.head, self.world = job, head, world()
        self.pace, self.state = settings.schedule, _State()
        self.weights = named_weights(backbone.model)
        self.device = next(backbone.model.parameters()).device
        started = new_parameters(head, backbone.hidden_size, examples.totals[job.training])
        self.parameters = {
            name: torch.tensor(array, device=self.device, requires_grad=True)
            for name, array in started.items()
        }
        if settings.head.start == "probe":
            for name in ("centre", "spread"):
                self.parameters[name] = torch.ones(backbone.hidden_size, device=self.device)
        self.best: dict[str, Any] = {}
        self._begin_alike()
        self.optimizer = self._new_optimizer()
        self.lengths = [examples.inputs[row].n_tokens for row in job.training]
        self.usual_weight = float(examples.weights[job.training].mean())
        self.n_steps = self.pace.epochs * math.ceil(len(job.training) / self.pace.batch_size)
        self.reader = Reader(head, settings.head.pooling, self.pace.batch_tokens)
        read = f"{backbone.fingerprint} {backbone.number_types}"
        self.identity = identity(read, examples, settings, job, head)
        self.in_pieces = any(is_piece(each) for each in backbone.model.parameters())
        self._refuse_mismatch()

    def run(self, advance: Advance) -> None:
        """Train until the epochs are over or validation no longer improves."""
        if not self._restore() and self.settings.head.start == "probe":
            self._start_from_probe()
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

    def _start_from_probe(self) -> None:
        """Standardise the states and let the head be a ridge regression on them.

        It is the first candidate: where validation says that training makes it worse, it is
        kept. The folds that choose its penalty are of windows: nothing is measured on them, and
        none of them is a pseudolabel.
        """
        import torch

        rows = self.job.training
        self.backbone.model.eval()
        inputs = [self.examples.inputs[row] for row in rows]
        states = self.reader.states(self.backbone, inputs)
        totals, pseudo = self.examples.yardstick[rows], self.examples.is_pseudo[rows]
        folds = np.full(len(rows), -1)
        folds[~pseudo] = np.arange((~pseudo).sum()) % N_PENALTY_FOLDS
        lesson = Lesson(self.examples.totals[rows], self.examples.weights[rows])
        search = ProbeSearch(n_averaged=1)
        probe = fit_probe({"mean": states[:, None]}, [0], totals, folds, search, lesson).probe
        centre = states.mean(0, dtype=np.float64)
        spread = np.maximum(states.std(0, dtype=np.float64), LEAST_SPREAD)
        offset = probe.intercepts[0] + centre @ probe.weights[0] - self.head.mean
        started = {
            "centre": centre,
            "spread": spread,
            "total.weight": probe.weights[0] * spread / self.head.scale,
            "total.bias": np.array([offset / self.head.scale]),
        }
        self._load({"head." + name: torch.from_numpy(array) for name, array in started.items()})
        self._begin_alike()
        self._validate()

    def _step(self, rows: Sequence[int]) -> None:
        """Move the weights once; memory holds a part of the batch, the gradient all of it."""
        share = learning_rate_share(self.state.step, self.n_steps, self.pace.warm_up)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * share
        self.backbone.model.train()
        whole, loss = len(rows) * self.usual_weight, 0.0
        for part, counted in self._parts(rows):
            weighted = self._weighted_loss(part) * (counted / whole)
            weighted.backward()
            loss += float(weighted.detach())
        every = [*self.weights.values(), *self.parameters.values()]
        self.world.add_gradients(every)
        norm = self.world.cut_gradients(every, self.pace.clip)
        loss = float(self.world.total(np.array([loss]))[0])
        self._refuse_divergence(loss, norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.state.step += 1
        self.state.batch += 1
        self.state.loss += loss
        self._record(loss=loss, gradient_norm=norm, learning_rate_share=share)

    def _parts(self, rows: Rows | Sequence[int]) -> list[tuple[list[int], bool]]:
        """Give this process's parts of some rows, and whether each counts.

        Pieces of weights are put together by all processes at once, so that each has to read as
        many parts as the others: who has fewer reads the shortest row again, for nothing.
        """
        rows, inputs = [int(row) for row in rows], self.examples.inputs
        shares = dealt(rows, inputs, self.pace.batch_tokens, self.world.size)
        own = [(part, True) for part in shares[self.world.rank]]
        if not self.in_pieces or not rows:
            return own
        shortest = min(rows, key=lambda row: inputs[row].n_tokens)
        return own + [([shortest], False)] * (max(map(len, shares)) - len(own))

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
        error = self._validate()
        self._record(epoch_loss=state.loss / n_batches, validation_mae=error)
        state.finished = state.epoch >= self.pace.epochs or (
            error is not None and state.waited >= self.pace.patience
        )
        state.epoch, state.batch, state.loss = state.epoch + 1, 0, 0.0
        if state.finished:
            self._load(self.best)
            self.best = {}

    def _validate(self) -> float | None:
        """Give the validation error, and keep the weights if it is the least so far."""
        state, error = self.state, self._validation_error()
        if error is not None:
            self._refuse_divergence(error, 0.0)
            if state.best is None or error < state.best:
                state.best, state.waited = error, 0
                self.best = {name: each.detach().clone() for name, each in self._moving().items()}
            else:
                state.waited += 1
        return error

    def _validation_error(self) -> float | None:
        rows = self.job.validation
        if not len(rows):
            return None
        return float(np.abs(self.scores(rows) - self.examples.yardstick[rows]).mean())

    def scores(self, rows: Rows) -> Array:
        """Score rows by the weights as they are, within the instrument's range."""
        self.backbone.model.eval()
        places = {int(row): place for place, row in enumerate(rows)}
        points = np.zeros(len(rows))
        for part, counted in self._parts(rows):
            inputs = [self.examples.inputs[row] for row in part]
            said = self.reader.read(self.backbone, self.parameters, inputs, silent)
            if counted:
                points[[places[row] for row in part]] = said
        return np.clip(self.world.total(points), self.head.minimum, self.head.maximum)

    def body(self) -> TunedBody:
        """Give what was trained; of several processes the first has the weights."""
        settings = self.settings
        weights = self.world.gather(self.weights)
        return TunedBody(
            settings.lora if settings.method == "lora" else None,
            self.head,
            settings.head.pooling,
            self.pace.batch_tokens,
            without_standardising({name: _array(each) for name, each in self.parameters.items()}),
            {name: _array(each) for name, each in weights.items()},
            settings.layers,
            settings.frozen_layers,
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
                "params": [each for each in self.parameters.values() if each.requires_grad],
                "peak": pace.head_learning_rate,
                "weight_decay": pace.weight_decay,
            },
        ]
        return torch.optim.AdamW([each for each in groups if each["params"]])

    def _begin_alike(self) -> None:
        """Take the first process's weights: another machine may draw others by the same seed."""
        for each in self._moving().values():
            if not is_piece(each):  # pieces were read from checked files
                self.world.spread(each, each)

    def _refuse_mismatch(self) -> None:
        if self.settings.sharding == "fsdp" and not self.in_pieces:
            raise ModelError(
                "finetune.sharding is fsdp, and the backbone was loaded whole; load it with a mesh"
            )
        with self.world.alike():
            if self.world.tell(self.identity) != self.identity:
                raise ModelError(
                    f"process {self.world.rank} was given other data, settings or another "
                    "backbone than the first; give every machine the same files"
                )

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
        if self.job.folder is None:
            return
        tensors = {**self._moving(), **random_states(self.world, self.device)}
        if not self.state.finished:
            tensors |= {"best." + name: each for name, each in self.best.items()}
            for place, kept in self.optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{place}.{name}": each for name, each in kept.items()}
        tensors = self.world.gather(tensors)
        state = {**asdict(self.state), "identity": self.identity}
        with self.world.alike():
            if self.world.first:
                write_checkpoint(self._path(), tensors, state)
                write_json_lines(self._path().with_suffix(".jsonl"), self.state.history)

    def _restore(self) -> bool:
        """Go on from the checkpoint, if there is one of this training, and say so.

        The first process reads it and the others are told, so that they may be more or fewer than
        those that left it, with pieces or without.
        """
        found = None
        if self.job.folder is not None and self.world.first:
            found = read_checkpoint(self._path())
        if found is not None and found[1].pop("identity") != self.identity:
            found = None
        tensors, state = found or ({}, None)
        names = self.world.tell(list(tensors))
        state = self.world.tell(state)
        if state is None:
            return False
        self.state = _State(**state)
        for name, each in self._moving().items():
            self.world.spread(each, tensors.get(name))
        self._restore_best(names, tensors)
        self._restore_optimizer(names, tensors)
        set_random_states(self.world.tell(under("random.", tensors)), self.world)
        return True

    def _restore_best(self, names: Sequence[str], tensors: dict[str, Any]) -> None:
        import torch

        moving = self._moving()
        self.best = {
            name: self.world.spread(torch.zeros_like(moving[name]), tensors.get("best." + name))
            for name in (each.removeprefix("best.") for each in names if each.startswith("best."))
        }

    def _restore_optimizer(self, names: Sequence[str], tensors: dict[str, Any]) -> None:
        import torch

        moved = [each for group in self.optimizer.param_groups for each in group["params"]]
        kept: dict[int, dict[str, Any]] = {}
        for name in names:
            kind, _, rest = name.partition(".")
            if kind != "optimizer":
                continue
            place, _, what = rest.partition(".")
            target = torch.zeros(()) if what == "step" else torch.zeros_like(moved[int(place)])
            kept.setdefault(int(place), {})[what] = self.world.spread(target, tensors.get(name))
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": kept, "param_groups": groups})

    def _path(self) -> Path:
        assert self.job.folder is not None
        return self.job.folder / f"{self.job.name}.safetensors"


def _reading_once(model: Any, frozen_layers: int, examples: Examples) -> Any:
    if not frozen_layers:
        return model
    return ReadOnce(model, named_blocks(model)[1], frozen_layers, examples.lower)


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
