"""`sottovoce benchmark`: saved models on a data set by its name, to a report.

Owns the command and its tables. The work is `benchmark`'s, the data are `datasets`'.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.table import Table

from sottovoce.cli.console import (
    EXISTING_FILE,
    example,
    force_option,
    free_report_folder,
    json_option,
    next_step,
    print_json,
    progress_bar,
    stdout,
)
from sottovoce.cli.side_by_side import print_comparison, valued
from sottovoce.errors import DataError

if TYPE_CHECKING:
    from sottovoce.benchmark import Asked, Benchmark, RatedBenchmark
    from sottovoce.datasets import Dataset
    from sottovoce.evaluation import Robustness, Suite
    from sottovoce.scorer import Scorer

SAMPLE = 10
"""People who are read again in each changed form: the fewest that have an interval
(`metrics.LEAST_PEOPLE`), as reading takes the time. More people, narrower intervals."""


@dataclass(frozen=True, slots=True)
class _Request:
    """What the command was asked for."""

    name: str
    path: Path | None
    model: tuple[Path, ...]
    out: Path
    instrument: str | None
    rung: tuple[str, ...]
    sample: int
    disturb: tuple[str, ...]
    trained_on: Path | None
    annotations: Path | None
    paraphrases: Path | None
    seed: int

    def command(self) -> str:
        """Give the command line that repeats this benchmark, with file names only."""
        parts = ["sottovoce", "benchmark", self.name]
        parts += [self.path.name] if self.path else []
        for option, value in self._paths():
            parts += [option, value.name or "."]
        parts += ["--instrument", self.instrument] if self.instrument else []
        for rung in self.rung:
            parts += ["--rung", rung]
        parts += ["--sample", str(self.sample)] if self.sample != SAMPLE else []
        for way in self.disturb:
            parts += ["--disturb", way]
        parts += ["--seed", str(self.seed)] if self.seed else []
        return shlex.join(parts)

    def _paths(self) -> list[tuple[str, Path]]:
        named = [("--model", each) for each in self.model]
        for option in ("trained_on", "annotations", "paraphrases", "out"):
            value = getattr(self, option)
            named += [(f"--{option.replace('_', '-')}", value)] if value else []
        return named


@click.command(
    epilog=example(
        "sottovoce benchmark bundled --out benchmark",
        "sottovoce benchmark dep-wor dep_wor_data.csv --model runs/probe --out dep-wor",
        "sottovoce benchmark folder my-study --model runs/a --model runs/b --out my-benchmark",
        "sottovoce benchmark daic-woz DAIC --export daic",
    )
)
@click.argument("name")
@click.argument("path", type=click.Path(path_type=Path), required=False)
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Run folder, artefact or ensemble; the first is judged, more stand beside it.  "
    "[default: the small estimator of the package]",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the results.")
@click.option(
    "--export",
    type=click.Path(path_type=Path),
    help="Write the data as canonical files into a folder, and do nothing else.",
)
@click.option("--instrument", help="The questionnaire, where a folder holds several.")
@click.option(
    "--rung",
    multiple=True,
    help="A baseline: mean, length, tfidf, embeddings or encoder (slow); may be repeated.  "
    "[default: all but encoder]",
)
@click.option(
    "--sample",
    default=SAMPLE,
    show_default=True,
    metavar="PEOPLE",
    help="People who are read again in each changed form; 0 leaves that out.",
)
@click.option(
    "--disturb",
    multiple=True,
    help="How to disturb their texts: typos, lower_case, upper_case, punctuation, emoji, passages "
    "(in other languages), older_half, newer_half; may be repeated.  "
    "[default: typos, emoji, older_half]",
)
@click.option(
    "--trained-on",
    type=EXISTING_FILE,
    help="Chats that the model learnt from, where its run folder does not tell.",
)
@click.option(
    "--annotations", type=EXISTING_FILE, help="annotations.jsonl of an annotator as one more rung."
)
@click.option(
    "--paraphrases", type=EXISTING_FILE, help="chats.jsonl of the same people in other words."
)
@click.option("--seed", default=0, show_default=True, help="Seed of folds, draws and bootstrap.")
@force_option
@json_option
def benchmark(as_json: bool, force: bool, export: Path | None, **asked: Any) -> None:
    """Judge saved models on the data set NAME in PATH, and write a report.

    NAME is bundled (the simulated cohort of the package, no PATH), dep-wor, covid-worry, daic-woz,
    e-daic, or folder: your own chats.jsonl and labels.jsonl, with people.jsonl (columns for tables
    by group; `split`: train, validation, test) and annotations.jsonl where you have them.

    In one go: metrics with intervals, baselines on the same people (learnt from the training part,
    or in folds where there is none), leaks and shortcuts, groups, robustness. Nothing of the model
    is trained.

    Writes report.html with figures/ and tables/, benchmark.json and scores.jsonl into the folder.
    Of people who are not simulated no word leaves the data.
    """
    from sottovoce.datasets import open_dataset

    request = _Request(**asked)
    if (request.out is None) == (export is None):
        raise click.UsageError("Name --out for the results, or --export to write the data.")
    if 0 < request.sample < SAMPLE or request.sample < 0:
        raise click.UsageError(f"--sample takes 0, or {SAMPLE} people or more.")
    dataset = open_dataset(request.name, request.path, request.instrument)
    if export is not None:
        _export(dataset, export)
        return
    free_report_folder(request.out, force=force)
    if dataset.labels:
        _judge(dataset, request, as_json=as_json)
    else:
        _rate(dataset, request, as_json=as_json)


def _export(dataset: "Dataset", folder: Path) -> None:
    for path in dataset.export(folder):
        stdout().print(str(path), markup=False, soft_wrap=True)
    next_step(shlex.join(["sottovoce", "check", str(folder / "chats.jsonl")]))


def _judge(dataset: "Dataset", request: _Request, *, as_json: bool) -> None:
    """Run the whole benchmark and show it."""
    from sottovoce.benchmark import run_benchmark

    result = run_benchmark(dataset, _asked(dataset, request), request.out, progress_bar)
    if as_json:
        print_json(result.as_dict())
    else:
        _print(result)
    next_step(shlex.join(["python", "-m", "webbrowser", str(result.report)]))


def _asked(dataset: "Dataset", request: _Request) -> "Asked":
    from sottovoce.annotations import annotations_by_person
    from sottovoce.benchmark import Asked
    from sottovoce.evaluation import Settings
    from sottovoce.ladder import DEFAULT_RUNGS
    from sottovoce.pedigree import find_pedigree
    from sottovoce.robustness import USUAL, read_paraphrases

    models = _models(request)
    first = next(iter(models.values()))
    references = {}
    if request.annotations:
        users = frozenset(each.user_id for each in dataset.labels)
        said = annotations_by_person(request.annotations, dataset.instrument.key, users)
        references[request.annotations.stem] = {user: each.total for user, each in said.items()}
    return Asked(
        models,
        find_pedigree(first, request.model[0] if request.model else None, request.trained_on),
        rungs=request.rung or DEFAULT_RUNGS,
        sample=request.sample,
        disturbances=request.disturb or USUAL,
        paraphrases=read_paraphrases(request.paraphrases) if request.paraphrases else {},
        references=references,
        notes={name: each.summary for name, each in models.items()},
        settings=Settings(seed=request.seed),
        command=request.command(),
    )


def _models(request: _Request) -> "Mapping[str, Scorer]":
    """Load the models, each under its id."""
    from sottovoce.estimator import Estimator

    scorers = [Estimator.from_pretrained(path) for path in request.model or (None,)]
    models = {each.model_id: each for each in scorers}
    if len(models) < len(scorers):
        raise DataError("the same model is named twice", field="model", fix="name each once")
    return models


def _print(result: "Benchmark") -> None:
    console, comparison = stdout(), result.ladder.comparison
    people = "simulated people" if result.dataset.simulated else "people"
    console.print(
        f"{result.dataset.title}: {comparison.n_people} {people}, "
        f"{result.dataset.instrument.title} totals; 95% bootstrap intervals over people; "
        f"baselines learn from {result.trial.described}.",
        soft_wrap=True,
        markup=False,
    )
    print_comparison(comparison)
    if result.suite is not None:
        console.print(_suite_table(result.suite))
    if result.robustness is not None:
        console.print(_robustness_table(result.robustness))
    for reason, count in result.trial.left_out.items():
        console.print(f"Left out: {count}, {reason}", markup=False)
    for remark in result.dataset.remarks:
        console.print(remark, markup=False, soft_wrap=True)
    console.print(f"Report: {result.report}", markup=False, soft_wrap=True)


def _suite_table(suite: "Suite") -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="Leaks and shortcuts", title_justify="left")
    for name in ("", "looked at", "why"):
        table.add_column(name, vertical="top")
    styles = {"pass": "green", "warn": "yellow", "fail": "bold red"}
    for check in suite.checks:
        table.add_row(f"[{styles[check.status]}]{check.status}[/]", check.title, check.why)
    return table


def _robustness_table(robustness: "Robustness") -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="Texts disturbed", title_justify="left")
    table.add_column("what was done")
    for name in ("n", "moved, points", "mean change", "MAE, change"):
        table.add_column(name, justify="right")
    for shift in robustness.shifts:
        cells = [
            valued(shift.figures[key], sign=key != "moved") if key in shift.figures else "–"
            for key in ("moved", "change", "mae_change")
        ]
        table.add_row(shift.title, str(shift.n), *cells)
    return table


def _rate(dataset: "Dataset", request: _Request, *, as_json: bool) -> None:
    """Hold estimates against self-ratings, where there is no questionnaire."""
    from sottovoce.benchmark import run_rated
    from sottovoce.evaluation import Settings

    (scorer, *more) = _models(request).values()
    if more:
        raise click.UsageError(f"{dataset.name} has no questionnaire: name one model.")
    found = run_rated(dataset, scorer, request.out, Settings(seed=request.seed), progress_bar)
    if as_json:
        print_json(found.as_dict())
    else:
        _print_rated(found)
    next_step(shlex.join(["sottovoce", "benchmark", "bundled", "--out", "benchmark"]))


def _print_rated(found: "RatedBenchmark") -> None:
    console = stdout()
    table = Table(box=box.SIMPLE_HEAD, title=found.dataset.title, title_justify="left")
    for name in ("occasion", "rating"):
        table.add_column(name)
    for name in ("Pearson r with the estimate", "n", "abstained"):
        table.add_column(name, justify="right")
    for row in found.correlates.rows:
        table.add_row(row.occasion, row.rating, valued(row.r), str(row.r.n), str(row.abstained))
    console.print(table)
    for said in (found.correlates.note, *found.dataset.remarks):
        console.print(said, markup=False, soft_wrap=True)
