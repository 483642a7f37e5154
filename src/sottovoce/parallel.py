"""Several processes that train as one: which one this is, what they agree on, what they add up.

Owns torch's process group, whose processes torchrun starts, and the pieces of weights that are
shared out among them. Does not know heads, losses, recipes or files. With one process every
function here does nothing, on the same path.

References
----------
Zhao et al. 2023, PyTorch FSDP, arXiv:2304.11277; used is its successor, `fully_shard` (FSDP2).
"""

import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from sottovoce.errors import ModelError, ProcessError, SottovoceError, require

PATIENCE = timedelta(hours=3)
"""How long a process waits for the others. Ours: they load one after the other, and wait while
the first writes. When one dies torchrun ends the others, so that patience costs nothing."""

BUCKET = 25_000_000
"""Numbers that are added up over processes at once. Ours: 100 MB in float32, few enough calls and
next to nothing in memory."""


@dataclass(frozen=True, slots=True)
class World:
    """The processes that train together, as one of them sees it.

    Parameters
    ----------
    rank
        Of this process, from 0.
    size
        How many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    @contextmanager
    def alike(self) -> Iterator[None]:
        """Let every process leave the block in the same way: where one fails, all of them do.

        Raises
        ------
        ProcessError
            If another process failed; it says what that one said.
        """
        own = None
        try:
            yield
        except SottovoceError as error:
            own = error
        sentences = self.collect(str(own) if own else None)
        if own:
            raise own
        if other := next((each for each in sentences if each is not None), None):
            raise ProcessError(other)

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Let one process of each machine after the other through, so that memory holds one."""
        place = int(os.environ["LOCAL_RANK"]) if self.size > 1 else 0
        turns = max(self.collect(int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))
        for _ in range(place):
            self.collect(0)
        try:
            yield
        finally:
            for _ in range(turns - place):
                self.collect(0)

    def tell(self, value: Any) -> Any:
        """Give every process the first one's value; tensors have to be the host's."""
        if self.size == 1:
            return value
        from torch import distributed

        box = [value]
        distributed.broadcast_object_list(box, src=0)
        return box[0]

    def collect(self, value: Any) -> list[Any]:
        """Give every process all processes' values, by rank; tensors have to be the host's."""
        if self.size == 1:
            return [value]
        from torch import distributed

        values = [None] * self.size
        distributed.all_gather_object(values, value)
        return values

    def total(self, array: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Add up arrays of one shape over the processes; the same bits for each of them."""
        if self.size == 1:
            return array
        import torch
        from torch import distributed

        tensor = torch.from_numpy(array.copy())
        distributed.all_reduce(tensor)
        return np.asarray(tensor.numpy())

    def add_gradients(self, parameters: Sequence[Any]) -> None:
        """Add up the gradients of parameters that every process holds whole, in place.

        A parameter without a gradient in any process keeps none, as with one process: AdamW
        would let it decay otherwise. Pieces (`is_piece`) were added up on the way back already.
        """
        if self.size == 1:
            return
        import torch
        from torch import distributed

        replicated = [each for each in parameters if not is_piece(each)]
        used = torch.tensor([each.grad is not None for each in replicated], dtype=torch.int32)
        distributed.all_reduce(used, distributed.ReduceOp.MAX)
        moved = [each for each, there in zip(replicated, used.tolist(), strict=True) if there]
        for each in moved:
            if each.grad is None:
                each.grad = torch.zeros_like(each)
        for bucket in _buckets([each.grad for each in moved]):
            flat = torch.cat([each.flatten() for each in bucket])
            distributed.all_reduce(flat)
            pieces = flat.split([each.numel() for each in bucket])
            for each, piece in zip(bucket, pieces, strict=True):
                each.copy_(piece.view_as(each))

    def cut_gradients(self, parameters: Sequence[Any], limit: float) -> float:
        """Cut the whole gradient to a norm, in place, and give the norm that it had."""
        from torch import distributed
        from torch.nn.utils import get_total_norm

        moved = [each for each in parameters if each.grad is not None]
        pieces = [local(each.grad) for each in moved if is_piece(each)]
        replicated = [each.grad for each in moved if not is_piece(each)]
        norm = float(get_total_norm(replicated))
        if any(is_piece(each) for each in parameters):
            squares = (get_total_norm(pieces) ** 2).to(parameters[0].device)
            distributed.all_reduce(squares)
            norm = math.hypot(norm, float(squares.sqrt()))
        share = limit / (norm + 1e-6)  # as torch.nn.utils.clip_grad_norm_ does
        if share < 1:
            for each in [*pieces, *replicated]:
                each.mul_(share)
        return norm

    def gather(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        """Give the first process whole tensors, pieces put together in the host's memory.

        The others get nothing, but have to ask for the same.
        """
        gathered = {}
        for name, each in tensors.items():
            tensor = each.detach()
            if is_piece(tensor):
                tensor = tensor.full_tensor()
                tensor = tensor.cpu() if self.first else None
            if self.first:
                gathered[name] = tensor
        return gathered

    def spread(self, target: Any, value: Any) -> Any:
        """Copy a whole tensor, which only the first process needs to have, into all processes'.

        Parameters
        ----------
        target
            Whole or a piece, in every process; changed in place and given back.
        value
            As large as all of it; anything in the other processes.
        """
        import torch

        with torch.no_grad():
            if self.size == 1:
                return target.copy_(value)
            from torch import distributed

            device = local(target).device
            whole = torch.empty(target.shape, dtype=target.dtype, device=device)
            if self.first:
                whole.copy_(value)
            distributed.broadcast(whole, src=0)
            if not is_piece(target):
                return target.copy_(whole)
            from torch.distributed.tensor import distribute_tensor

            placed = distribute_tensor(
                whole, target.device_mesh, target.placements, src_data_rank=None
            )
            local(target).copy_(local(placed))
            return target


def started() -> World:
    """Give the processes that torchrun started, as it says in the environment; torch is not read.

    They have not met yet (`processes`).
    """
    return World(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))


@contextmanager
def processes() -> Iterator[World]:
    """Join the other processes, if torchrun started several, and leave them in the end.

    Tensors of the host are added up by gloo, those of a GPU by nccl; a process takes the GPU of
    its place on its machine.
    """
    if started().size == 1:
        yield World()
        return
    require("torch", what="Training in several processes", extra="models")
    import torch
    from torch import distributed

    on_gpus = torch.cuda.is_available()
    if on_gpus:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("cpu:gloo,cuda:nccl" if on_gpus else "gloo", timeout=PATIENCE)
    yield world()
    distributed.destroy_process_group()  # not after an error: it could wait for the others


def leave(status: int) -> NoReturn:
    """End a process that torchrun started, its files written, without taking Python apart.

    Threads of torch that still stand then abort the process now and then ("terminate called
    without an active exception": 1 of 6 runs of `tests/together.py`), and torchrun would call
    finished work failed.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def world() -> World:
    """Give the processes that this one has joined; torch keeps the group."""
    if started().size == 1:
        return World()
    from torch import distributed

    if not distributed.is_initialized():
        return World()
    return World(distributed.get_rank(), distributed.get_world_size())


def new_mesh() -> Any:
    """Give torch's mesh of all processes, over which weights are shared out.

    Raises
    ------
    ModelError
        If there is one process: it would hold everything, whatever the settings say.
    """
    size = world().size
    if size == 1:
        raise ModelError(
            "finetune.sharding is fsdp, and there is one process to share the weights out to; "
            "start it with torchrun --nproc-per-node, or set it to none"
        )
    import torch
    from torch.distributed.device_mesh import init_device_mesh

    return init_device_mesh("cuda" if torch.cuda.is_available() else "cpu", (size,))


def shard(model: Any, blocks: Sequence[Any], mesh: Any) -> None:
    """Leave each process a piece of every weight, put together block by block where it is read.

    Nothing is sent: each process has loaded the same weights and keeps its own pieces of them.
    Gradients are added up on their way back, not averaged, and nothing is computed in another
    number type than with one process.
    """
    from torch.distributed.fsdp import fully_shard

    for module in [*blocks, model]:
        # the outermost too: what it holds whole would not follow when weights are put back
        fully_shard(module, mesh=mesh, reshard_after_forward=True)
        module.set_gradient_divide_factor(1.0)
        module.set_force_sum_reduction_for_comms(True)  # gloo can only add


def is_piece(tensor: Any) -> bool:
    """Whether the processes hold a tensor in pieces (torch's DTensor)."""
    return hasattr(tensor, "full_tensor")


def local(tensor: Any) -> Any:
    """Give what this process holds of a tensor; a view, not a copy."""
    return tensor.to_local() if is_piece(tensor) else tensor


def _buckets(tensors: Sequence[Any]) -> Iterator[list[Any]]:
    bucket: list[Any] = []
    size = 0
    for each in tensors:
        if bucket and size + each.numel() > BUCKET:
            yield bucket
            bucket, size = [], 0
        bucket.append(each)
        size += each.numel()
    if bucket:
        yield bucket
