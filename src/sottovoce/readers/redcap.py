"""REDCap CSV exports, or any CSV with one questionnaire a row, with a mapping of the fields.

Owns the row forms of a REDCap export: events of a longitudinal project and repeating instruments
give rows in which the questionnaire's fields are all blank; such rows are left out and counted.
Does not know how a questionnaire is scored (`answers`, `instruments`). Streams: memory holds one
row.

The mapping: ``completed_at=FIELD``; ``user_id=FIELD`` (else ``record_id``); and the answers as
``items=phq9_{n}`` (the number of the item in place of ``{n}``), or ``item1=FIELD`` and so on, or
``total=FIELD``. Answers may be codes or, in an export with labels, the wording. A blank answer is
missing, never 0.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from sottovoce.conversations import QuestionnaireResponse, located
from sottovoce.errors import DataError
from sottovoce.instruments import Instrument
from sottovoce.readers.answers import Answers, is_blank, points, response, total_points
from sottovoce.readers.clock import Clock
from sottovoce.readers.options import ReadOptions, Tally
from sottovoce.readers.rows import read_rows, require_columns
from sottovoce.readers.turns import identifier

RECORD_ID = "record_id"
"""REDCap's own default name of the record id field."""


def read_redcap(
    path: str | Path, options: ReadOptions | None = None, tally: Tally | None = None
) -> Iterator[QuestionnaireResponse]:
    """Read a REDCap export one questionnaire at a time.

    Parameters
    ----------
    path
        A CSV exported from REDCap, raw or with labels.
    options
        Uses `instrument` (needed), `columns` (user_id, completed_at, items, item1.., total) and
        `zone`, as REDCap writes local times.
    tally
        Counts what was left out or assumed.

    Raises
    ------
    DataError
        If the mapping does not fit the file, or with file, line and field at the first row that
        cannot be read.
    """
    options, tally = options or ReadOptions(), tally or Tally()
    used, clock = options.questionnaire(), Clock(options, tally)
    fields = _fields(options, used)
    for line, row in read_rows(path):
        require_columns(row, list(fields.items()), path)
        try:
            read = _response(row, fields, used, clock)
        except DataError as error:
            raise located(error, path, line) from None
        if read is not None:
            yield read


def item_fields(columns: Mapping[str, str], used: Instrument) -> dict[str, str]:
    """Give our item names (item1, item2, ..) with the source's, from the mapping.

    Returns
    -------
    dict
        Empty if no item is mapped.

    Raises
    ------
    DataError
        If some items are mapped and some are not, or one that the instrument does not have.
    """
    names = [f"item{item.number}" for item in used.items]
    pattern = columns.get("items")
    if pattern is not None and "{n}" not in pattern:
        raise DataError(
            "the mapping of the items has no {n} for the number of the item",
            fix="write it as --column 'items=phq9_{n}'",
        )
    found = {}
    if pattern is not None:
        found = {
            f"item{item.number}": pattern.replace("{n}", str(item.number)) for item in used.items
        }
    found |= {name: field for name, field in columns.items() if name in names}
    beyond = [name for name in columns if name.removeprefix("item").isdigit() and name not in names]
    if beyond or (found and len(found) < len(names)):
        raise DataError(
            f"the mapping does not name the {len(names)} items of {used.title}",
            fix=f"map item1 to {names[-1]}, or use --column 'items=phq9_{{n}}'",
        )
    return found


def _fields(options: ReadOptions, used: Instrument) -> dict[str, str]:
    """Give our names with the export's, for every field that is read."""
    columns = options.columns
    fields = item_fields(columns, used)
    if "total" in columns:
        fields["total"] = columns["total"]
    if not fields:
        raise DataError(
            "nothing says which fields hold the answers",
            fix="add --column 'items=phq9_{n}' or --column total=FIELD",
        )
    if "completed_at" not in columns:
        raise DataError(
            "nothing says which field holds the date",
            fix="add --column completed_at=FIELD",
        )
    return {
        "user_id": columns.get("user_id", RECORD_ID),
        "completed_at": columns["completed_at"],
        **fields,
    }


def _response(
    row: Mapping[str, str], fields: Mapping[str, str], used: Instrument, clock: Clock
) -> QuestionnaireResponse | None:
    mapped = [name for name in fields if name not in ("user_id", "completed_at")]
    # A calculated total may stand in rows whose items are all blank: the items decide.
    deciding = [name for name in mapped if name != "total"] or ["total"]
    if all(is_blank(row[fields[name]]) for name in deciding):
        clock.tally.left_out["rows without an answer to the questionnaire"] += 1
        return None
    items = None
    if deciding != ["total"]:
        items = [
            points(row[field], used, field=field)
            for field in (fields[f"item{item.number}"] for item in used.items)
        ]
    total = row[fields["total"]] if "total" in fields else None
    answers = Answers(
        identifier(row[fields["user_id"]].strip(), field=fields["user_id"]),
        used,
        clock.moment(row[fields["completed_at"]], field=fields["completed_at"]),
        items,
        total_points(total, field="total"),
    )
    return response(answers, clock.tally)
