"""`sottovoce deidentify`: a chat file with surrogates instead of what tells who somebody is.

Owns flags, files and the account of what was replaced. Does not know how anything is found
(`sottovoce.deidentify`).
"""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from sottovoce.cli.console import (
    EXISTING_FILE,
    example,
    force_option,
    free_path,
    json_option,
    next_step,
    print_json,
    progress_bar,
    stderr,
    stdout,
)
from sottovoce.conversations import (
    conversation_record,
    read_labels,
    response_record,
    write_json_lines,
)
from sottovoce.errors import DataError

ENGINES = ("presidio", "patterns")


@click.command(
    epilog=example(
        "sottovoce deidentify chats.jsonl --out chats.deid.jsonl --engine patterns",
        "sottovoce deidentify chats.jsonl --out chats.deid.jsonl --key-file secret.key \\",
        "    --labels labels.jsonl labels.deid.jsonl --ids ids.jsonl",
    )
)
@click.argument("chats", type=EXISTING_FILE)
@click.option("--out", required=True, type=EXISTING_FILE, help="The chat file to write.")
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default="presidio",
    show_default=True,
    help="presidio asks a model of the language, too; patterns needs no extra and finds less.",
)
@click.option("--ner", metavar="MODEL", help="A spaCy model, installed or a folder, for presidio.")
@click.option(
    "--key-file",
    type=EXISTING_FILE,
    help="A secret of 32 bytes or more: the same surrogates in every run. Default: a new one.",
)
@click.option(
    "--pseudonymise-ids/--keep-ids",
    "hide_ids",
    default=True,
    show_default=True,
    help="Whether people's and conversations' ids are replaced, too.",
)
@click.option(
    "--labels",
    type=(EXISTING_FILE, EXISTING_FILE),
    metavar="IN OUT",
    help="Questionnaires, and where to write them with the pseudonyms.",
)
@click.option(
    "--ids",
    type=EXISTING_FILE,
    help="Where to write which pseudonym stands for whom; it stays with the chats.",
)
@force_option
@json_option
def deidentify(
    chats: Path, out: Path, engine: str, force: bool, as_json: bool, **told: Any
) -> None:
    """Replace what tells who somebody is in CHATS by surrogates, the same for one person.

    Names, employers, places, addresses, numbers, handles and full dates of both roles' messages.
    Times of the day, weekdays, doses, scores and symptoms stay; so do the messages' time stamps.
    De-identification is never complete: docs/privacy.md says what was measured.
    """
    from sottovoce.deidentify import open_deidentifier, read_key
    from sottovoce.deidentify.chats import Account, Ids, deidentified
    from sottovoce.histories import Histories

    _refuse_usage(engine, told)
    outputs = [out, *([told["labels"][1]] if told["labels"] else []), *filter(None, [told["ids"]])]
    _free(outputs, [chats, told["key_file"], *(told["labels"] or ())[:1]], force=force)
    key = None if told["key_file"] is None else read_key(told["key_file"])
    used = open_deidentifier("patterns" if engine == "patterns" else "presidio", key, told["ner"])
    ids, account = Ids(used, kept=not told["hide_ids"]), Account()
    with Histories(chats) as people, progress_bar("De-identifying") as advance:
        done = deidentified(people, ids, account, advance)
        write_json_lines(out, map(conversation_record, done))
        if told["ids"]:
            write_json_lines(told["ids"], _pairs(people, ids))
    if told["labels"]:
        source, target = told["labels"]
        write_json_lines(target, (response_record(ids.on(each)) for each in read_labels(source)))
    _account(used.label, account, ids, as_json=as_json)
    next_step(shlex.join(["sottovoce", "check", str(out)]))


def _refuse_usage(engine: str, told: dict[str, Any]) -> None:
    if told["ner"] and engine == "patterns":
        raise click.UsageError("--ner is of no use with --engine patterns.")
    if told["ids"] and not told["hide_ids"]:
        raise click.UsageError("--ids is of no use with --keep-ids.")


def _free(outputs: list[Path], inputs: list[Path | None], *, force: bool) -> None:
    """Refuse outputs that stand there, that are folders, or that are inputs or each other."""
    taken = {each.resolve() for each in inputs if each is not None}
    for path in outputs:
        if path.is_dir():
            raise DataError("this is a folder", path=path, fix="name a file in it")
        if path.resolve() in taken:
            raise DataError("it is another file of this command", path=path, fix="name another")
        taken.add(path.resolve())
        free_path(path, force=force)


def _pairs(people: Any, ids: Any) -> Iterator[dict[str, Any]]:
    for history in people:
        yield {"user_id": history.user_id, "pseudonym": ids.of(history.user_id)}


def _account(label: str, account: Any, ids: Any, *, as_json: bool) -> None:
    figures = {
        "engine": label,
        "people": account.people,
        "conversations": account.conversations,
        "messages": account.messages,
        "ids": "kept" if ids.kept else "pseudonyms",
        "replaced": dict(account.replaced),
    }
    if as_json:
        print_json(figures)
        return
    console = stdout()
    console.print(f"Engine: {label}", markup=False)
    console.print(
        f"{account.people:,} people, {account.conversations:,} conversations, "
        f"{account.messages:,} messages; ids: {figures['ids']}"
    )
    for kind, count in account.replaced.most_common():
        console.print(f"  {count:>9,}  {kind}", markup=False)
    if not account.replaced:
        console.print("Nothing was found to replace.")
    stderr().print(
        "De-identification is never complete: read docs/privacy.md before anything is shared."
    )
