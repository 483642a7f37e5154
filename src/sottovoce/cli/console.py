"""What every command shares: the progress bar, tables, JSON, files that are not overwritten.

Owns the form of what a person sees: data on stdout, progress on stderr. Knows no command.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sottovoce.errors import DataError, SottovoceError, require
from sottovoce.parallel import World
from sottovoce.progress import Advance, Course, Figures

EXISTING_FILE = click.Path(exists=False, dir_okay=True, path_type=Path)
"""A file that is read: whether it exists is checked where it is opened, so that a missing file
is a data problem (exit 1) with the same sentence in the library and on the command line."""

PIPED_WIDTH = 100
"""Columns of a table that goes into a file or a pipe."""

FIRST_SPEAKS = 5.0
"""Seconds; ours. torchrun looks every 0.1 seconds whether a process has ended."""

force_option = click.option("--force", is_flag=True, help="Overwrite what stands at the output.")
model_option = click.option(
    "--model",
    type=click.Path(path_type=Path),
    help="Run folder, artefact or ensemble.  [default: the small estimator of the package]",
)
data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Folder of the embedded PostgreSQL and its master key.  [default: sottovoce-data]",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print figures as one JSON object."
)


def stderr() -> Console:
    """Give a console for progress and notes."""
    return Console(stderr=True, highlight=False)


def stdout() -> Console:
    """Give a console for tables."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object on stdout; NaN is refused."""
    click.echo(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2))


def example(*lines: str) -> str:
    r"""Lay out example commands for a command's epilog; `\b` keeps click from rewrapping them."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def free_path(path: Path, *, force: bool) -> Path:
    """Give the path if nothing stands there or `force` is set.

    Raises
    ------
    DataError
        If something stands there.
    """
    if path.exists() and not force and not (path.is_dir() and not any(path.iterdir())):
        raise DataError("it exists already", path=path, fix="add --force or name another output")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DataError(
            f"its folder cannot be made ({reason})", path=path, fix="name another output"
        ) from None
    return path


def free_report_folder(folder: Path, *, force: bool) -> Path:
    """Give the folder for a report, if one can be drawn and its place is free (`free_path`).

    Raises
    ------
    MissingExtraError
        If what draws the report is not installed.
    DataError
        If something stands there, or it is a file.
    """
    for module in ("matplotlib", "jinja2"):
        require(module, what="the report", extra="report")
    if folder.is_file():
        raise DataError("this is a file", path=folder, fix="name a folder")
    return free_path(folder, force=force)


@contextmanager
def told_by_first(world: World) -> Iterator[None]:
    """Let the first of several processes speak for all of them.

    An error is told by the first: torchrun ends the others when it ends. One that is still there
    after `FIRST_SPEAKS` seconds failed alone, and says so itself.
    """
    if world.first:
        yield
        return
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        try:
            with redirect_stdout(nowhere), redirect_stderr(nowhere):
                yield
        except SottovoceError:
            time.sleep(FIRST_SPEAKS)
            raise


@contextmanager
def progress_bar(label: str) -> Iterator[Advance]:
    """Show a progress bar on stderr and give the callback; it shows a training's figures, too."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[said]}"),
    )
    course = Course()
    console = stderr()
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task(label, total=None, said="")

        def advance(done: int, total: int | None, figures: Figures | None = None) -> None:
            if figures is not None:
                bar.update(task, said=course.told(figures))
            bar.update(task, completed=done, total=total)

        yield advance


def next_step(command: str) -> None:
    """End a command by naming the next one, on stderr."""
    stderr().print(f"Next: {command}", style="dim", soft_wrap=True, markup=False)
