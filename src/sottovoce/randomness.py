"""The random numbers of one training: its own, the same after a kill, other masks in each process.

Owns torch's random states. Does not know what is drawn from them (`finetune`).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from sottovoce.parallel import World


@contextmanager
def own_randomness(seed: int) -> Iterator[None]:
    """Seed torch for one training and leave the caller's random state as it was."""
    import torch

    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield


def masks_apart(seed: int, here: World) -> None:
    """Let each process but the first drop out other numbers; adapters began alike before this."""
    import torch

    if not here.first:
        torch.manual_seed(int(np.random.SeedSequence([seed, here.rank]).generate_state(1)[0]))


def random_states(here: World, device: Any) -> dict[str, Any]:
    """Give every process's states as tensors, named by what draws from them and the rank."""
    import torch

    states = {"random": here.collect(torch.get_rng_state())}
    if device.type == "cuda":
        states["random.cuda"] = here.collect(torch.cuda.get_rng_state())
    return {
        f"{name}.{rank}": each for name, kept in states.items() for rank, each in enumerate(kept)
    }


def set_random_states(states: Mapping[str, Any], here: World) -> None:
    """Set this process's states, named without ``random.``; a new process keeps its fresh ones."""
    import torch

    if f"{here.rank}" in states:
        torch.set_rng_state(states[f"{here.rank}"])
    if f"cuda.{here.rank}" in states:
        torch.cuda.set_rng_state(states[f"cuda.{here.rank}"])
