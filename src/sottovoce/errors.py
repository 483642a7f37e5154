"""The errors a user can meet: each is one sentence saying what, where, what was found, what to do.

Owns the sentence's form. Does not know any module that raises. No message text, name or raw id
may be passed in here: callers describe what they found by its kind and size.
"""

from pathlib import Path
from types import ModuleType


class SottovoceError(Exception):
    """Base of every error that Sottovoce raises on purpose."""


class DataError(SottovoceError):
    """A chat, label or score file that cannot be used as it is.

    Parameters
    ----------
    problem
        What is wrong, as a clause ("the timestamp has no time zone").
    path, line, field
        Where: file, 1-based line (or row) and field, as far as they are known.
    fix
        What to do about it.

    Examples
    --------
    >>> print(DataError("the file is empty", path="chats.jsonl", fix="write one conversation"))
    chats.jsonl: the file is empty; write one conversation
    """

    def __init__(
        self,
        problem: str,
        *,
        path: str | Path | None = None,
        line: int | None = None,
        field: str | None = None,
        fix: str | None = None,
    ) -> None:
        self.problem, self.path, self.line, self.field, self.fix = problem, path, line, field, fix
        where = "" if path is None else str(path)
        if line is not None:
            where += f", line {line}" if where else f"line {line}"
        if field is not None:
            where += f", field {field}" if where else f"field {field}"
        sentence = f"{where}: {problem}" if where else problem
        super().__init__(f"{sentence}; {fix}" if fix else sentence)


class RecipeError(SottovoceError):
    """A recipe with one or more mistakes; all of them are told at once."""


class ModelError(SottovoceError):
    """A backbone or saved estimator that is missing, damaged or does not fit its own record."""


class ProcessError(SottovoceError):
    """What another of the processes that train together could not do, in its own sentence."""


class AnnotatorError(SottovoceError):
    """An annotator that cannot answer anybody: no key, no such model, no connection."""


class ServiceError(SottovoceError):
    """What the operator of the monitoring service must mend."""


class MissingExtraError(SottovoceError):
    """An optional dependency that is not installed.

    Parameters
    ----------
    what
        The capability that needs it ("reading Parquet").
    command
        The pip command that brings it.
    """

    def __init__(self, what: str, command: str) -> None:
        super().__init__(f"{what} needs a package that is not installed; run: {command}")


def require(module: str, *, what: str, extra: str) -> ModuleType:
    """Import an optional dependency, or say in one sentence how to get it.

    Parameters
    ----------
    module
        Dotted module name.
    what
        The capability that needs it, first words of the sentence.
    extra
        The extra of this package that brings it.

    Raises
    ------
    MissingExtraError
        If the module is not installed.
    """
    from importlib import import_module

    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        raise MissingExtraError(what, f"pip install 'sottovoce[{extra}]'") from None


def describe(value: object) -> str:
    """Say what a value is without showing it: its kind and, for text, its length.

    Examples
    --------
    >>> describe("a secret"), describe(None), describe([1, 2])
    ('text of 8 characters', 'nothing', 'a list of 2')
    """
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return f"text of {len(value)} characters" if value else "empty text"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    return "an object" if isinstance(value, dict) else f"a {type(value).__name__}"
