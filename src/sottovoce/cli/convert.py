"""`sottovoce convert`: other people's files in, canonical chats.jsonl or labels.jsonl out.

Owns turning flags into the readers' options, and the account of what was left out. Knows no
format (`sottovoce.readers`).
"""

import shlex
from collections.abc import Callable, Iterable, Iterator
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
)
from sottovoce.conversations import (
    Conversation,
    conversation_record,
    response_record,
    write_json_lines,
)
from sottovoce.errors import DataError
from sottovoce.instruments import INSTRUMENTS
from sottovoce.progress import Advance
from sottovoce.readers import FORMATS, Format, ReadOptions, Record, Tally, read, zone_named
from sottovoce.readers.clock import Clock

NOUNS = {"chats": ("conversation", "conversations"), "labels": ("questionnaire", "questionnaires")}
MEANINGS = ("user", "assistant", "skip")


def _pairs(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> Any:
    pairs: dict[str, str] = {}
    for each in given:
        name, equals, value = (part.strip() for part in each.partition("="))
        if not (name and equals and value):
            raise click.BadParameter("write it as NAME=VALUE.")
        if name in pairs:
            raise click.BadParameter(f"{name} is given twice.")
        pairs[name] = value
    return pairs


def _formats() -> str:
    rows = [f"  {each.name:<16} {each.kind:<7} {each.summary}" for each in FORMATS.values()]
    return "\b\nFormats, and what comes out:\n" + "\n".join(rows) + "\n\n"


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the flags that become `ReadOptions`."""
    for add in (
        click.option(
            "--instrument",
            type=click.Choice(list(INSTRUMENTS)),
            help="The questionnaire, where the file does not say.",
        ),
        click.option("--timezone", metavar="ZONE", help="Of times without one: Europe/Berlin."),
        click.option(
            "--start", metavar="TIME", help="When conversations without any time began (ISO 8601)."
        ),
        click.option(
            "--role",
            "roles",
            multiple=True,
            callback=_pairs,
            metavar="SPEAKER=ROLE",
            help="What a speaker is: user, assistant or skip; '*=skip' for all unknown ones.",
        ),
        click.option(
            "--column",
            "columns",
            multiple=True,
            callback=_pairs,
            metavar="NAME=SOURCE",
            help="Which column or field of the source holds one of ours.",
        ),
    ):
        command = add(command)
    return command


@click.command(
    epilog=_formats()
    + example(
        "sottovoce convert export.jsonl --format openai-chat --out chats.jsonl",
        "sottovoce convert messages.csv --format csv --column user_id=patient \\",
        "    --column content=text --timezone Europe/Berlin --out chats.jsonl",
        "sottovoce convert daic/ --format daic-woz --start 2025-05-27T15:00:00Z --out chats.jsonl",
        "sottovoce convert redcap.csv --format redcap --instrument phq-9 --timezone UTC \\",
        "    --column completed_at=phq9_date --column 'items=phq9_{n}' --out labels.jsonl",
        "sottovoce convert responses.ndjson --format fhir --out labels.jsonl",
    )
)
@click.argument("source", metavar="IN", type=EXISTING_FILE)
@click.option(
    "--format",
    "name",
    required=True,
    type=click.Choice(list(FORMATS)),
    metavar="FORMAT",
    help="What IN is; the list is below.",
)
@click.option("--out", required=True, type=EXISTING_FILE, help="The JSONL file to write.")
@_options
@force_option
@json_option
def convert(source: Path, name: str, out: Path, force: bool, as_json: bool, **told: Any) -> None:
    """Turn IN into the canonical chats.jsonl or labels.jsonl.

    Nothing is guessed: a conversation without a time or a person, a time without a zone and a
    speaker that is not known are refused with the flag that settles it. What is left out is
    counted.
    """
    used, tally = FORMATS[name], Tally()
    options = _read_options(used, told)
    if out.is_dir():
        raise DataError("this is a folder", path=out, fix="name a file in it")
    free_path(out, force=force)
    with progress_bar("Converting") as advance:
        records = _counted(read(source, name, options, tally), advance)
        count = write_json_lines(out, map(_as_object, records))
    if as_json:
        print_json(
            {
                "format": name,
                "kind": used.kind,
                "written": count,
                "left_out": dict(tally.left_out),
                "assumed": dict(tally.assumed),
            }
        )
    _account(used, out, count, tally)
    place = shlex.quote(str(out))
    labels_of = "" if used.kind == "chats" else "chats.jsonl --labels "
    next_step(f"sottovoce check {labels_of}{place}")


def _read_options(used: Format, told: dict[str, Any]) -> ReadOptions:
    """Turn flags into options, refusing those that the format does not use."""
    given = {"role": told["roles"], **{name: told[name] for name in ("start", "timezone")}}
    given["instrument"] = told["instrument"]
    for name, value in given.items():
        if value and name not in used.takes:
            raise click.UsageError(f"--{name} is of no use with --format {used.name}.")
    for name in told["columns"]:
        if name not in used.columns:
            known = ", ".join(used.columns) or "none"
            raise click.UsageError(
                f"--column {name}=.. is of no use with --format {used.name}, which has: {known}."
            )
    if any(meaning not in MEANINGS for meaning in told["roles"].values()):
        raise click.UsageError(f"--role takes SPEAKER=ROLE, and ROLE is {', '.join(MEANINGS)}.")
    try:
        zone = None if told["timezone"] is None else zone_named(told["timezone"])
        options = ReadOptions(
            columns=told["columns"],
            roles={speaker.lower(): meaning for speaker, meaning in told["roles"].items()},
            zone=zone,
            instrument=told["instrument"],
        )
        if told["start"] is None:
            return options
        start = Clock(options, Tally()).moment(told["start"], field="--start")
    except DataError as error:
        raise click.UsageError(f"{error}.") from None
    return ReadOptions(options.columns, options.roles, start, zone, options.instrument)


def _counted(records: Iterable[Record], advance: Advance) -> Iterator[Record]:
    for done, record in enumerate(records, start=1):
        yield record
        advance(done, None)


def _as_object(record: Record) -> dict[str, Any]:
    if isinstance(record, Conversation):
        return conversation_record(record)
    return response_record(record)


def _account(used: Format, out: Path, count: int, tally: Tally) -> None:
    """Say on stderr what was written, what was left out, and what rests on an option."""
    console = stderr()
    noun = NOUNS[used.kind][count != 1]
    console.print(f"Wrote {count:,} {noun} to {out}.", markup=False, soft_wrap=True)
    for title, counts in (("Left out", tally.left_out), ("Assumed", tally.assumed)):
        if counts:
            console.print(f"{title}:")
        for what, number in counts.most_common():
            console.print(f"  {number:>9,}  {what}", markup=False, soft_wrap=True)
