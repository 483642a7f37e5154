"""The simulated cohort of the package as a data set.

Owns which of its columns and reference totals are shown. Does not know where the files lie
(`bundled`). The people of its split `unlabelled` have conversations and no labels here.
"""

from pathlib import Path

from sottovoce import bundled
from sottovoce.datasets.dataset import ANNOTATOR, Dataset, Source
from sottovoce.errors import DataError
from sottovoce.instruments import PHQ_9

CEILING = "noise ceiling"
"""Totals of the states that the writers of the chats were given: no reader can know more."""

NOTES = {
    ANNOTATOR: "recorded blind readings by a reasoning model of the family that wrote the chats: "
    "far easier for it than real talk",
    CEILING: "the state that the writer was given, against the questionnaire: no reader of the "
    "text can know more",
}

_NOT_COLUMNS = ("user_id", "split", "occupation")
"""An occupation is a text of its own for nearly everybody, no group."""


def opened(path: str | Path | None = None, _instrument: str | None = None) -> Dataset:
    """Open the bundled cohort, which takes no path."""
    if path is not None:
        raise DataError("the bundled cohort lies in the package", path=path, fix="name no folder")
    labels = [*bundled.labels("train"), *bundled.labels("test")]
    labelled = {each.user_id for each in labels}
    said = [each for split in bundled.SPLITS for each in bundled.annotations(split)]
    state = bundled.state_totals()
    return Dataset(
        name="bundled",
        title=bundled.NAME,
        instrument=PHQ_9,
        conversations=tuple(
            each for split in bundled.SPLITS for each in bundled.conversations(split)
        ),
        labels=tuple(labels),
        source=Source(
            "CC0",
            "in the package",
            "Simulated for this project; see DATASHEET.md beside the files.",
        ),
        parts={user: row["split"] for user, row in bundled.people().items()},
        people={
            user: {name: value for name, value in row.items() if name not in _NOT_COLUMNS}
            for user, row in bundled.people().items()
        },
        references={
            ANNOTATOR: {each.user_id: each.total for each in said},
            CEILING: {user: total for user, total in state.items() if user in labelled},
        },
        reference_notes=NOTES,
        annotations={each.user_id: each for each in said},
        simulated=True,
        dated=False,
        remarks=(
            "Simulated people, every word of it: a figure says which of two methods reads these "
            "texts better, and nothing about patients.",
            "The chats and the recorded annotator come from one family of models, which finds "
            "them far easier than real talk.",
        ),
    )
