"""`sottovoce select`: whom to label next. Owns the command; the choice is `selection`'s."""

import shlex
from pathlib import Path

import click

from sottovoce.cli.console import (
    EXISTING_FILE,
    example,
    force_option,
    free_path,
    json_option,
    next_step,
    print_json,
    stdout,
)


@click.command(
    epilog=example(
        "sottovoce select scores.jsonl --labels labels.jsonl --n 100 --out people.jsonl",
        "sottovoce select scores.jsonl --n 100 --out people.jsonl --json | jq .bands",
    )
)
@click.argument("scores", type=EXISTING_FILE)
@click.option("--labels", type=EXISTING_FILE, help="Questionnaires that there are already.")
@click.option("--n", type=click.IntRange(1), required=True, help="How many people.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The list of people.")
@click.option("--seed", default=0, show_default=True, help="Of the last resort between equals.")
@force_option
@json_option
def select(  # noqa: PLR0913, PLR0917 (click fills in one an option)
    scores: Path,
    labels: Path | None,
    n: int,
    out: Path,
    seed: int,
    force: bool,
    as_json: bool,
) -> None:
    """Choose the people in SCORES whose labels would make the severity distribution most even.

    By the probability of each severity band that the scores give; among people who would do
    alike, whoever's total is least sure comes first. People who have a questionnaire in LABELS are
    not chosen; of several scores of a person the newest counts. The list has one line a person,
    {"user_id"}, the first chosen first.
    """
    from sottovoce.conversations import write_json_lines
    from sottovoce.selection import selected

    free_path(out, force=force)
    selection = selected(scores, labels, n, seed)
    write_json_lines(out, ({"user_id": user} for user in selection.users))
    if as_json:
        print_json({"people": str(out), **selection.as_dict()})
    else:
        from rich import box
        from rich.table import Table

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("band")
        for title in ("labelled", "expected", "after"):
            table.add_column(title, justify="right")
        for row in selection.as_dict()["bands"]:
            cells = (f"{row[key]:.1f}" for key in ("expected", "after"))
            table.add_row(row["band"], f"{row['labelled']:.0f}", *cells)
        stdout().print(table)
        stdout().print(f"{len(selection.users)} people chosen.")
    next_step(
        f"sottovoce annotate chats.jsonl --only {shlex.quote(str(out))} "
        "--annotator anthropic:MODEL --out annotations.jsonl"
    )
