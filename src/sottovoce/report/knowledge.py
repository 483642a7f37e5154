"""What a run can say of itself where checklists ask.

Owns the sentences, each made of what the report and the data set hold. Does not know which item
of which checklist asks. A question that is answered only by half begins with "In part:", and one
that the run knows nothing of has no answer: none is ever made up.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sottovoce.datasets import Dataset
from sottovoce.evaluation.record import Evaluation, auc_key, metric_title
from sottovoce.metrics import Figure
from sottovoce.report.content import Report

PARTLY = "In part: "

INTENDED = (
    "An estimate supports clinicians and researchers; it never diagnoses, and it replaces neither "
    "a questionnaire nor a conversation."
)


@dataclass(frozen=True, slots=True)
class Run:
    """A report, and the data set that it is on, where the run itself gave the model its windows."""

    report: Report
    dataset: Dataset | None = None

    @property
    def evaluation(self) -> Evaluation:
        """The model in question."""
        return self.report.evaluation


def source(run: Run) -> str | None:
    """Say where the test data come from."""
    invented = " Its people are simulated." if run.report.simulated else ""
    if run.dataset is not None:
        known = run.dataset.source
        said = f"tested on {run.dataset.title}, {known.where}. {_sentence(known.citation)}"
        return f"{PARTLY}{said}{invented} Why these data is for the authors."
    if run.report.cohort is None:
        return None
    return f"{PARTLY}tested on {run.report.cohort}.{invented} Where it is from is for the authors."


def dates(run: Run) -> str | None:
    """Say between which days questionnaires were filled in; made-up times say nothing."""
    if run.report.period is None or not _dated(run):
        return None
    first, last = run.report.period
    return f"{PARTLY}questionnaires of the test data from {day(first)} to {day(last)}."


def text_dates(run: Run) -> str | None:
    """Say when the oldest and the newest message were written; made-up times say nothing."""
    if run.dataset is None or not _dated(run):
        return None
    times = [said.timestamp for each in run.dataset.conversations for said in each.messages]
    if not times:
        return None
    return f"{PARTLY}the data hold messages from {day(min(times))} to {day(max(times))}."


def eligibility(run: Run) -> str | None:
    """Say which questionnaires found an estimate."""
    paired = run.report.pairing
    if paired is None:
        return None
    missed = _counts(paired.unmatched_labels)
    return (
        f"{PARTLY}a questionnaire was used with the person's latest estimate that ends before it "
        f"and at most {paired.look_back_days:g} days earlier; without one: {missed}."
    )


def preparation(run: Run) -> str | None:
    """Say what was left out when the data set was read."""
    if run.dataset is None or not run.dataset.left_out:
        return None
    return f"{PARTLY}left out on reading: {_counts(run.dataset.left_out)}."


def outcome(run: Run) -> str:
    """Say what is predicted."""
    used = run.evaluation.instrument
    return (
        f"The {used.title} total, {used.minimum} to {used.maximum} points, as the person filled "
        f"the questionnaire in; a case from {used.screening_cut_off} points on."
    )


def assessors(run: Run) -> str:
    """Say who judged the outcome."""
    used = run.evaluation.instrument
    return f"Nobody: {used.title} is filled in by the person and scored by adding up."


def predictors(run: Run) -> str | None:
    """Say what the model was given, where the run gave it."""
    if run.dataset is None:
        return None
    return (
        "The messages of the person's conversations that were written before the questionnaire, "
        "as far back as the model's window goes, and nothing else; columns about people serve "
        "tables alone."
    )


def size(run: Run) -> str:
    """Say how many people were tested."""
    return (
        f"{PARTLY}all usable ones: {_people(run)}; {_cases(run)}. The width of the intervals says "
        "what they are enough for; a calculation beforehand is for the authors."
    )


def missing(run: Run) -> str:
    """Say what became of missing estimates and totals."""
    found = run.evaluation
    abstained = (
        f"the model abstained on {found.n_abstained} of {found.n_rows} "
        f"({_counts(found.abstentions)})"
        if found.n_abstained
        else f"the model abstained on none of {found.n_rows}"
    )
    said = (
        f"No estimate was filled in: of those with a questionnaire {abstained}. Where this run "
        f"scored a questionnaire, unanswered items follow its rule "
        f"({found.instrument.missing_rule})."
    )
    if found.n_unlabelled:
        said += f" Without a questionnaire and not used: {found.n_unlabelled}."
    if found.n_abstained:
        said += " Figures rest on what was scored."
    return said


def division(run: Run) -> str | None:
    """Say how people are divided."""
    if run.dataset is None:
        return None
    if not run.dataset.parts:
        return f"{PARTLY}the data have no split; whatever learns here learns in folds of people."
    counts: dict[str, int] = {}
    for part in run.dataset.parts.values():
        counts[part] = counts.get(part, 0) + 1
    return (
        f"{PARTLY}by the split that comes with the data, a person in one part only "
        f"({_counts(counts)}); the figures are of the test people."
    )


def measures(run: Run) -> str:
    """Name every measure and how its interval was made."""
    found, settings = run.evaluation, run.evaluation.settings
    named = [metric_title(key) for key in found.figures]
    if found.cut_offs:
        first, last = found.cut_offs[0].cut_off, found.cut_offs[-1].cut_off
        named.append(f"AUC at every cut-off from {first} to {last}")
    said = f"{'; '.join(named)}. {settings.level:.0%} intervals, by {settings.resamples} bootstrap "
    said += "resamples of people where a table names no other way"
    compared = run.report.comparison
    if compared is not None:
        said += f"; other predictors on the same rows, paired with {compared.reference}"
    return f"{said}."


def outcome_and_measures(run: Run) -> str:
    """Say what is predicted and how it is measured."""
    how = computed(run)
    said = f"{outcome(run)} {measures(run)}"
    return said if how is None else f"{said} {how}"


def computed(run: Run) -> str | None:
    """Say by which model and command estimates were made."""
    models, commands = run.evaluation.model_ids, run.report.provenance.commands
    if not models:
        return None
    by = f"Estimates by {', '.join(models)}"
    return f"{by}; commands: {'; '.join(commands)}." if commands else f"{by}."


def fairness(run: Run) -> str | None:
    """Say which groups were looked at."""
    tables = run.evaluation.groups
    if not tables:
        return None
    least = run.evaluation.settings.minimum
    return (
        f"{PARTLY}looked for in groups by {', '.join(each.column for each in tables)}, every "
        f"group with its intervals, groups below {least} people suppressed."
    )


def output(run: Run) -> str:
    """Say what the model gives out."""
    found = run.evaluation
    said = f"A {found.instrument.title} total in points"
    if found.coverage is not None:
        said += f" with a {found.coverage:.0%} interval"
    if found.reliability:
        cuts = ", ".join(str(each.cut_off) for each in found.reliability)
        said += f" and probabilities at cut-offs {cuts}"
    chosen = thresholds(run)
    return f"{said}." if chosen is None else f"{said}. {chosen}"


def thresholds(run: Run) -> str | None:
    """Say where cases are called and how the threshold came about."""
    rows = [row for row in run.evaluation.thresholds if row.threshold is not None]
    if not rows:
        return None
    said = "; ".join(f"at an estimate of {row.threshold:g} ({row.chosen})" for row in rows)
    return f"Cases are called {said}."


def data_access(run: Run) -> str | None:
    """Say where the data can be had."""
    if run.dataset is None:
        return None
    return f"Licence: {run.dataset.source.licence}. Where: {run.dataset.source.where}."


def code(run: Run) -> str | None:
    """Say by which software the run can be made again."""
    versions = run.report.provenance.versions
    if not versions:
        return None
    said = ", ".join(f"{package} {number}" for package, number in versions.items())
    commands = "; ".join(run.report.provenance.commands)
    return f"{PARTLY}{said}; commands: {commands}." if commands else f"{PARTLY}{said}."


def flow(run: Run) -> str:
    """Count people through the run."""
    found, paired = run.evaluation, run.report.pairing
    said = f"{_people(run)}; scored {found.n_scored}, abstained {found.n_abstained}"
    if found.n_abstained:
        said += f" ({_counts(found.abstentions)})"
    said += f"; {_cases(run)}"
    if found.n_unlabelled:
        said += f"; without a questionnaire {found.n_unlabelled}"
    if paired is not None and paired.unmatched_labels:
        said += f"; questionnaires without an estimate: {_counts(paired.unmatched_labels)}"
    return f"{said}."


def characteristics(run: Run) -> str:
    """Say how severity and groups are spread."""
    bands = ", ".join(f"{row.n} {row.band}" for row in run.evaluation.bands)
    said = [f"by severity {bands}"] if bands else []
    for table in run.evaluation.groups:
        if all(row.people is not None for row in table.rows):  # the rest would tell a small cell
            rows = [f"{row.people} {row.label}" for row in table.rows]
            said.append(f"by {table.column} {', '.join(rows)}")
    return PARTLY + "; ".join((_people(run), *said)) + "."


def events(run: Run) -> str:
    """Count cases at every cut-off."""
    at = ", ".join(f"{row.positives} at {row.cut_off}" for row in run.evaluation.cut_offs)
    said = f"{_people(run)}; scored {run.evaluation.n_scored}"
    return f"{said}; at or above each cut-off: {at}." if at else f"{said}."


def identity(run: Run) -> str | None:
    """Name the model."""
    models = run.evaluation.model_ids
    if not models:
        return None
    return f"{PARTLY}{', '.join(models)}; how it can be had and on what terms is for the authors."


def performance(run: Run) -> str | None:
    """Give the main figures with their intervals."""
    found = run.evaluation
    wanted = ("mae", "rmse", "r", "bias", auc_key(found.instrument.screening_cut_off), "coverage")
    shown = [
        f"{metric_title(key)} {found.figures[key].text()}"
        for key in wanted
        if key in found.figures and found.figures[key].computed
    ]
    if not shown:
        return None
    said = f"{'; '.join(shown)}."
    if found.groups:
        said += f" By {', '.join(each.column for each in found.groups)}: in the tables by group."
    return said


def comparison(run: Run) -> str | None:
    """Say what the model was held against."""
    compared = run.report.comparison
    if compared is None:
        return None
    rows = [f"{row.name} {_error(row.figures.get('mae'))}" for row in compared.rows]
    return (
        f"On the same {compared.n} rows, by mean absolute error in points: {'; '.join(rows)}; "
        f"differences paired with {compared.reference}."
    )


def annotations(run: Run) -> str | None:
    """Say how much was read by recorded annotators."""
    if run.dataset is None or not run.dataset.annotations:
        return None
    read = run.dataset.annotations.values()
    again = sum(each.n_samples > 1 for each in read)
    return f"{PARTLY}{len(read)} people were read by a recorded annotator, {again} more than once."


def annotators(run: Run) -> str | None:
    """Name the recorded annotators."""
    if run.dataset is None or not run.dataset.annotations:
        return None
    names = dict.fromkeys(each.annotator for each in run.dataset.annotations.values())
    return f"{PARTLY}recorded under the name {', '.join(names)}."


def compute(run: Run) -> str | None:
    """Say on what the run was made."""
    hardware = run.report.provenance.details.get("hardware")
    return None if hardware is None else f"{PARTLY}{hardware}."


def limits(run: Run) -> str:
    """Repeat the limits that the report states, and what the checks found."""
    said = [INTENDED, *run.report.limits]
    if run.report.simulated:
        said.insert(0, "The people are simulated: nothing here is evidence of clinical accuracy.")
    if (suite := run.report.suite) is not None:
        found = [check.status for check in suite.checks]
        counts = ", ".join(f"{found.count(each)} {each}" for each in ("pass", "warn", "fail"))
        said.append(f"Checks for leaks and shortcuts: {counts}.")
    return PARTLY + " ".join(map(_sentence, said))


def data_limits(run: Run) -> str | None:
    """Repeat what the data set says against itself."""
    if run.dataset is None or not run.dataset.remarks:
        return None
    return PARTLY + " ".join(run.dataset.remarks)


def intended_use(_run: Run) -> str:
    """Say what an estimate is for."""
    return f"{PARTLY}{INTENDED} Setting and oversight are for the authors."


def poor_input(run: Run) -> str:
    """Say when the model abstains, and how far it moves on disturbed texts."""
    found = run.evaluation
    said = f"without a score: {found.n_abstained} of {found.n_rows}"
    if found.n_abstained:
        said += f" ({_counts(found.abstentions)})"
    if (disturbed := run.report.robustness) is not None:
        moved = [
            f"{each.title} {each.figures['moved'].number()}"
            for each in disturbed.shifts
            if "moved" in each.figures and each.figures["moved"].computed
        ]
        if moved:
            said += f"; mean change of an estimate in points when texts change: {', '.join(moved)}"
    return f"{PARTLY}{said}."


KNOWLEDGE: dict[str, Callable[[Run], str | None]] = {
    each.__name__: each
    for each in (
        source,
        dates,
        text_dates,
        eligibility,
        preparation,
        outcome,
        assessors,
        predictors,
        size,
        missing,
        division,
        measures,
        outcome_and_measures,
        computed,
        fairness,
        output,
        thresholds,
        data_access,
        code,
        flow,
        characteristics,
        events,
        identity,
        performance,
        comparison,
        annotations,
        annotators,
        compute,
        limits,
        data_limits,
        intended_use,
        poor_input,
    )
}
"""Name, as the checklists' files use it, to what gives the answer."""


def _dated(run: Run) -> bool:
    return run.dataset is None or run.dataset.dated


def _people(run: Run) -> str:
    found = run.evaluation
    people = "1 person" if found.n_people == 1 else f"{found.n_people} people"
    return f"{people} with {found.n_rows} questionnaires"


def _cases(run: Run) -> str:
    cut_off = run.evaluation.instrument.screening_cut_off
    row = next((each for each in run.evaluation.cut_offs if each.cut_off == cut_off), None)
    if row is None:
        return "cases not counted"
    return f"{row.positives} of {row.n} at {cut_off} points or more"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in counts.items()) or "none"


def _error(figure: Figure | None) -> str:
    if figure is None or not figure.computed:
        return "not computed"
    return f"{figure.number()} {figure.interval()}".strip()


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def day(moment: datetime) -> str:
    """Write a day in words, "6 April 2020"."""
    return f"{moment.day} {moment:%B %Y}"
