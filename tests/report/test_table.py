import csv
import io

import pytest

from sottovoce.metrics import Figure
from sottovoce.report.delimited import as_csv
from sottovoce.report.markdown import as_markdown
from sottovoce.report.table import Column, Row, Table, file_names, slug

COLUMNS = (Column("n", "n"), Column("mae", "MAE"), Column("gap", "Gap", "difference"))


def table(*rows: Row, columns: tuple[Column, ...] = COLUMNS) -> Table:
    return Table("errors", "Errors", "Some errors; n = 9.", "Who", columns, rows)


def lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


# How a cell reads --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "cell", "value", "interval"),
    [
        ("number", Figure(1.234, 1, 2, 9), "1.23", "[1.00, 2.00]"),
        ("difference", Figure(-1.234, -2, -1, 9), "−1.23", "[−2.00, −1.00]"),
        ("signed", Figure(0.5, n=9), "+0.50", ""),
        ("number", 7, "7", ""),
        ("number", 1.5, "1.50", ""),
        ("number", "reference", "reference", ""),
        ("number", None, "", ""),
        ("p", 0.0004, "< 0.001", ""),
    ],
)
def test_a_cell_reads_as_its_column_says(form, cell, value, interval):
    shown = Column("key", "Title", form).shown(cell)
    assert (shown.value, shown.interval) == (value, interval)


@pytest.mark.parametrize(
    ("form", "bounds", "clear"),
    [("difference", (0.1, 1), True), ("difference", (-1, 0.1), False), ("number", (0.1, 1), False)],
)
def test_only_a_difference_whose_interval_leaves_out_zero_is_clear(form, bounds, clear):
    assert Column("key", "Title", form).shown(Figure(0.05, *bounds, n=9)).clear is clear


def test_what_is_missing_says_why():
    shown = Column("key", "Title").shown(Figure.missing("one class only"))
    assert shown.missing
    assert shown.reason == "not computed: one class only"


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="as many cells"):
        table(Row("a", (1, 2)))


# Names of files ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Age band", "age-band"),
        ("../../etc/passwd", "etc-passwd"),
        ("Größe", "groe"),
        ("深い", "unnamed"),
        ("x" * 300, "x" * 48),
    ],
)
def test_a_name_is_one_that_every_file_system_takes(text, name):
    assert slug(text) == name


def test_columns_that_read_alike_get_files_of_their_own():
    names = file_names("groups", ["Age", "age", "深い", "い", "AGE!"])
    assert names == [
        "groups-age",
        "groups-age-2",
        "groups-unnamed",
        "groups-unnamed-2",
        "groups-age-3",
    ]


# CSV ---------------------------------------------------------------------------------------------


def test_csv_gives_a_figure_five_columns_and_does_not_round():
    exact = 1 / 3
    text = as_csv(table(Row("a", (9, Figure(exact, 0.1, 0.7, 9), Figure.missing("why", n=3)))))
    (line,) = lines(text)
    assert float(line["mae"]) == exact
    assert [line[f"mae_{part}"] for part in ("lower", "upper", "n", "reason")] == [
        *("0.1", "0.7", "9", ""),
    ]
    assert [line[name] for name in ("gap", "gap_lower", "gap_n", "gap_reason")] == [
        *("", "", "3", "why"),
    ]
    assert line["n"] == "9"


def test_csv_says_in_words_why_a_figure_is_none():
    gap = Figure(0.5, 0.1, 0.9, 9)
    text = as_csv(table(Row("a", (9, None, "reference")), Row("b", (9, None, gap))))
    first, second = lines(text)
    assert (first["gap"], first["gap_reason"]) == ("", "reference")
    assert float(second["gap"]) == gap.value


def test_csv_keeps_groups_keys_and_remarks_where_there_are_any():
    text = as_csv(table(Row("a", (1, None, None), ("one", "two"), "Error", "mae")))
    (line,) = lines(text)
    assert (line["group"], line["key"], line["remarks"]) == ("Error", "mae", "one; two")
    assert not {"group", "key", "remarks"} & set(lines(as_csv(table(Row("a", (1, None, None)))))[0])


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "@sum", "-2+3", "\tx"])
def test_csv_holds_nothing_that_a_spreadsheet_would_run(text):
    (line,) = lines(as_csv(table(Row(text, (-1, None, None)))))
    assert line["who"] == f"'{text}"
    assert line["n"] == "-1"


def test_csv_holds_commas_quotes_and_lines_in_one_cell():
    text = 'a, "b"\nc'
    (line,) = lines(as_csv(table(Row(text, (1, None, None)))))
    assert line["who"] == text


# Markdown ----------------------------------------------------------------------------------------


def test_markdown_keeps_hostile_text_in_its_cell():
    columns = (Column("asks", "Asks for", "text"),)
    rows = (Row("1", ("a | b <b>*c*</b>\n[d](e)",), group="On | off"),)
    text = as_markdown(table(*rows, columns=columns))
    body = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(_unescaped_pipes(line)) for line in body} == {3}
    assert "<b>" not in text
    assert r"\[d\](e)" in text


def _unescaped_pipes(line: str) -> list[int]:
    return [at for at, each in enumerate(line) if each == "|" and line[at - 1 : at] != "\\"]
