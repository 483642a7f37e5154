"""A checkpoint of a training: tensors, and the state beside them, in one safetensors file.

Owns that the file is there whole or not at all: the state stands as JSON in the file's own
header, and the file takes the old one's place at once. Does not know what is trained.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sottovoce.errors import DataError


def write_checkpoint(path: Path, tensors: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Write tensors (torch, on any device) and JSON values in place of the file before.

    Raises
    ------
    DataError
        If the file cannot be written; the one before is left as it was.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    partial = path.with_suffix(".partial")
    apart = _apart(tensors)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(apart, partial, {"state": json.dumps(state)})
        partial.replace(path)
    except (OSError, SafetensorError):
        with suppress(OSError):
            partial.unlink()
        raise DataError(
            "the checkpoint cannot be written", path=path, fix="make room there, then run it again"
        ) from None


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Give tensors and state; None where there is no checkpoint or it is damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as stream:
            state = json.loads(stream.metadata()["state"])
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, TypeError, KeyError, ValueError):
        return None
    return tensors, state


def _apart(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Give tensors of the host that share no memory, copying only those that would."""
    apart, seen = {}, set()
    for name, tensor in tensors.items():
        each = tensor.detach().cpu().contiguous()
        place = each.untyped_storage().data_ptr()
        apart[name] = each.clone() if place in seen else each
        seen.add(place)
    return apart


def under(start: str, tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Give the tensors whose name begins so, without that beginning."""
    return {
        name.removeprefix(start): each for name, each in tensors.items() if name.startswith(start)
    }
