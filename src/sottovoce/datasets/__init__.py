"""Data sets by name: public corpora and anybody's own files, opened in one form.

Owns the list of names. A corpus' module is imported when it is first opened. Does not know what
is done with a data set; nothing is ever downloaded.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import cast

from sottovoce.datasets.dataset import ANNOTATOR, PARTS, Dataset, Part, Rating, Source
from sottovoce.errors import DataError

__all__ = ["ANNOTATOR", "NAMES", "PARTS", "Dataset", "Part", "Rating", "Source", "open_dataset"]

_OPENERS = {
    "bundled": "bundled_people",
    "dep-wor": "dep_wor",
    "covid-worry": "covid_worry",
    "daic-woz": "daic_woz",
    "e-daic": "e_daic",
    "folder": "folder",
}
"""Name to the module of this package whose function `opened` reads it."""

NAMES: tuple[str, ...] = tuple(_OPENERS)


def open_dataset(
    name: str, path: str | Path | None = None, instrument: str | None = None
) -> Dataset:
    """Open a data set.

    Parameters
    ----------
    name
        One of `NAMES`.
    path
        The folder or file it lies in, as its keepers give it; None for the bundled cohort.
    instrument
        Key of the questionnaire, where a folder holds labels of several; None takes the only one.

    Raises
    ------
    DataError
        If the name is unknown, a file or a column is missing, or a row cannot be read.
    """
    if name not in _OPENERS:
        raise DataError("there is no data set of that name", fix=f"use one of {', '.join(NAMES)}")
    module = import_module(f"{__name__}.{_OPENERS[name]}")
    opened = cast("Callable[[str | Path | None, str | None], Dataset]", module.opened)
    found = opened(path, instrument)
    if instrument is not None and found.instrument.key != instrument:
        raise DataError(
            f"{name} holds {found.instrument.title}",
            field="instrument",
            fix=f"name {found.instrument.key}, or no questionnaire",
        )
    return found
