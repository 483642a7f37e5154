"""The house rules that a machine can hold; CONTRIBUTING.md says why they are there."""

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from sottovoce.cli import COMMANDS, cli
from sottovoce.instruments import INSTRUMENTS

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "sottovoce"
MODULES = sorted(SOURCE.rglob("*.py"))
TEST_FILES = sorted((ROOT / "tests").rglob("test_*.py"))
KNOWS_THE_NUMBERS = SOURCE / "instruments.py"

LINES_OF_A_MODULE = 500
LINES_OF_A_FUNCTION = 40
PARAMETERS = 6
VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
PICKLED = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
HEAVY = {
    "faker",
    "phonenumbers",
    "presidio_analyzer",
    "spacy",
    "torch",
    "transformers",
    "sklearn",
    "scipy",
    "pyarrow",
    "matplotlib",
    "jinja2",
    "pydantic",
    "anthropic",
    "openai",
    "fastapi",
    "pandas",
}
BOUNDARY = re.compile(r"\b(owns?|knows?)\b", re.IGNORECASE)

RISKY = (ast.Attribute, ast.keyword)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, Function):
            yield node


def length(function: Function, lines: list[str]) -> int:
    """Count from `def` to the end, without docstring, decorators and blank lines."""
    documented: set[int] = set()
    if ast.get_docstring(function) is not None:
        first = function.body[0]
        documented = set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    spoken = range(function.lineno, (function.end_lineno or function.lineno) + 1)
    return sum(number not in documented and bool(lines[number - 1].strip()) for number in spoken)


def parameters(function: Function) -> list[str]:
    given = function.args
    names = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return [each for each in names if each not in ("self", "cls")]


def is_command(function: Function) -> bool:
    """Whether click fills the parameters in, one an option."""
    return any(".command(" in f"{ast.unparse(each)}(" for each in function.decorator_list)


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{each.name}" for each in node.names)


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_is_short(path):
    assert len(path.read_text("utf-8").splitlines()) <= LINES_OF_A_MODULE


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_function_is_short(path):
    lines = path.read_text("utf-8").splitlines()
    counted = {each.name: length(each, lines) for each in functions(path)}
    assert {key: count for key, count in counted.items() if count > LINES_OF_A_FUNCTION} == {}


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_function_has_few_parameters(path):
    counted = {each.name: len(parameters(each)) for each in functions(path) if not is_command(each)}
    assert {key: count for key, count in counted.items() if count > PARAMETERS} == {}


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_has_a_name_that_says_something(path):
    assert not VAGUE & {path.stem, path.parent.name}


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_says_what_it_owns_or_does_not_know(path):
    said = ast.get_docstring(parsed(path)) or ""
    assert BOUNDARY.search(said), f"{name(path)} begins with {said[:60]!r}"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_no_module_reads_or_writes_pickles(path):
    assert not {each for each in imported(path) if each.partition(".")[0] in PICKLED}
    written = {ast.unparse(node) for node in ast.walk(parsed(path)) if isinstance(node, RISKY)}
    assert not {"torch.load", "torch.save", "np.load", "np.save", "np.savez"} & written
    assert not {"allow_pickle=True", "trust_remote_code=True"} & written


OTHERS = [path for path in MODULES if path != KNOWS_THE_NUMBERS]
WIDEST = max(each.maximum for each in INSTRUMENTS.values())
CODES = {
    code
    for each in INSTRUMENTS.values()
    for code in (
        each.loinc_panel,
        each.loinc_total,
        *(item.loinc for item in each.items),
        *(option.loinc for option in each.options),
    )
    if code
}
WORDINGS = {
    text
    for each in INSTRUMENTS.values()
    for text in (each.stem, *(item.wording for item in each.items))
}
BANDS = {band.name for each in INSTRUMENTS.values() for band in each.bands}


def values(path: Path) -> list[object]:
    """Give every literal that the program uses; docstrings may name an example."""
    said = {id(node.value) for node in ast.walk(parsed(path)) if isinstance(node, ast.Expr)}
    constants = (node for node in ast.walk(parsed(path)) if isinstance(node, ast.Constant))
    return [each.value for each in constants if id(each) not in said]


@pytest.mark.parametrize("path", OTHERS, ids=name)
def test_only_the_instruments_know_the_highest_total(path):
    assert WIDEST not in [each for each in values(path) if type(each) in (int, float)]


@pytest.mark.parametrize("path", OTHERS, ids=name)
def test_only_the_instruments_know_codes_wordings_and_bands(path):
    texts = [each for each in values(path) if isinstance(each, str)]
    assert {known for known in CODES | WORDINGS for each in texts if known in each} == set()
    assert BANDS & set(texts) == set()


def loaded(program: str) -> set[str]:
    """Give the top-level names of everything that a fresh interpreter imports for a program."""
    show = "import sys; sys.stderr.write('\\n'.join({m.partition('.')[0] for m in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{program}\n{show}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines())


def test_importing_the_package_is_light():
    found = loaded("import sottovoce")
    assert "sottovoce" in found
    assert not HEAVY & found


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_light(command):
    arguments = [*([command] if command else []), "--help"]
    program = f"from sottovoce.cli import cli\ncli({arguments!r}, standalone_mode=False)"
    assert not HEAVY & loaded(program)


def examples(command: click.Command) -> list[str]:
    """Give the command lines of the epilog, continued lines joined, pipes cut off."""
    listed = (command.epilog or "").partition("Examples:\n")[2].replace("\\\n", " ")
    return [line.partition(" | ")[0].strip() for line in listed.splitlines()]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_has_examples_that_it_understands(command):
    # as the group makes it: click keeps a command's help option as its first context asks for it
    context = click.Context(cli, **cli.context_settings)
    found = cli.get_command(context, command)
    lines = examples(found)
    assert lines
    for line in lines:
        program, named, *arguments = shlex.split(line)
        assert (program, named) == ("sottovoce", command)
        found.make_context(named, arguments, context)  # a usage error says which word is unknown


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_begins_its_help_with_a_sentence_and_explains_every_option(command):
    with click.Context(cli) as context:
        found = cli.get_command(context, command)
    assert found.help.splitlines()[0].endswith(".")
    options = [each for each in found.params if isinstance(each, click.Option)]
    assert [each.name for each in options if not each.help] == []


def cases(path: Path) -> Iterator[Function]:
    for function in functions(path):
        if function.name.startswith("test_"):
            yield function


def checks_something(function: Function, asserting: set[str]) -> bool:
    """Whether it asserts, expects an error, or calls a function of its module that does."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in ("pytest.raises", "pytest.fail", "pytest.warns") or called in asserting:
                return True
            if called.rpartition(".")[2].startswith("assert_"):
                return True
    return False


@pytest.mark.parametrize("path", TEST_FILES, ids=name)
def test_every_test_checks_something(path):
    own = [each for each in functions(path) if not each.name.startswith("test_")]
    asserting = {each.name for each in own if checks_something(each, set())}
    asserting |= {each.name for each in own if checks_something(each, asserting)}
    assert list(cases(path))
    idle = [each.name for each in cases(path) if not checks_something(each, asserting)]
    assert idle == []


@pytest.mark.parametrize("path", TEST_FILES, ids=name)
def test_no_test_is_told_twice(path):
    names = [each.name for each in cases(path)]
    assert len(names) == len(set(names))
