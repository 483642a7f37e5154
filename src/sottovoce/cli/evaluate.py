"""`sottovoce evaluate`: estimates against questionnaires, as tables, JSON and a report.

Owns the command. The arithmetic is `evaluation`'s and the page is `report`'s.
"""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sottovoce.cli.console import (
    EXISTING_FILE,
    example,
    force_option,
    free_report_folder,
    json_option,
    next_step,
    print_json,
    stdout,
)
from sottovoce.cli.evaluation_tables import print_tables
from sottovoce.errors import DataError

if TYPE_CHECKING:
    from sottovoce.evaluation import Evaluation, Pairing
    from sottovoce.instruments import Instrument

REPORT, FIGURES, PAIRS = "report.html", "evaluation.json", "pairs.jsonl"


@dataclass(frozen=True, slots=True)
class _Request:
    """What the command was asked for."""

    scores: Path
    labels: Path
    people: Path | None
    validation: Path | None
    out: Path
    instrument: str | None
    look_back: float | None
    seed: int
    simulated: bool

    def command(self) -> str:
        """Give the command line that repeats this evaluation, with file names only."""
        parts = ["sottovoce", "evaluate", self.scores.name, self.labels.name]
        parts += ["--people", self.people.name] if self.people else []
        parts += ["--validation", self.validation.name] if self.validation else []
        parts += ["--out", self.out.name or "."]
        parts += ["--instrument", self.instrument] if self.instrument else []
        parts += [] if self.look_back is None else ["--look-back", f"{self.look_back:g}"]
        parts += ["--seed", str(self.seed)] if self.seed else []
        return shlex.join([*parts, "--simulated"] if self.simulated else parts)


@click.command(
    epilog=example(
        "sottovoce evaluate scores.jsonl labels.jsonl --out evaluation",
        "sottovoce evaluate scores.jsonl labels.jsonl --people people.jsonl --out evaluation",
        "sottovoce evaluate scores.jsonl labels.jsonl --validation tuning/pairs.jsonl --out test",
        "sottovoce evaluate scores.jsonl labels.jsonl --out evaluation --json | jq .metrics",
    )
)
@click.argument("scores", type=EXISTING_FILE)
@click.argument("labels", type=EXISTING_FILE)
@click.option(
    "--people",
    type=EXISTING_FILE,
    help='Columns about people ({"user_id", ...} a line) for tables by group.',
)
@click.option(
    "--validation",
    type=EXISTING_FILE,
    metavar="PAIRS",
    help="pairs.jsonl of an earlier evaluation of other people: they choose a threshold.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder for the results."
)
@click.option("--instrument", help="The questionnaire, where the scores hold several.")
@click.option(
    "--look-back",
    type=float,
    metavar="DAYS",
    help="Longest time from an estimate to a questionnaire.  [default: the questionnaire's own]",
)
@click.option("--seed", default=0, show_default=True, help="Seed of the bootstrap.")
@click.option("--simulated", is_flag=True, help="The people are invented: the report says so.")
@json_option
@force_option
def evaluate(as_json: bool, force: bool, **asked: Any) -> None:
    """Compare SCORES with LABELS: metrics with intervals, tables by severity and group, a report.

    Each questionnaire is held against the person's latest estimate that ends before it. Abstained
    and unmatched ones are counted. In tables by group, ages stand in bands that begin at 18, 30,
    45 and 60, other numbers in quarters; texts of more than 20 kinds are left out, and so are
    groups of fewer than 10 people and those from which such a group could be worked out.

    Writes report.html with its figures (SVG, PDF) and tables (CSV, LaTeX), evaluation.json and
    pairs.jsonl into the folder; none of them holds a word of any conversation.
    """
    request = _Request(**asked)
    free_report_folder(request.out, force=force)
    evaluation, pairing = _evaluated(request)
    result = _record(request, evaluation, pairing)
    _write(request, evaluation, pairing, result)
    if as_json:
        print_json(result)
    else:
        print_tables(evaluation, pairing)
        stdout().print(f"Report: {request.out / REPORT}", markup=False, soft_wrap=True)
    next_step(shlex.join(["python", "-m", "webbrowser", str(request.out / REPORT)]))


def _evaluated(request: _Request) -> tuple["Evaluation", "Pairing"]:
    """Read, pair and evaluate."""
    from sottovoce.evaluation import Settings, read_people, read_validation
    from sottovoce.evaluation import evaluate as judge
    from sottovoce.people import people_columns

    pairing, used = _paired(request)
    users = [pair.estimate.user_id for pair in pairing.pairs]
    people = read_people(request.people) if request.people else {}
    validation = read_validation(request.validation, used) if request.validation else None
    evaluation = judge(
        [pair.response.total for pair in pairing.pairs],
        [pair.estimate for pair in pairing.pairs],
        users,
        people_columns(people, users),
        instrument=used,
        settings=Settings(seed=request.seed, validation=validation),
    )
    return evaluation, pairing


def _record(request: _Request, evaluation: "Evaluation", pairing: "Pairing") -> dict[str, Any]:
    """Give what evaluation.json holds and `--json` prints."""
    from sottovoce.report import installed_versions

    return {
        **evaluation.as_dict(),
        "pairing": pairing.as_dict(),
        "simulated": request.simulated,
        "versions": installed_versions("matplotlib", "jinja2"),
        "command": request.command(),
        "report": str(request.out / REPORT),
    }


def _paired(request: _Request) -> tuple["Pairing", "Instrument"]:
    """Read both files and pair them; a pairing without a pair is an error that says why."""
    from sottovoce.conversations import read_labels
    from sottovoce.estimates import read_scores
    from sottovoce.evaluation import match
    from sottovoce.instruments import instrument

    scores = list(read_scores(request.scores))
    found = sorted({each.instrument for each in scores})
    if request.instrument is None and len(found) > 1:
        raise DataError(
            f"the scores are of {' and '.join(found)}",
            path=request.scores,
            field="instrument",
            fix="choose one with --instrument",
        )
    used = instrument(request.instrument or found[0])
    chosen = [each for each in scores if instrument(each.instrument).key == used.key]
    if not chosen:
        raise DataError(
            f"no score is of {used.key}", path=request.scores, fix="choose another --instrument"
        )
    look_back = used.look_back_days if request.look_back is None else request.look_back
    pairing = match(chosen, read_labels(request.labels), look_back)
    if not pairing.pairs:
        reasons = "; ".join(f"{count}: {why}" for why, count in pairing.unmatched_labels.items())
        raise DataError(
            f"no questionnaire could be paired with a score ({reasons})",
            path=request.labels,
            fix="score the chats with sottovoce score --at LABELS, or give a longer --look-back",
        )
    return pairing, used


def _write(
    request: _Request, evaluation: "Evaluation", pairing: "Pairing", result: dict[str, Any]
) -> None:
    """Write everything, or nothing: a folder half written would need --force the next time."""
    from sottovoce.conversations import write_json_lines
    from sottovoce.report import Provenance, Report, replacing, write_report_folder
    from sottovoce.report.checklists import tripod_ai, tripod_llm

    times = [pair.response.completed_at for pair in pairing.pairs]
    report = Report(
        title=f"{evaluation.instrument.title} estimates against questionnaires",
        evaluation=evaluation,
        cohort=request.labels.name,
        simulated=request.simulated,
        pairing=pairing,
        period=(min(times), max(times)),
        provenance=Provenance(versions=result["versions"], commands=(request.command(),)),
    )
    with replacing(request.out) as partial:
        write_json_lines(partial / PAIRS, (pair.as_dict() for pair in pairing.pairs))
        figures = json.dumps(result, ensure_ascii=False, allow_nan=False, indent=2)
        (partial / FIGURES).write_text(figures + "\n", encoding="utf-8")
        write_report_folder(partial, report, (tripod_ai(report), tripod_llm(report)))
