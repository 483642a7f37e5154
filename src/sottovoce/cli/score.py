"""`sottovoce score`: a chat file becomes estimates. Owns the command; the work is `stream`'s."""

import json
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from sottovoce.errors import DataError

if TYPE_CHECKING:
    from sottovoce.estimates import Estimate


@click.command(
    epilog=example(
        "sottovoce score chats.jsonl",
        "sottovoce score chats.jsonl --out scores.jsonl",
        "sottovoce score chats.jsonl --model runs/probe --at labels.jsonl --out scores.jsonl",
        "sottovoce score chats.jsonl | jq 'select(.p_at_least[\"10\"] > 0.8)'",
    )
)
@click.argument("chats", type=EXISTING_FILE)
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    help="Run folder, artefact or ensemble.  [default: the small estimator of the package]",
)
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
@force_option
@json_option
def score(  # noqa: PLR0913, PLR0917 - one parameter an option, as click passes them
    chats: Path,
    model: Path | None,
    at: Path | None,
    out: Path | None,
    coverage: float | None,
    force: bool,
    as_json: bool,
) -> None:
    """Estimate severity for every person of CHATS, one JSON line each.

    Without --at the newest window of each person is read. People with too little conversation,
    or none, get a line that abstains and says why; what a model's token budget left unread is
    counted in each line. With --json the counts are printed as one object; it needs --out.
    """
    if as_json and out is None:
        raise click.UsageError("--json prints the counts; it needs --out for the estimates.")
    if out is not None:
        if out.is_dir():
            raise DataError("this is a folder", path=out, fix="name a file in it")
        free_path(out, force=force)
    from sottovoce.conversations import write_json_lines
    from sottovoce.estimates import total_dropped
    from sottovoce.estimator import Estimator
    from sottovoce.stream import score_file

    estimator, counts = Estimator.from_pretrained(model), Counter(scored=0, abstained=0)
    dropped = Counter(total_dropped([]))
    with progress_bar("Scoring people") as advance:
        estimates = score_file(estimator, chats, at=at, coverage=coverage, advance=advance)
        records = _counted(estimates, counts, dropped, chats)
        if out is not None:
            write_json_lines(out, records)
        else:
            for record in records:
                click.echo(json.dumps(record, allow_nan=False))
    if as_json:
        given = {"estimates": sum(counts.values()), **counts}
        named = {"model_id": estimator.model_id, "out": str(out)}
        print_json({**given, "dropped": dict(dropped), **named})
    _tell(counts, dropped, estimator.model_id)
    scores, labels = str(out or "scores.jsonl"), str(at or "LABELS")
    next_step(shlex.join(["sottovoce", "evaluate", scores, labels, "--out", "evaluation"]))


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
    estimates: Iterable["Estimate"], counts: Counter[str], dropped: Counter[str], chats: Path
) -> Iterator[dict[str, Any]]:
    """Give each estimate as a line and count it; no estimate at all is an error."""
    from sottovoce.estimates import estimate_record, total_dropped

    for estimate in estimates:
        counts["abstained" if estimate.abstained else "scored"] += 1
        dropped.update(total_dropped([estimate.dropped]))
        yield estimate_record(estimate)
    if not any(counts.values()):
        raise DataError(
            "nobody in it could be given a window", path=chats, fix="run sottovoce check on it"
        )
