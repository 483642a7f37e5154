"""`sottovoce annotate`: a reasoning model reads chats and gives pseudolabels.

Owns the command; the work is `annotate.session`'s.
"""

import shlex
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict
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
    stdout,
)
from sottovoce.errors import DataError
from sottovoce.instruments import INSTRUMENTS, PHQ_9

if TYPE_CHECKING:
    from sottovoce.annotate.run import Terms
    from sottovoce.annotate.session import Errand, Outcome, Prepared, Preview

ENGINES = ("presidio", "patterns")

KEYS_SHOWN = 5
"""Keys of failed calls that are printed of each kind; --json prints all."""

NOTHING = {
    False: "no call about the people in it gave a reading",
    True: "the budget holds not one call at its worst",
}
FIXES = {
    False: "see the failures above; --retry-failed asks again",
    True: "raise it, or lower --max-tokens",
}

OPTIONS = (
    click.option("--out", type=EXISTING_FILE, help="annotations.jsonl to write."),
    click.option(
        "--annotator",
        "service",
        required=True,
        metavar="WHO",
        help="anthropic:MODEL, openai:MODEL or replay:FILE (a store or annotations.jsonl).",
    ),
    click.option("--base-url", metavar="URL", help="Another server: http://localhost:8000/v1."),
    click.option("--effort", metavar="WORD", help="How much it reasons, in the service's words."),
    click.option(
        "--no-schema", is_flag=True, help="Ask for JSON in words alone, of servers without schemas."
    ),
    click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Seconds a call."),
    click.option(
        "--store", type=EXISTING_FILE, help="Where answers are kept.  [default: OUT.store.jsonl]"
    ),
    click.option(
        "--only", type=EXISTING_FILE, help="JSONL: ask about these user_ids and nobody else."
    ),
    click.option("--consent", type=EXISTING_FILE, help="consent.jsonl: who may be sent."),
    click.option(
        "--trusted", is_flag=True, help="The server at --base-url is your own; no consent needed."
    ),
    click.option(
        "--engine",
        type=click.Choice(ENGINES),
        default="presidio",
        show_default=True,
        help="What finds names and numbers to replace; see sottovoce deidentify.",
    ),
    click.option("--ner", metavar="MODEL", help="A spaCy model, installed or a folder."),
    click.option(
        "--no-deidentify", is_flag=True, help="Send chats as they are; only with --trusted."
    ),
    click.option(
        "--samples", type=click.IntRange(1), default=1, show_default=True, help="Readings a person."
    ),
    click.option(
        "--max-tokens",
        type=click.IntRange(1),
        default=16_000,
        show_default=True,
        help="Most tokens of an answer, reasoning included.",
    ),
    click.option("--price-input", type=click.FloatRange(0), help="Per million tokens of input."),
    click.option("--price-output", type=click.FloatRange(0), help="Per million tokens of output."),
    click.option(
        "--budget", type=click.FloatRange(0), help="Most that the store's calls may cost in all."
    ),
    click.option(
        "--token-budget", type=click.IntRange(0), help="Most tokens that they may take in all."
    ),
    click.option(
        "--concurrency",
        type=click.IntRange(1, 64),
        default=4,
        show_default=True,
        help="Calls at once.",
    ),
    click.option(
        "--batches", is_flag=True, help="Anthropic's Message Batches: kept there, at half price."
    ),
    click.option("--retry-failed", is_flag=True, help="Ask again what failed before."),
    click.option("--dry-run", is_flag=True, help="Print people, tokens and cost; send nothing."),
    click.option(
        "--instrument",
        type=click.Choice(list(INSTRUMENTS)),
        default=PHQ_9.key,
        show_default=True,
        help="The questionnaire that is estimated.",
    ),
)


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for add in reversed(OPTIONS):
        command = add(command)
    return command


@click.command(
    epilog=example(
        "sottovoce annotate chats.jsonl --annotator anthropic:claude-opus-5-5 --dry-run \\",
        "    --price-input 4 --price-output 20",
        "sottovoce annotate chats.jsonl --annotator anthropic:claude-opus-5-5 \\",
        "    --consent consent.jsonl --budget 25 --price-input 4 --price-output 20 \\",
        "    --out annotations.jsonl",
        "sottovoce annotate chats.jsonl --annotator openai:qwen3 --trusted --samples 3 \\",
        "    --base-url http://localhost:11434/v1 --out annotations.jsonl",
        "sottovoce annotate chats.jsonl --annotator replay:annotations.store.jsonl \\",
        "    --out again.jsonl",
    )
)
@click.argument("chats", type=EXISTING_FILE)
@_options
@force_option
@json_option
@click.pass_context
def annotate(context: click.Context, /, **told: Any) -> None:
    """Ask a reasoning model how each person of CHATS would fill in the questionnaire.

    Chats leave this machine de-identified, and only of people whose consent covers it, unless the
    server is declared your own. Answers are kept in a store as they come: the same command again
    goes on where the last one ended and pays for nothing twice. Annotations are pseudolabels,
    never a diagnosis.
    """
    from sottovoce.annotate.session import annotate as work
    from sottovoce.annotate.session import preview
    from sottovoce.annotations import write_annotations

    out: Path | None = told["out"]
    if told["dry_run"]:
        with progress_bar("De-identifying") as advance:
            made = preview(_errand(told), advance)
        _foretell(made, told["as_json"])
        ledger = told["consent"] or (None if told["trusted"] else "consent.jsonl")
        next_step(_command(context, dry_run=False, out=out or "annotations.jsonl", consent=ledger))
        return
    if out is None:
        raise click.UsageError("Missing option '--out', or --dry-run.")
    if out.is_dir():
        raise DataError("this is a folder", path=out, fix="name a file in it")
    free_path(out, force=told["force"])
    with progress_bar("De-identifying, then asking") as advance:
        outcome = work(_errand(told), advance)
    results = outcome.results
    if not results.annotations:
        _tell_failures(outcome)
        raise DataError(
            NOTHING[bool(outcome.run.left)], path=told["chats"], fix=FIXES[bool(outcome.run.left)]
        )
    write_annotations(out, results.annotations)
    if told["as_json"]:
        print_json(_record(outcome, out))
    else:
        _tell(outcome, out)
    _tell_failures(outcome)
    _name_next(context, outcome)


def _errand(told: Mapping[str, Any]) -> "Errand":
    """Turn flags into what the work is told; a flag that cannot be is wrong usage."""
    from sottovoce.annotate.calls import Patience
    from sottovoce.annotate.session import Errand, Gate, Service

    timeout, engine = told["timeout"], None if told["no_deidentify"] else told["engine"]
    try:
        service = Service(
            told["service"],
            told["base_url"],
            told["effort"],
            not told["no_schema"],
            Patience() if timeout is None else Patience(timeout),
            told["batches"],
        )
        return Errand(
            told["chats"],
            service,
            Gate(told["consent"], told["trusted"], engine, told["ner"]),
            _store(told),
            told["only"],
            told["samples"],
            told["max_tokens"],
            _terms(told),
            instrument=told["instrument"],
        )
    except DataError as error:
        raise click.UsageError(f"{error}.") from None


def _store(told: Mapping[str, Any]) -> Path | None:
    """Give the store: beside the output, and none for a replay."""
    store, out = told["store"], told["out"]
    if store is None and out is not None and not told["service"].startswith("replay:"):
        store = out.with_suffix(".store.jsonl")
    return store  # type: ignore[no-any-return]


def _terms(told: Mapping[str, Any]) -> "Terms":
    from sottovoce.annotate.budget import Limit, Prices
    from sottovoce.annotate.run import Terms

    of_input, of_output = told["price_input"], told["price_output"]
    if (of_input is None) != (of_output is None):
        raise click.UsageError("--price-input and --price-output go together.")
    prices = None if of_input is None else Prices(of_input, of_output)
    limit = Limit(told["budget"], told["token_budget"], prices)
    return Terms(limit, told["concurrency"], told["retry_failed"])


def _foretell(made: "Preview", as_json: bool) -> None:
    """Print what a run would do."""
    ahead, prepared = made.forecast, made.prepared
    record = {
        "people": len(prepared.tasks),
        "left_out": dict(prepared.left_out),
        "refused": dict(prepared.refused),
        "deidentified": prepared.deidentified,
        "calls": ahead.calls,
        "stored": made.stored,
        "in_flight": made.in_flight,
        "expected_tokens": {"input": ahead.expected.input, "output": ahead.expected.output},
        "most_tokens": {"input": ahead.most.input, "output": ahead.most.output},
        "expected_cost": made.costs[0],
        "most_cost": made.costs[1],
        "spent_tokens": {"input": made.spent.input, "output": made.spent.output},
    }
    if as_json:
        print_json(record)
        return
    rows = [
        ("people", f"{len(prepared.tasks):,}"),
        *_without(prepared),
        ("calls to make", f"{ahead.calls:,}"),
        ("calls in the store", f"{made.stored:,}"),
        ("calls in flight when the last run ended", f"{made.in_flight:,}"),
        ("tokens of input, estimated", f"{ahead.expected.input:,}"),
        ("tokens of output, without reasoning", f"{ahead.expected.output:,}"),
        ("tokens at most, input and output", f"{ahead.most.input:,} + {ahead.most.output:,}"),
        *_money(made.costs),
    ]
    _table("dry run: nothing was sent", rows)


def _money(costs: tuple[float | None, float | None]) -> list[tuple[str, str]]:
    least, most = costs
    if least is None or most is None:
        return []
    return [("cost without reasoning", f"{least:,.2f}"), ("cost at most", f"{most:,.2f}")]


def _without(prepared: "Prepared") -> list[tuple[str, str]]:
    """Name whoever is not asked about."""
    return [
        *((f"not asked about: {why}", f"{n:,}") for why, n in prepared.left_out.items()),
        *((f"not sent: {why}", f"{n:,}") for why, n in prepared.refused.items()),
        ("names and numbers replaced by", prepared.deidentified or "nothing"),
    ]


def _table(title: str, rows: list[tuple[str, str]]) -> None:
    from rich.table import Table

    table = Table(show_header=False, title=title, title_justify="left")
    table.add_column()
    table.add_column(justify="right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    stdout().print(table)


def _record(outcome: "Outcome", out: Path) -> dict[str, Any]:
    results, agreement = outcome.results, outcome.results.agreement
    failed = defaultdict(list)
    for each in results.failures:
        failed[str(each.kind)].append(each.key)
    return {
        "annotations": len(results.annotations),
        "out": str(out),
        "address": outcome.address,
        "deidentified": outcome.prepared.deidentified,
        "left_out": dict(outcome.prepared.left_out),
        "refused": dict(outcome.prepared.refused),
        "calls": outcome.run.asked,
        "repeated": outcome.repeated,
        "left_by_budget": outcome.run.left,
        "healed_lines": outcome.healed,
        "partial": results.partial,
        "without": results.without,
        "failures": {kind: sorted(keys) for kind, keys in failed.items()},
        "quotes": {
            "found": results.quotes,
            "rejected": results.rejected,
            "items_left_bare": results.bare,
        },
        "agreement": None if agreement is None else asdict(agreement),
        "tokens": {"input": outcome.tokens.input, "output": outcome.tokens.output},
        "unknown_tokens_at_most": outcome.unknown.total,
        "cost": outcome.cost,
    }


def _tell(outcome: "Outcome", out: Path) -> None:
    """Print the summary."""
    results, agreement = outcome.results, outcome.results.agreement
    rows = [
        ("people annotated", f"{len(results.annotations):,}"),
        ("of these with fewer samples than asked for", f"{results.partial:,}"),
        ("without any reading", f"{results.without:,}"),
        *_without(outcome.prepared),
        ("sent to", outcome.address or "nobody"),
        ("calls made", f"{outcome.run.asked:,}"),
        ("quotes found", f"{results.quotes:,}"),
        ("quotes not found, left out", f"{results.rejected:,}"),
        ("items left without a quote by that", f"{results.bare:,}"),
    ]
    if agreement is not None:
        icc = agreement.reason if agreement.icc is None else f"{agreement.icc:.3f}"
        rows += [
            (f"ICC(1) of {agreement.samples} samples, {agreement.people:,} people", str(icc)),
            ("mean difference of two samples, points", f"{agreement.difference:.2f}"),
        ]
    rows.append(("tokens, all runs", f"{outcome.tokens.input:,} + {outcome.tokens.output:,}"))
    if outcome.cost is not None:
        rows.append(("cost, all runs", f"{outcome.cost:,.2f}"))
    if outcome.unknown.total:
        rows.append(("tokens of calls without a known end, at most", f"{outcome.unknown.total:,}"))
    _table(str(out), rows)


def _tell_failures(outcome: "Outcome") -> None:
    """List on stderr what failed, what was repeated, and what a kill had torn."""
    console, results = stderr(), outcome.results
    if outcome.healed:
        console.print("The store's last line was torn by a kill and was cut off.")
    if outcome.repeated:
        console.print(
            f"{outcome.repeated} calls were in flight when the last run ended; they were repeated "
            "with the same idempotency key.",
            soft_wrap=True,
        )
    for kind, count in results.kinds.items():
        keys = sorted(each.key for each in results.failures if each.kind == kind)
        shown = " ".join(keys[:KEYS_SHOWN]) + (" ..." if len(keys) > KEYS_SHOWN else "")
        console.print(f"{count:>7,} failed: {kind} ({shown})", soft_wrap=True, markup=False)


def _name_next(context: click.Context, outcome: "Outcome") -> None:
    results, left = outcome.results, outcome.run.left
    if left:
        told = f"The budget ends here; {left:,} calls are left. Raise it to go on."
        stderr().print(told, soft_wrap=True)
    if left or results.failures:
        next_step(_command(context, force=True, retry_failed=bool(results.failures)))
    else:
        next_step("sottovoce self-train RECIPE --out runs/self-train")


def _command(context: click.Context, **changed: Any) -> str:
    """Give the command as it was typed, with some flags changed."""
    words = ["sottovoce", "annotate", str(context.params["chats"])]
    for option in context.command.params:
        value = {**context.params, **changed}.get(str(option.name))
        if not isinstance(option, click.Option) or value in (None, False, option.default):
            continue
        shown = f"{value:g}" if isinstance(value, float) else str(value)
        words += [option.opts[0], *([] if value is True else [shown])]
    return shlex.join(words)
