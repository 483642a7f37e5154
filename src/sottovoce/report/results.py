"""The sections on one model's estimates: the result, errors by severity, cases, probabilities.

Owns their words and tables. Does not compute metrics (`evaluation`), nor know the page.
"""

from sottovoce.evaluation import BandRow, Evaluation
from sottovoce.evaluation.record import auc_key, metric_title
from sottovoce.report import charts, curves
from sottovoce.report.content import Report
from sottovoce.report.naming import SIGNED, any_computed, by_family, family, metric_column
from sottovoce.report.section import Abreast, Block, Drawing, Heading, Section, Tiles, Words
from sottovoce.report.table import Column, Row, Table

ONE_FIGURE = Column("value", "Value")
ROWS = Column("n", "n")


def level_of(evaluation: Evaluation) -> str:
    """Write the level of the metrics' intervals, "95%"."""
    return f"{evaluation.settings.level:.0%}"


def lead(evaluation: Evaluation) -> str:
    """Give the result in one sentence."""
    error, used = evaluation.figures["mae"], evaluation.instrument
    if error.value is None:
        return f"The error could not be computed: {error.reason}."
    bounds = ""
    if error.lower is not None and error.upper is not None:
        low, high = f"{error.lower:.1f}", f"{error.upper:.1f}"
        bounds = f" ({level_of(evaluation)} interval {low} to {high})"
    return (
        f"On average an estimate lies {error.value:.1f} points{bounds} from the {used.title} "
        f"total that the person reported, on a scale from {used.minimum} to {used.maximum} "
        f"(n = {error.n})."
    )


def result(report: Report) -> Section:
    """Give the headline figures and all metrics."""
    evaluation = report.evaluation
    screening, level = evaluation.instrument.screening_cut_off, level_of(evaluation)
    chosen = {
        "mae": "Mean absolute error, points",
        "r": "Pearson r",
        auc_key(screening): f"AUC at ≥ {screening}",
    }
    if evaluation.coverage is not None:
        chosen["coverage"] = f"Coverage of {evaluation.coverage:.0%} intervals"
    figures = evaluation.figures
    tiles = tuple((title, figures[key]) for key, title in chosen.items() if key in figures)
    rows = tuple(
        Row(
            metric_title(key),
            (figures[key], figures[key].n),
            group=family(key),
            key=key,
            signed=key in SIGNED,
        )
        for key in by_family(figures)
    )
    table = Table(
        "metrics",
        "All metrics",
        f"All metrics over the scored estimates, with {level} intervals over people.",
        "Metric",
        (ONE_FIGURE, ROWS),
        rows,
        "inline",
    )
    return Section("result", "Result", "Result", (Tiles(tiles, level), table))


def severity(report: Report) -> Section | None:
    """Give the errors by severity band."""
    evaluation, points = report.evaluation, report.evaluation.points
    if not evaluation.bands:
        return None
    level = level_of(evaluation)
    figures: list[Drawing] = []
    if points is not None:
        told = (
            "Each mark is one estimate with its prediction interval; points that share a total "
            f"stand a little apart. n = {evaluation.n_scored}."
        )
        figures.append(Drawing(charts.scatter(evaluation, points), told))
    if any_computed(row.figures["mae"] for row in evaluation.bands):
        told = (
            "Size and direction of the error by the severity that the person reported, with "
            f"{level} intervals. Bias above zero overestimates."
        )
        figures.append(Drawing(charts.error_by_band(evaluation), told))
    blocks: list[Block] = [
        Words("How large is the error, and which way does it go, in mild and in severe states?"),
        *([Abreast(tuple(figures))] if figures else []),
        _bands(evaluation),
        *_pulled(evaluation),
    ]
    return Section(
        "severity", "Estimates against questionnaires", "Error by severity", tuple(blocks)
    )


def _bands(evaluation: Evaluation) -> Table:
    keys = list(evaluation.bands[0].figures)
    rows = tuple(
        Row(
            row.band,
            (row.n - row.abstained, row.abstained, *(row.figures[key] for key in keys)),
            (f"{row.lower}–{row.upper}",),
        )
        for row in evaluation.bands
    )
    return Table(
        "bands",
        "Error by severity",
        f"Error by severity band of the questionnaire, with {level_of(evaluation)} intervals. n "
        "counts scored estimates.",
        "Band",
        (Column("n", "n"), Column("abstained", "Abstained"), *map(metric_column, keys)),
        rows,
    )


def _pulled(evaluation: Evaluation) -> list[Block]:
    """Say whether estimates are drawn to the middle, from the two ends of the scale."""
    ends = [row for row in evaluation.bands if row.figures["bias"].computed]
    points = evaluation.points
    if len(ends) < 2 or points is None:
        return []
    low, high = ends[0].figures["bias"].lower, ends[-1].figures["bias"].upper
    drawn = (
        "Here the lowest totals are estimated too high and the highest too low."
        if low is not None and high is not None and low > 0 > high
        else "Here the intervals at the two ends of the scale do not show it."
    )
    told = (
        "Each point is one estimate; a lean downwards means that estimates are drawn to the "
        f"middle. n = {evaluation.n_scored}."
    )
    table = _ends(evaluation, ends[0], ends[-1])
    return [
        Heading("Drawn to the middle?"),
        Words(
            "An estimate that is unsure stays near the mean, so that mild states look worse and "
            f"severe ones milder than they are; even a calibrated one does so. {drawn}"
        ),
        Abreast((Drawing(curves.pull(evaluation, points), told), table)),
    ]


def _ends(evaluation: Evaluation, lowest: BandRow, highest: BandRow) -> Table:
    """Give the bias at both ends of the scale, and the slopes where there are any."""
    biases = {"bias_lowest": lowest, "bias_highest": highest}
    rows = [
        Row(
            f"Bias, {row.band} ({row.lower}–{row.upper})",
            (row.figures["bias"],),
            key=key,
            signed=True,
        )
        for key, row in biases.items()
    ]
    slopes = [key for key in ("slope", "error_slope") if key in evaluation.figures]
    rows += [Row(metric_title(key), (evaluation.figures[key],), key=key) for key in slopes]
    return Table(
        "regression-to-the-mean",
        "Regression to the mean",
        f"Bias at both ends of the scale, with {level_of(evaluation)} intervals.",
        "Where",
        (ONE_FIGURE,),
        tuple(rows),
        "inline",
    )


def cut_offs(report: Report) -> Section | None:
    """Give the AUC at every cut-off."""
    evaluation = report.evaluation
    if not any_computed(row.auc for row in evaluation.cut_offs):
        return None
    n = evaluation.n_scored
    rows = tuple(
        Row(f"≥ {row.cut_off}", (row.positives, row.auc), key=str(row.cut_off))
        for row in evaluation.cut_offs
    )
    table = Table(
        "cut-offs",
        "AUC at every cut-off",
        f"AUC at every cut-off, with {level_of(evaluation)} intervals; n = {n} in each row.",
        "Total",
        (Column("positives", "Positives"), Column("auc", "AUC")),
        rows,
        "inline",
    )
    told = (
        f"AUC for totals at or above each cut-off, and how many people are (n = {n}). Where few "
        "are, the interval is what counts."
    )
    return Section(
        "cut-offs",
        "Telling cases apart at every cut-off",
        "Every cut-off",
        (
            Words(
                "Of two people, one at or above a cut-off and one below, how often does the first "
                "have the higher estimate? 0.5 is chance, 1 is always."
            ),
            Abreast((Drawing(charts.auc_by_cut_off(evaluation), told), table)),
        ),
    )


COUNTS = {
    "tp": "True positives",
    "fn": "False negatives",
    "fp": "False positives",
    "tn": "True negatives",
}


def thresholds(report: Report) -> Section | None:
    """Give what happens when everybody above a threshold is called a case."""
    evaluation = report.evaluation
    if not evaluation.thresholds:
        return None
    keys = list(evaluation.thresholds[0].figures)
    rows = tuple(
        Row(
            row.chosen,
            (
                f"≥ {row.cut_off}",
                row.threshold,
                *(row.counts.get(key) for key in COUNTS),
                *(row.figures[key] for key in keys),
            ),
        )
        for row in evaluation.thresholds
    )
    columns = (
        Column("case", "Case"),
        Column("threshold", "Called from", digits=1),
        *(Column(key, title) for key, title in COUNTS.items()),
        *map(metric_column, keys),
    )
    caption = (
        f"Calling somebody a case from an estimate on, with {level_of(evaluation)} intervals; "
        f"counts are rows, n = {evaluation.n_scored}. PPV and NPV hold for this share of cases "
        "only."
    )
    title = "Cases found and missed at a threshold"
    table = Table("thresholds", title, caption, "Threshold", columns, rows)
    words = Words(
        "If everybody from a threshold on were called a case, how many cases would be found "
        "(sensitivity), how many others left alone (specificity), and how often would a call be "
        "right (PPV)?"
    )
    return Section("thresholds", title, "Thresholds", (words, table))


def probabilities(report: Report) -> Section | None:
    """Hold the probabilities P(total >= k) against the share of cases."""
    evaluation = report.evaluation
    shown = evaluation.reliability
    if not shown:
        return None
    level, used = level_of(evaluation), evaluation.instrument
    drawn = curves.drawn_curves(shown, used)
    keys = list(shown[0].figures)
    summary = Table(
        "reliability",
        "Calibration of the probabilities",
        f"Expected calibration error and Brier score (0 is perfect), with {level} intervals.",
        "Total",
        tuple(map(metric_column, keys)),
        tuple(Row(f"≥ {each.cut_off}", tuple(each.figures[key] for key in keys)) for each in shown),
        "inline",
    )
    told = (
        "Predicted probability against the share of people who were cases; on the broken line "
        f"both agree. Larger marks rest on more people; {level} intervals."
    )
    items = [Drawing(curves.reliability(drawn, level), told)] if drawn else []
    blocks: list[Block] = [
        Words("When the model says 30%, are about 30 in 100 such people cases?"),
        Abreast((*items, summary)),
    ]
    if any(each.bins for each in shown):
        blocks.append(_bins(evaluation))
    return Section("probabilities", "Are the probabilities right?", "Probabilities", tuple(blocks))


def _bins(evaluation: Evaluation) -> Table:
    rows = tuple(
        Row(f"{number}", (one.n, one.predicted, one.observed), group=f"total ≥ {curve.cut_off}")
        for curve in evaluation.reliability
        for number, one in enumerate(curve.bins, 1)
    )
    columns = (
        Column("rows", "Rows"),
        Column("predicted", "Mean probability"),
        Column("observed", "Share of cases"),
    )
    return Table(
        "reliability-bins",
        "The points of the curves",
        f"Rows of like probability and the share of cases among them, {level_of(evaluation)} "
        "intervals.",
        "Bin",
        columns,
        rows,
        "inline",
        folded=True,
    )


def intervals(report: Report) -> Section | None:
    """Give how often the prediction intervals hold the total."""
    evaluation = report.evaluation
    level, n = level_of(evaluation), evaluation.n_scored
    curve = [row.coverage for row in evaluation.calibration]
    covered = [row.figures["coverage"] for row in evaluation.bands if "coverage" in row.figures]
    figures: list[Drawing] = []
    if len(curve) > 1 and any_computed(curve):
        told = (
            "Share of totals inside the interval, at each coverage that the interval promises "
            f"(n = {n}, {level} intervals)."
        )
        figures.append(Drawing(charts.calibration(evaluation), told))
    if any_computed(covered):
        told = (
            "Coverage by severity: an interval that holds on average may still fail the most "
            f"severe ({level} intervals; n under each band)."
        )
        figures.append(Drawing(charts.coverage_by_band(evaluation), told))
    if not figures:
        return None
    rows = tuple(
        Row(f"{row.nominal:g}", (row.coverage, row.width)) for row in evaluation.calibration
    )
    table = Table(
        "intervals",
        "Nominal and observed coverage",
        f"Nominal and observed coverage, and the width it takes; n = {n} in each row.",
        "Nominal",
        (Column("coverage", "Observed"), Column("width", "Mean width, points")),
        rows,
        "inline",
    )
    blocks: list[Block] = [
        Words("Does an interval that promises to hold the total of 90 in 100 people do so?"),
        Abreast(tuple(figures)),
        *([table] if len(rows) > 1 else []),
    ]
    return Section("intervals", "Do the intervals keep their promise?", "Intervals", tuple(blocks))


def abstaining(report: Report) -> Section | None:
    """Give how the error falls when the least sure estimates are left out."""
    curve = report.evaluation.risk_coverage
    if curve is None:
        return None
    table = Table(
        "risk-coverage",
        "Area under the risk-coverage curve",
        f"Mean error over all shares, points, with {level_of(report.evaluation)} intervals; lower "
        "is better.",
        "Left out first",
        (Column("aurc", "AURC"),),
        (
            Row(f"the least sure: {curve.order}", (curve.aurc,), key="aurc"),
            Row("anybody, at random", (curve.random,), key="random"),
        ),
        "inline",
    )
    told = (
        "Error of those that would still be scored, the surest first. The curve ends at the "
        "share that the model scored."
    )
    items = [Drawing(curves.risk_coverage(curve), told)] if curve.shares else []
    words = Words(
        "Would the error fall if only the estimates that the model is surest of were used?"
    )
    return Section(
        "abstaining",
        "Does the model know when it is unsure?",
        "Abstaining",
        (words, Abreast((*items, table))),
    )
