"""Memory of one GPU, part by part, while a backbone is trained or read.

Owns the arithmetic from a blueprint to bytes: data types, recomputing, sharding, 4-bit weights.
Does not know data, time or money (`plan`).

References
----------
Loshchilov, Hutter 2019, arXiv:1711.05101 (AdamW keeps two numbers for each that is trained).
Chen et al. 2016, arXiv:1604.06174 (recomputing activations).
Rajbhandari et al. 2020, ZeRO, arXiv:1910.02054 (stage 3, as FSDP2, shares all but activations).
Dettmers et al. 2023, QLoRA, arXiv:2305.14314.
"""

from dataclasses import dataclass

from sottovoce.activations import Kept
from sottovoce.blueprint import Blueprint
from sottovoce.parallel import BUCKET
from sottovoce.settings import FinetuneSettings, Sharding

FOUR_BIT = (4 + 0.127) / 8
"""Bytes of a weight in NF4 with double quantisation: 4 bits and 0.127 bits of scales (QLoRA,
arXiv:2305.14314, section 3)."""

ADAM_STATES = 2
"""Numbers that AdamW keeps of each trained one, in its data type: torch's exp_avg, exp_avg_sq."""

GATHERED_BLOCKS = 2
"""Blocks that FSDP2 holds whole at once: the one that runs and the one it fetches meanwhile (torch
documentation of `torch.distributed.fsdp.fully_shard`, implicit prefetching)."""

HEAD_BYTES = 4
"""Of a number of the head, which is always float32."""


@dataclass(frozen=True, slots=True)
class Device:
    """What a training runs on.

    Parameters
    ----------
    gpus
        How many; 0 is a CPU.
    sharding
        ``none``: every GPU holds everything. ``fsdp`` (FSDP2): the backbone's weights are shared
        out, and their gradients and optimizer states where they are trained; adapters are not.
        None leaves it to the recipe.
    four_bit
        Whether the frozen linear layers are packed into 4 bits.
    """

    gpus: int = 1
    sharding: Sharding | None = None
    four_bit: bool = False

    @property
    def shares(self) -> int:
        """How many GPUs one copy of the weights is spread over."""
        return max(self.gpus, 1) if self.sharding == "fsdp" else 1

    @property
    def autocast(self) -> bool:
        """Whether activations are bfloat16 whatever the weights are: on GPUs."""
        return self.gpus > 0


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on one GPU, or in a CPU's memory.

    Parameters
    ----------
    weights, gradients, optimizer
        Of backbone, adapters and head.
    best
        Copy of the trained weights at their best epoch, kept beside them while stopping is decided.
    activations
        What the forward pass keeps. Of a backbone that is only read: the hidden states.
    workspace
        Gradients of activations on their way, or what the optimizer's step holds for a moment,
        whichever is larger than what it replaces.
    buffers
        Gathered blocks and gradients in transit between GPUs, and a layer unpacked from 4 bits.
    untouched
        Full training's copy of the published weights: in the host's memory beside GPUs (and then
        not in the total), in the same memory on a CPU.
    logits
        None: a regression head reads the pooled state, so no vocabulary-wide tensor is made.
    on_host
        Whether `untouched` lies elsewhere.
    """

    weights: int
    gradients: int = 0
    optimizer: int = 0
    best: int = 0
    activations: int = 0
    workspace: int = 0
    buffers: int = 0
    untouched: int = 0
    logits: int = 0
    on_host: bool = True

    @property
    def parts(self) -> dict[str, int]:
        """What makes up the total, by name."""
        names = "weights gradients optimizer best activations workspace buffers logits".split()
        names += [] if self.on_host else ["untouched"]
        return {name: getattr(self, name) for name in names}

    @property
    def total(self) -> int:
        """All parts together."""
        return sum(self.parts.values())


def training_memory(
    made: Blueprint, kept: Kept, head: int, settings: FinetuneSettings, device: Device
) -> Memory:
    """Work out the memory of fine-tuning.

    Parameters
    ----------
    made
        Built with the same settings.
    kept
        Of the padded tokens that are in memory at once.
    head
        Numbers of the head.
    settings, device
        How, and on what.
    """
    full = settings.method == "full"
    trained = made.trained.bytes // (device.shares if full else 1) + HEAD_BYTES * head
    activations, workspace = _activations(kept, settings.schedule.gradient_checkpointing)
    in_pieces = full and device.shares > 1
    step = trained if device.gpus else 0  # torch.optim: foreach, the default on GPUs, needs this
    return Memory(
        weights=_weights(made, device) + HEAD_BYTES * head,
        gradients=trained,
        optimizer=ADAM_STATES * trained,
        best=trained if settings.validation_share else 0,
        activations=activations,
        workspace=max(workspace, step - activations),
        buffers=_buffers(made, device, HEAD_BYTES * head if in_pieces else trained),
        untouched=made.backbone.bytes if full else 0,
        on_host=device.gpus > 0,
    )


def reading_memory(made: Blueprint, tokens: int, device: Device) -> Memory:
    """Work out the memory of a frozen backbone whose hidden states of every layer are kept."""
    state = tokens * made.hidden_size * (2 if device.autocast else 4)
    return Memory(
        weights=_weights(made, device),
        activations=state * (made.n_layers + 1),
        buffers=_buffers(made, device, 0),
        on_host=device.gpus > 0,
    )


def _activations(kept: Kept, recomputed: bool) -> tuple[int, int]:
    """Give what is kept, and what the backward pass adds at its widest."""
    workspace = 2 * kept.largest  # a gradient comes in, another goes out
    if not recomputed:
        return sum(kept.blocks) + kept.outside, workspace
    return len(kept.blocks) * kept.state + kept.outside + max(kept.blocks), workspace


def _weights(made: Blueprint, device: Device) -> int:
    backbone = made.backbone.bytes
    if device.four_bit:
        backbone += round(made.linear.numbers * FOUR_BIT) - made.linear.bytes
    return backbone // device.shares + made.adapters.bytes


def _buffers(made: Blueprint, device: Device, replicated: int) -> int:
    """Give what is there for a moment; `replicated`: gradients that every GPU holds whole."""
    unpacked = 2 * made.largest_linear if device.four_bit else 0  # one layer, in bfloat16
    summed = min(replicated, HEAD_BYTES * BUCKET) if device.gpus > 1 else 0
    if device.shares == 1:
        return unpacked + summed
    block, outside = made.block.bytes - made.block_trained.bytes, made.outside.bytes
    if not made.adapters.numbers:  # what is trained itself has its whole gradient beside it
        block, outside = made.block.bytes + made.block_trained.bytes, 2 * outside
    return unpacked + summed + GATHERED_BLOCKS * block + outside
