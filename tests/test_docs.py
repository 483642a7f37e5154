"""The written docs are held against the code: reference, file tree, examples in docstrings."""

import doctest
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "sottovoce"
EXAMPLES = sorted(
    path for path in SOURCE.rglob("*.py") if re.search(r"^\s*>>> ", path.read_text("utf-8"), re.M)
)


def module_at(path: Path):
    spec = importlib.util.spec_from_file_location(f"_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = module_at(ROOT / "docs" / "reference.py")


@pytest.fixture
def copy(tmp_path):
    """A repository of its own: two modules, a folder of tests, and a tree that names them."""
    for path in ("src/sottovoce/__init__.py", "src/sottovoce/noun.py", "tests/cli/test_noun.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    (tmp_path / "docs").mkdir()
    shutil.copyfile(reference.PAGE, tmp_path / "docs" / "reference.md")
    lines = ["src/sottovoce/  package", "  noun.py  noun", "tests/  tests", "  cli/  commands"]

    def problem(*changed: str) -> str | None:
        text = "\n".join(["# Contributing", "```text", *(changed or lines), "```", ""])
        (tmp_path / "CONTRIBUTING.md").write_text(text)
        page = tmp_path / "docs" / "reference.md"
        return reference.problem(page, tmp_path / "CONTRIBUTING.md", tmp_path)

    return tmp_path, lines, problem


def test_the_docs_of_the_repository_are_current():
    checked = [sys.executable, ROOT / "docs" / "reference.py", "--check"]
    done = subprocess.run(checked, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_page_does_not_depend_on_the_terminal(monkeypatch):
    page = reference.page()
    monkeypatch.setenv("COLUMNS", "40")
    assert reference.page() == page
    assert max(map(len, page.splitlines())) <= reference.WIDTH + 4


def test_the_page_holds_the_help_of_every_command_in_order():
    page = reference.page()
    found = re.findall(r"^## sottovoce ([\w-]+)$", page, re.MULTILINE)
    assert found == list(reference.cli.list_commands(None))
    inner = re.findall(r"^### sottovoce ([\w-]+ [\w-]+)$", page, re.MULTILINE)
    assert "keys create" in inner
    for name in [*found, *inner]:
        assert f"Usage: sottovoce {name} [OPTIONS]" in page
    assert page.count("-h, --help") == len(found) + len(inner) + 1
    assert page.count("  Examples:\n") == len(found) + len(inner)
    assert "## Exit codes" in page


def test_a_tree_that_names_everything_is_in_order(copy):
    _, _, problem = copy
    assert problem() is None


def test_a_stale_page_is_one_sentence(copy):
    root, _, problem = copy
    page = root / "docs" / "reference.md"
    page.write_text(page.read_text() + "more\n")
    assert problem() == "reference.md is stale; run: python docs/reference.py"
    page.unlink()
    assert problem() == "reference.md is stale; run: python docs/reference.py"


def test_a_module_or_a_folder_of_tests_that_is_not_named_is_told(copy):
    root, lines, problem = copy
    said = "the file tree in CONTRIBUTING.md lacks"
    assert problem(lines[0], *lines[2:]) == f"{said} src/sottovoce/noun.py"
    (root / "tests" / "new").mkdir()
    (root / "tests" / "new" / "test_it.py").write_text("")
    assert problem() == f"{said} tests/new/"


def test_a_path_that_is_not_there_is_told(copy):
    _, lines, problem = copy
    said = "the file tree in CONTRIBUTING.md names what is not there: src/sottovoce/verb.py"
    assert problem(*lines[:2], "  verb.py  nothing", *lines[2:]) == said


@pytest.mark.parametrize("line", ["  noun.py", "  noun.py noun", "  a noun", ""])
def test_a_line_that_says_nothing_about_its_path_is_told(copy, line):
    _, lines, problem = copy
    said = "CONTRIBUTING.md: line 2 of the tree is not a path and what it owns"
    assert problem(lines[0], line) == said


def test_a_text_without_a_tree_is_told(copy):
    root, _, problem = copy
    assert problem("no tree") == (
        "CONTRIBUTING.md: there is no ```text block that begins with src/sottovoce/"
    )
    page = root / "docs" / "reference.md"
    assert "No such file" in reference.problem(page, root / "absent.md", root)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_the_examples_in_docstrings_hold(path):
    dotted = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)
    module = importlib.import_module(dotted.removesuffix(".__init__"))
    assert doctest.testmod(module).failed == 0


def test_the_changelog_speaks_of_the_version():
    from sottovoce import __version__

    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert text.startswith("# Changelog\n")
    assert "## [Unreleased]" in text
    assert __version__ in text


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "CONTRIBUTING.md",
        "docs/annotating.md",
        "docs/datasets.md",
        "docs/evaluation.md",
        "docs/evidence.md",
        "docs/fhir.md",
        "docs/formats.md",
        "docs/privacy.md",
        "docs/reference.md",
        "docs/training.md",
    ],
)
def test_links_to_files_of_the_repository_hold(page):
    path = ROOT / page
    links = re.findall(r"\]\((?!https?:|#)([^)\s#]+)", path.read_text("utf-8"))
    assert [each for each in links if not (path.parent / each).exists()] == []
