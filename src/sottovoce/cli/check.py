"""`sottovoce check`: what would go wrong with a chat file, before anything runs.

Owns the tables that show findings. Knows nothing about what is wrong (`sottovoce.check`).
"""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sottovoce.cli.console import (
    EXISTING_FILE,
    example,
    json_option,
    next_step,
    print_json,
    progress_bar,
    stdout,
)
from sottovoce.findings import MAX_LINES, Finding, Findings

NAMES = {
    "people": "people",
    "conversations": "conversations",
    "user_messages": "messages of people",
    "assistant_messages": "messages of the companion",
    "user_words": "words of people",
    "assistant_words": "words of the companion",
    "labels": "questionnaires",
    "by_instrument": "of these",
    "usable_windows": "with enough conversation before",
    "first": "first",
    "last": "last",
    "longest_silence_days": "longest silence, days",
    "unreadable_lines": "lines that cannot be read",
}
COUNT_WIDTH = max(len(name) for name in NAMES.values())
WHERE_WIDTH = 28
STYLES = {"error": "bold red", "warning": "yellow"}


@click.command(
    epilog=example(
        "sottovoce check chats.jsonl",
        "sottovoce check chats.jsonl --labels labels.jsonl",
        "sottovoce check chats.jsonl --labels labels.jsonl --json | jq .errors",
    )
)
@click.argument("chats", type=EXISTING_FILE)
@click.option("--labels", type=EXISTING_FILE, help="Questionnaires of the same people.")
@json_option
@click.pass_context
def check(context: click.Context, chats: Path, labels: Path | None, as_json: bool) -> None:
    """Say what would go wrong with CHATS before anything runs.

    Counts people, conversations and messages, and looks for lines that cannot be read, broken
    clocks, ids that are missing or doubled, questionnaires without enough conversation before
    them, and leaks. Ends with 1 if there is an error; warnings are worth reading.
    """
    from sottovoce.check import check as look_over

    with progress_bar("Checking") as advance:
        found = look_over(chats, labels, advance=advance)
    if as_json:
        print_json(found.record())
    else:
        _show(found, chats, labels)
    if found.total("error"):
        again = ["sottovoce", "check", str(chats), *(["--labels", str(labels)] if labels else [])]
        next_step(f"mend the errors, then {shlex.join(again)}")
        context.exit(1)
    score = ["sottovoce", "score", str(chats), *(["--at", str(labels)] if labels else [])]
    next_step(shlex.join(score))


def _show(found: Findings, chats: Path, labels: Path | None) -> None:
    console = stdout()
    _show_counts(console, f"Chats: {chats}", found.chats)
    if found.labels is not None:
        _show_counts(console, f"Labels: {labels}", found.labels)
    if found.findings:
        console.print(_table(found.findings))
    errors, warnings = found.total("error"), found.total("warning")
    if errors or warnings:
        console.print(f"{_number(errors, 'error')}, {_number(warnings, 'warning')}.")
    else:
        console.print("Nothing is wrong.", style="green")


def _number(count: int, word: str) -> str:
    return f"{count or 'no'} kind{'' if count == 1 else 's'} of {word}"


def _show_counts(console: Console, title: str, counts: Mapping[str, Any]) -> None:
    console.print(Text(title, style="bold"), soft_wrap=True)
    table = Table(box=None, show_header=False, padding=(0, 2))
    table.add_column(style="dim", min_width=COUNT_WIDTH)
    table.add_column(justify="right")
    for name, value in counts.items():
        if value not in (None, {}):
            table.add_row(NAMES[name], _figure(value))
    console.print(table)
    console.print()


def _figure(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{count:,} {name}" for name, count in value.items())
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _table(findings: tuple[Finding, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    table.add_column("count", justify="right")
    table.add_column("what", ratio=1)
    table.add_column("where", max_width=WHERE_WIDTH)
    for each in findings:
        lines = ", ".join(str(line) for line in each.lines)
        more = ", .." if each.count > len(each.lines) == MAX_LINES else ""
        table.add_row(
            Text(each.severity, style=STYLES[each.severity]),
            f"{each.count:,}",
            Text(each.sentence),
            Text(f"{Path(each.path).name} line {lines}{more}"),
        )
    return table
