"""What is wrong with a recipe, whatever its form, told all at once and in one sentence.

Owns reading a recipe's file as a mapping, and turning a form's complaints into clauses with the
nearest valid key. Does not know any form.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from sottovoce.errors import RecipeError


class Section(BaseModel):
    """A part of a recipe: keys that nobody knows are refused, and numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def read_mapping(path: Path) -> dict[str, Any]:
    """Read the keys of a recipe, of whatever form.

    Raises
    ------
    RecipeError
        If the file cannot be read or is no mapping.
    """
    try:
        raw = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise RecipeError(
            f"{path}: the recipe cannot be read ({error.strerror}); check the name"
        ) from None
    except _NOT_YAML as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise RecipeError(f"{path}: not YAML{where}; correct it") from None
    if not isinstance(raw, dict):
        raise RecipeError(f"{path}: a recipe is a mapping of keys; start from recipes/")
    return raw


def mistakes_of(error: ValidationError, form: type[BaseModel]) -> list[str]:
    """Give a clause for each mistake against a form."""
    return [_mistake(each, form) for each in _apart(error.errors())]


def refusal(path: Path, mistakes: Sequence[str]) -> RecipeError:
    """Put all mistakes of a recipe into one error."""
    count = "one mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    return RecipeError(f"{path}: {count}: " + "; ".join(mistakes))


_NOT_YAML = (yaml.YAMLError, ValueError, KeyError, AttributeError, RecursionError)
"""What PyYAML raises: its own error, and bare ones for values such as the date 2025-99-99."""


def _apart(errors: Sequence[Any]) -> list[Any]:
    """Leave out that a list is too short where one of its entries was wrong."""
    entries = {error["loc"][:-1] for error in errors}
    return [each for each in errors if each["type"] != "too_short" or each["loc"] not in entries]


def _mistake(error: Any, form: type[BaseModel]) -> str:
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        near = get_close_matches(str(error["loc"][-1]), _keys(error["loc"][:-1], form), n=1)
        return f"{place} is not a key" + (f", did you mean {near[0]}?" if near else "")
    if error["type"] == "missing":
        return f"{place} is missing"
    if error["type"] == "model_type":
        return f"{place}: write a mapping of keys"
    if error["type"] == "tuple_type":
        return f"{place}: write a list"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{place}: {message[:1].lower()}{message[1:]}"


def _keys(place: tuple[Any, ...], section: type[BaseModel]) -> list[str]:
    """Keys that a section of a form knows."""
    for part in place:
        annotation = section.model_fields[str(part)].annotation
        kinds = [annotation, *get_args(annotation)]
        section = next(k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel))
    return list(section.model_fields)
