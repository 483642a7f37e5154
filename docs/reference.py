"""Writes `docs/reference.md`, the command line's own help, and holds the written docs to the code.

Run without arguments it rewrites the page; with ``--check`` it says in one sentence what is stale
(the page, or the file tree in CONTRIBUTING.md) and ends with 1. Owns how help becomes a page and
which files the tree must name. Does not know what a command does.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from sottovoce.cli import cli

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
WIDTH = 92
"""Columns of the help texts, whatever terminal the page is made in."""

HEAD = """# Command line reference

Made from the commands by `python docs/reference.py`; do not edit.
"""
ENDINGS = """## Exit codes

| code | meaning |
|---|---|
| 0 | done |
| 1 | a data or run problem, told in one sentence on stderr |
| 2 | wrong usage |

Data goes to stdout, progress and notes to stderr. Nothing that exists is overwritten without
`--force`. Where a command prints figures, `--json` prints them as one object.
"""

TREE = re.compile(r"^```text\n(?P<tree>src/sottovoce/.*?)^```$", re.MULTILINE | re.DOTALL)
LINE = re.compile(r"(?P<indent> *)(?P<name>\S+) {2,}(?P<owns>\S.*)")


def main() -> None:
    """Rewrite the page, or check page and tree."""
    if sys.argv[1:] == ["--check"]:
        sys.exit(problem(PAGE, CONTRIBUTING, ROOT))
    if sys.argv[1:]:
        sys.exit("python docs/reference.py takes --check or nothing")
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """Give the whole page: the group's help, then each command's in the order of the work."""
    parent = click.Context(cli, info_name="sottovoce", terminal_width=WIDTH, **cli.context_settings)
    parts = [HEAD, _help(cli, parent)]
    for name in cli.list_commands(parent):
        command = cli.get_command(parent, name)
        assert command is not None
        parts += _sections(command, name, parent, "##")
    return "\n".join([*parts, ENDINGS])


def _sections(
    command: click.Command, name: str, parent: click.Context, level: str
) -> Iterator[str]:
    """Give a command's section, and those of the commands that it has itself."""
    context = click.Context(command, parent, name, terminal_width=WIDTH)
    yield f"{level} {context.command_path}\n"
    yield _help(command, context)
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            found = command.get_command(context, each)
            assert found is not None
            yield from _sections(found, each, context, f"{level}#")


def problem(reference: Path, contributing: Path, root: Path) -> str | None:
    """Say in one sentence what is stale, or None."""
    if not reference.is_file() or reference.read_text("utf-8") != page():
        return f"{reference.name} is stale; run: python docs/reference.py"
    try:
        named = set(tree(contributing.read_text("utf-8")))
    except (OSError, ValueError) as error:
        return f"{contributing.name}: {error}"
    missing = sorted(owed(root) - named)
    extra = sorted(path for path in named if not (root / path).exists())
    wrong = [f"lacks {', '.join(missing)}"] if missing else []
    wrong += [f"names what is not there: {', '.join(extra)}"] if extra else []
    return f"the file tree in {contributing.name} {'; it '.join(wrong)}" if wrong else None


def tree(text: str) -> Iterator[str]:
    """Give the paths of the annotated tree, relative to the repository; every line is annotated.

    Raises
    ------
    ValueError
        If there is no tree, or a line in it says nothing about its path.
    """
    found = TREE.search(text)
    if found is None:
        raise ValueError("there is no ```text block that begins with src/sottovoce/")
    folders: list[str] = []
    for number, row in enumerate(found["tree"].splitlines(), start=1):
        line = LINE.fullmatch(row)
        if line is None:
            raise ValueError(f"line {number} of the tree is not a path and what it owns")
        del folders[len(line["indent"]) // 2 :]
        yield "".join([*folders, line["name"]])
        if line["name"].endswith("/"):
            folders.append(line["name"])


def owed(root: Path) -> set[str]:
    """Give the paths that the tree must name: modules, packages, and folders of tests.

    A package's own line stands for its `__init__.py`.
    """
    source = root / "src" / "sottovoce"
    modules = {path for path in source.rglob("*.py") if path.name != "__init__.py"}
    folders = {path.parent for path in source.rglob("__init__.py")}
    folders |= {path.parent for path in (root / "tests").rglob("*.py")}
    names = {path.relative_to(root).as_posix() for path in modules}
    return names | {path.relative_to(root).as_posix() + "/" for path in folders}


def _help(command: click.Command, context: click.Context) -> str:
    return f"```text\n{command.get_help(context)}\n```\n"


if __name__ == "__main__":
    main()
