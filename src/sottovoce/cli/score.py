"""`sottovoce score`: a chat file becomes estimates. Owns the command; the work is `stream`'s."""

import json
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sottovoce.cli.console import (
    EXISTING_FILE,
    example,
    force_option,
    free_path,
    json_option,
    model_option,
    next_step,
    print_json,
    progress_bar,
    stderr,
)
from sottovoce.errors import DataError, ModelError

if TYPE_CHECKING:
    from sottovoce.explanation import Explained
    from sottovoce.scorer import Scorer

Write = Callable[[dict[str, Any]], None]
"""What writes one line."""


@click.command(
    epilog=example(
        "sottovoce score chats.jsonl",
        "sottovoce score chats.jsonl --out scores.jsonl",
        "sottovoce score chats.jsonl --model runs/probe --at labels.jsonl --out scores.jsonl",
        "sottovoce score chats.jsonl --model runs/reader --evidence evidence.jsonl",
        "sottovoce score chats.jsonl | jq 'select(.p_at_least[\"10\"] > 0.8)'",
    )
)
@click.argument("chats", type=EXISTING_FILE)
@model_option
@click.option(
    "--at",
    type=EXISTING_FILE,
    help="labels.jsonl: one estimate for the window before each questionnaire.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="scores.jsonl to write.  [default: stdout]"
)
@click.option(
    "--coverage", type=click.FloatRange(0, 1, True, True), help="Coverage of the interval, 0 to 1."
)
@click.option(
    "--evidence",
    type=click.Path(path_type=Path),
    help="evidence.jsonl to write: item profile and quoted messages, by an evidence reader.",
)
@force_option
@json_option
def score(  # noqa: PLR0913, PLR0917 - one parameter an option, as click passes them
    chats: Path,
    model: Path | None,
    at: Path | None,
    out: Path | None,
    coverage: float | None,
    evidence: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Estimate severity for every person of CHATS, one JSON line each.

    Without --at the newest window of each person is read. People with too little conversation,
    or none, get a line that abstains and says why; what a model's token budget left unread is
    counted in each line. With --json the counts are printed as one object; it needs --out.

    With --evidence a model whose body is an evidence reader, or an ensemble with one, also writes
    what each estimate rests on. That file repeats messages of the person: keep it as you keep the
    chats.
    """
    if as_json and out is None:
        raise click.UsageError("--json prints the counts; it needs --out for the estimates.")
    _free(out, evidence, force=force)
    from sottovoce.conversations import write_json_lines
    from sottovoce.estimates import total_dropped
    from sottovoce.estimator import Estimator
    from sottovoce.stream import explain_file

    estimator, counts = Estimator.from_pretrained(model), Counter(scored=0, abstained=0)
    dropped = Counter(total_dropped([]))
    with _telling(evidence, estimator) as tell, progress_bar("Scoring people") as advance:
        explained = explain_file(estimator, chats, at=at, coverage=coverage, advance=advance)
        records = _counted(_told(explained, tell), counts, dropped, chats)
        if out is not None:
            write_json_lines(out, records)
        else:
            for record in records:
                click.echo(json.dumps(record, allow_nan=False))
    if as_json:
        given = {"estimates": sum(counts.values()), **counts}
        named = {"model_id": estimator.model_id, "out": str(out)}
        named |= {"evidence": str(evidence)} if evidence is not None else {}
        print_json({**given, "dropped": dict(dropped), **named})
    _tell(counts, dropped, estimator.model_id)
    scores, labels = str(out or "scores.jsonl"), str(at or "LABELS")
    next_step(shlex.join(["sottovoce", "evaluate", scores, labels, "--out", "evaluation"]))


def _free(out: Path | None, evidence: Path | None, *, force: bool) -> None:
    """Refuse what may not be written, before anything is read."""
    if out is not None and evidence is not None and out.resolve() == evidence.resolve():
        raise click.UsageError("--out and --evidence name the same file.")
    for path in (out, evidence):
        if path is not None:
            if path.is_dir():
                raise DataError("this is a folder", path=path, fix="name a file in it")
            free_path(path, force=force)


def _telling(evidence: Path | None, model: "Scorer") -> AbstractContextManager[Write | None]:
    """Give what writes the evidence; None where nobody asks for it."""
    from sottovoce.conversations import json_lines

    if evidence is None:
        return nullcontext()
    if not model.explains:
        raise ModelError(
            f"{model.model_id} gives no evidence: its body is no evidence reader; leave --evidence "
            "out, or train a recipe with the section reader"
        )
    return json_lines(evidence)


def _told(explained: "Iterable[Explained]", tell: Write | None) -> "Iterator[Explained]":
    """Pass estimates on; what each rests on is written where somebody asks for it."""
    from sottovoce.explanation import explanation_record

    for each in explained:
        record = explanation_record(each) if tell is not None else None
        if tell is not None and record is not None:
            tell(record)
        yield each


def _tell(counts: Mapping[str, int], dropped: Mapping[str, int], model_id: str) -> None:
    """Say on stderr how many were scored, and what was not read of them."""
    console = stderr()
    console.print(
        f"{counts['scored']} scored, {counts['abstained']} abstained ({model_id}). "
        "An estimate is not a diagnosis.",
        soft_wrap=True,
    )
    if dropped["windows"]:
        console.print(
            f"Windows longer than the model's token budget: {dropped['windows']}; messages not "
            f"read: {dropped['user_messages']} of the person, {dropped['assistant_messages']} of "
            "the companion.",
            soft_wrap=True,
        )


def _counted(
    explained: "Iterable[Explained]", counts: Counter[str], dropped: Counter[str], chats: Path
) -> Iterator[dict[str, Any]]:
    """Give each estimate as a line and count it; no estimate at all is an error."""
    from sottovoce.estimates import estimate_record, total_dropped

    for estimate in (each.estimate for each in explained):
        counts["abstained" if estimate.abstained else "scored"] += 1
        dropped.update(total_dropped([estimate.dropped]))
        yield estimate_record(estimate)
    if not any(counts.values()):
        raise DataError(
            "nobody in it could be given a window", path=chats, fix="run sottovoce check on it"
        )
