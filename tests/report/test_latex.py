r"""The LaTeX of tables, held by its structure: no TeX engine is needed, nor run, here."""

import re

import pytest
from tests.reported import NASTY, checklists, whole

from sottovoce.metrics import Figure
from sottovoce.report.latex import LONGEST, as_latex, escaped
from sottovoce.report.outline import sections
from sottovoce.report.table import Column, Row, Table


@pytest.fixture(scope="module")
def tables() -> dict[str, Table]:
    shown = sections(whole(), checklists())
    return {table.name: table for section in shown for table in section.tables}


def bare(text: str) -> str:
    """Leave out comments and every escaped sign."""
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    return re.sub(r"\\[{}&%$#_]", "", "\n".join(lines))


def test_environments_and_braces_are_balanced(tables):
    for table in tables.values():
        text = bare(as_latex(table))
        opened = re.findall(r"\\begin\{(\w+)\}", text)
        closed = re.findall(r"\\end\{(\w+)\}", text)
        assert opened == closed[::-1]
        assert opened
        assert text.count("{") == text.count("}")
        assert text.count("$") % 2 == 0


def test_every_line_has_as_many_columns_as_the_table(tables):
    for table in tables.values():
        width = len(table.columns) + 1
        lines = [line for line in bare(as_latex(table)).splitlines() if line.endswith(r"\\")]
        cells = [line for line in lines if not line.startswith((r"\multicolumn", r"\caption"))]
        assert {line.count("&") + 1 for line in cells} == {width}
        assert len(cells) > len(table.rows)


def test_nothing_but_commands_of_ours_has_a_backslash(tables):
    known = set(
        "begin end caption label toprule midrule bottomrule centering small footnotesize "
        "scriptsize setlength tabcolsep raggedright arraybackslash linewidth multicolumn textit "
        "textbf addlinespace resizebox ifdim width else fi "
        "textsuperscript par smallskip textbackslash textless textgreater textquotedbl textbar "
        "textasciigrave textasciitilde textasciicircum surd geq leq times ldots begingroup "
        "endgroup endhead endfoot".split()
    )
    for table in tables.values():
        assert set(re.findall(r"\\([A-Za-z]+)", as_latex(table))) <= known


def test_hostile_text_is_escaped_everywhere(tables):
    hostile = [name for name, table in tables.items() if repr(NASTY)[1:-1] in repr(table)]
    assert len(hostile) > 5
    for name in hostile:
        text = as_latex(tables[name])
        assert r"\frac" not in text
        assert r"\textbackslash{}frac\{1\}\{0\}\$" in text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("50% & more_#1", r"50\% \& more\_\#1"),
        ("a\nb", "a b"),
        ("−1.2", "$-$1.2"),
        ("≥ 10", r"$\geq$ 10"),
        ("\x00\x1b", ""),
        ("~^\\", r"\textasciitilde{}\textasciicircum{}\textbackslash{}"),
    ],
)
def test_what_latex_would_read_as_a_command_is_printed(text, written):
    assert escaped(text) == written


def test_a_label_in_brackets_is_no_argument_of_the_line_before():
    rows = (Row("a", (1,)), Row("[b]", (2,)), Row("*c", (3,)))
    text = as_latex(Table("t", "T", "C", "Who", (Column("n", "n"),), rows))
    assert not re.search(r"\\\\\s*[\[*]", text)


def test_intervals_stand_beneath_values_in_a_wide_table_and_beside_them_in_a_narrow_one():
    rows = (Row("a", (Figure(1.5, 1, 2, 9),)),)
    columns = (Column("mae", "MAE"),)
    wide = as_latex(Table("t", "T", "C", "Who", columns, rows, "wide"))
    beside = as_latex(Table("t", "T", "C", "Who", columns, rows, "inline"))
    assert "{a} & 1.50 \\\\\n & {\\scriptsize [1.00, 2.00]} \\\\" in wide
    assert "{a} & 1.50 [1.00, 2.00] \\\\" in beside


def test_a_reason_is_one_note_however_often_it_holds():
    missing = Figure.missing("one class only")
    rows = (Row("a", (missing,)), Row("b", (missing,)))
    text = as_latex(Table("t", "T", "C", "Who", (Column("auc", "AUC"),), rows))
    assert text.count("one class only") == 1
    assert text.count(r"--\textsuperscript{1}") == 2


def test_a_long_table_may_break_over_pages():
    rows = tuple(Row(str(number), (number,)) for number in range(LONGEST + 1))
    text = as_latex(Table("t", "T", "C", "Who", (Column("n", "n"),), rows))
    assert r"\begin{longtable}{lr}" in text
    assert r"\begin{tabular}" in as_latex(
        Table("t", "T", "C", "Who", (Column("n", "n"),), rows[1:])
    )
