import csv
import json
import re
import xml.etree.ElementTree as ET
from html import unescape
from pathlib import Path

import pytest
from tests.reported import checklists, whole

from sottovoce.evaluation import evaluate
from sottovoce.report import Report, replacing, write_report, write_report_folder
from sottovoce.report.canvas import STYLE
from sottovoce.report.charts import calibration
from sottovoce.report.folder import CONTENTS


@pytest.fixture(scope="module")
def report() -> Report:
    return whole()


@pytest.fixture(scope="module")
def folder(report, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("written")
    with pytest.MonkeyPatch.context() as quick:
        quick.setitem(STYLE, "pdf.fonttype", 3)
        write_report_folder(out, report, checklists())
    return out


@pytest.fixture(scope="module")
def page(folder) -> str:
    return (folder / "report.html").read_text("utf-8")


def small(n: int = 40) -> Report:
    totals = [number % 20 for number in range(n)]
    scores = [total + number % 3 for number, total in enumerate(totals)]
    return Report("Small", evaluate(totals, scores, range(n), instrument="phq-9"))


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


# What there is -----------------------------------------------------------------------------------


def test_every_figure_of_the_page_is_an_svg_and_a_pdf(folder, page):
    labels = [unescape(each) for each in re.findall(r'role="img" aria-label="([^"]*)"', page)]
    listed = json.loads((folder / CONTENTS).read_text("utf-8"))["figures"]
    assert [each["shows"] for each in listed] == labels
    assert {name for each in listed for name in each["files"]} == {
        f"figures/{path.name}" for path in (folder / "figures").iterdir()
    }
    endings = [path.suffix for path in (folder / "figures").iterdir()]
    assert endings.count(".svg") == endings.count(".pdf") == len(labels) == len(set(labels))


def test_every_table_of_the_page_is_csv_and_latex(folder, page):
    captions = [unescape(each) for each in re.findall(r"<caption><span>([^<]*)<", page)]
    listed = json.loads((folder / CONTENTS).read_text("utf-8"))["tables"]
    assert [each["caption"] for each in listed] == captions
    assert {name for each in listed for name in each["files"]} == {
        f"tables/{path.name}" for path in (folder / "tables").iterdir()
    }
    endings = [path.suffix for path in (folder / "tables").iterdir()]
    assert endings.count(".csv") == endings.count(".tex") == len(captions)
    assert endings.count(".md") == len(checklists())


@pytest.mark.usefixtures("quick_figures")
def test_the_written_names_are_the_files(tmp_path):
    written = write_report_folder(tmp_path, small())
    named = [written.page, *written.figures, *written.tables, written.contents]
    assert {path.relative_to(tmp_path).as_posix() for path in named} == files(tmp_path)


def test_csv_files_say_what_the_page_says(folder, page, report):
    with (folder / "tables" / "metrics.csv").open(encoding="utf-8") as stream:
        rows = {row["key"]: row for row in csv.DictReader(stream)}
    assert set(rows) == set(report.evaluation.figures)
    for key, figure in report.evaluation.figures.items():
        told = [rows[key][f"value{part}"] for part in ("", "_lower", "_upper", "_reason")]
        numbers = (figure.value, figure.lower, figure.upper)
        assert told[:3] == ["" if each is None else repr(each) for each in numbers]
        assert told[3] == (figure.reason or "")
        assert f">{figure.number(sign=key == 'bias')}<" in page


def test_the_page_is_the_one_that_is_written_alone(folder, report, tmp_path):
    alone = write_report(tmp_path / "alone.html", report, checklists())
    assert alone.read_text("utf-8") == (folder / "report.html").read_text("utf-8")


@pytest.mark.usefixtures("quick_figures")
def test_the_code_of_the_docs_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[2] / "docs" / "report.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, object] = {"evaluation": small().evaluation}
    exec(code, names)
    assert names["written"].page == Path("report/report.html")
    listed = re.findall(
        r"^(\S+?)/? {2,}", re.findall(r"```text\n(.*?)```", text, re.DOTALL)[0], re.M
    )
    assert sorted(listed) == sorted(path.name for path in (tmp_path / "report").iterdir())


# Figures as files --------------------------------------------------------------------------------


def test_an_svg_file_stands_by_itself_and_loads_nothing(folder):
    for path in (folder / "figures").glob("*.svg"):
        root = ET.fromstring(path.read_text("utf-8"))
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert root.get("role") == "img"
        assert root.get("aria-label")
        assert float(root.get("width", "").removesuffix("pt")) > 0
        links = [value for each in root.iter() for key, value in each.items() if "href" in key]
        assert all(link.startswith("#") for link in links)


def test_a_pdf_file_embeds_fonts_that_journals_take_and_says_no_date(report):
    drawn, again = (calibration(report.evaluation).pdf_file for _ in range(2))
    assert drawn.startswith(b"%PDF-")
    assert b"/Subtype /Type0" in drawn
    assert b"/Subtype /Type3" not in drawn
    assert b"Date" not in drawn
    assert drawn == again


@pytest.mark.usefixtures("quick_figures")
def test_the_same_report_gives_the_same_bytes(tmp_path):
    first, again = tmp_path / "first", tmp_path / "again"
    write_report_folder(first, small())
    write_report_folder(again, small())
    assert files(first) == files(again)
    for name in files(first):
        assert (first / name).read_bytes() == (again / name).read_bytes(), name


# Replacing ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick_figures")
def test_an_earlier_reports_files_go_and_other_peoples_stay(folder, tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "mine.svg").write_text("mine", "utf-8")
    (tmp_path / "figures" / "old.svg").write_text("old", "utf-8")
    told = {"figures": [{"files": ["figures/old.svg", "figures/../mine", "pairs"]}], "tables": []}
    (tmp_path / CONTENTS).write_text(json.dumps(told), "utf-8")
    (tmp_path / "pairs").write_text("kept", "utf-8")
    (tmp_path / "mine").write_text("kept", "utf-8")
    write_report_folder(tmp_path, small())
    assert {"figures/mine.svg", "pairs", "mine", "figures/scatter.svg"} <= files(tmp_path)
    assert "figures/old.svg" not in files(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", '{"figures": 3}', '{"figures": [], "tables": [4]}'])
def test_a_list_that_cannot_be_read_removes_nothing(content, tmp_path):
    (tmp_path / CONTENTS).write_text(content, "utf-8")
    (tmp_path / "kept").write_text("kept", "utf-8")
    with replacing(tmp_path) as partial:
        (partial / "new").write_text("new", "utf-8")
    assert files(tmp_path) == {CONTENTS, "kept", "new"}


@pytest.mark.usefixtures("quick_figures")
def test_a_failure_leaves_the_old_report_and_nothing_half_written(tmp_path, monkeypatch):
    write_report_folder(tmp_path, small())
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}

    def full_disk(table):
        raise OSError

    monkeypatch.setattr("sottovoce.report.folder.as_latex", full_disk)
    with pytest.raises(OSError):  # noqa: PT011 - any
        write_report_folder(tmp_path, small(41))
    assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before
    assert not list(tmp_path.glob(".partial*"))
