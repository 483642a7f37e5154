import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from tests.browser import rendered, sideways
from tests.made import cohort, estimate
from tests.reported import FEW, checklists, whole

from sottovoce import errors
from sottovoce.errors import MissingExtraError
from sottovoce.evaluation import compare, evaluate
from sottovoce.evaluation.suite import STATUSES
from sottovoce.report import Example, Report, write_report
from sottovoce.report.canvas import cleaned
from sottovoce.report.page import chance


@pytest.fixture(scope="module")
def report() -> Report:
    return whole()


@pytest.fixture(scope="module")
def page(report, tmp_path_factory):
    return write_report(tmp_path_factory.mktemp("report") / "report.html", report, checklists())


@pytest.fixture(scope="module")
def text(page) -> str:
    return page.read_text(encoding="utf-8")


class Outline(HTMLParser):
    """What a reader or a screen reader meets: tags, ids, headings and words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    def found(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def said(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


# The file ----------------------------------------------------------------------------------------


def test_the_file_asks_the_network_for_nothing(text):
    assert "http" not in text
    assert "//" not in re.sub(r"/\*.*?\*/", "", text)
    assert not Outline(text).found("link")
    assert not Outline(text).found("script")


def test_the_same_report_is_the_same_file(page, report, tmp_path):
    again = write_report(tmp_path / "again.html", report, checklists())
    assert again.read_text("utf-8") == page.read_text("utf-8")


def test_text_from_the_caller_is_escaped(text):
    assert "<script" not in text
    assert "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;" in text


def test_ids_are_unique_and_anchors_lead_somewhere(text):
    outline = Outline(text)
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    anchors = {each["href"] for each in outline.found("a")}
    assert {anchor.removeprefix("#") for anchor in anchors} <= set(ids)
    uses = {each["href"].removeprefix("#") for each in outline.found("use")}
    assert uses <= set(ids)


def test_a_report_never_says_nan(text):
    assert not re.search(r"\bnan\b|\binf\b|None", Outline(text).said)


def test_a_failed_report_leaves_the_old_one_and_no_half_file(report, tmp_path, monkeypatch):
    def full_disk(self, target):
        raise OSError

    (tmp_path / "report.html").write_text("old", encoding="utf-8")
    monkeypatch.setattr("pathlib.Path.replace", full_disk)
    with pytest.raises(OSError):  # noqa: PT011 - any
        write_report(tmp_path / "report.html", report)
    assert [path.read_text("utf-8") for path in tmp_path.iterdir()] == ["old"]


def test_without_the_extra_one_sentence_says_what_to_install(report, tmp_path, monkeypatch):
    def missing(module, *, what, extra):
        raise MissingExtraError(what, f"pip install 'sottovoce[{extra}]'")

    monkeypatch.setattr("sottovoce.report.page.require", missing)
    with pytest.raises(errors.MissingExtraError, match=r"pip install 'sottovoce\[report\]'"):
        write_report(tmp_path / "report.html", report)


# What it says ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "phrase",
    [
        "Simulated cohort.",
        "made-up",
        "On average an estimate lies",
        "never a diagnosis",
        "A total cannot clear suicide risk",
        "1 March 2025 to 2 June 2025",
        "too little conversation",
        "no estimate for this person",
        "Suppressed: fewer than 10 people",
        "No table by story: 80 different values, more than 20.",
        "not computed: the estimates are all the same",
        "200 resamples",
        "two cores",
        "not installed",
        "Jokes.",
        "none: too little conversation",
        "Here the lowest totals are estimated too high and the highest too low.",
        "3 checks: 1 pass, 1 warn, 1 fail.",
        "not computed: no validation people were given",
        "TRIPOD+AI: 1 of 2 answered by this run",
        "2a Say where the data come from. open for the authors",
        "Nobody wrote any.",
        "the least sure: width of the interval",
        "says nothing by itself",
    ],
)
def test_the_report_says(text, phrase):
    assert phrase in Outline(text).said


def test_the_headline_figures_are_those_of_the_evaluation(text, report):
    said = Outline(text).said
    for key in ("mae", "rmse", "r", "auc_10", "coverage", "width"):
        figure = report.evaluation.figures[key]
        assert figure.number() in said
        assert figure.interval() in said
    assert f"n = {report.evaluation.n_scored}" in said.replace("\u00a0", " ")


def test_every_cut_off_stands_in_its_table_with_its_positives(text, report):
    said = Outline(text).said
    for row in report.evaluation.cut_offs:
        assert f"≥ {row.cut_off} {row.positives} {row.auc.number()}" in said


def test_differences_whose_interval_leaves_out_zero_are_bold(text, report):
    shown = [each for row in report.comparison.rows for each in row.differences.values()]
    second = report.ablation.rows[1]
    shown += [second.to_before["mae"], second.to_first["mae"], second.to_first["r"]]
    rows = [row for table in report.evaluation.groups for row in table.rows]
    shown += [gap.difference for row in rows for gap in row.gaps.values()]
    changes = [row.figures.get(key) for row in report.robustness.shifts for key in CHANGES]
    expected = [
        figure.number(2, sign=True)
        for figure in (*shown, *filter(None, changes))
        if figure.lower is not None and (figure.lower > 0 or figure.upper < 0)
    ]
    assert re.findall(r'class="clear">([^<]*)<', text) == expected
    assert len(expected) > 4


CHANGES = ("change", "mae_change")


def test_findings_are_told_by_word_and_by_sign_besides_colour(text):
    found = re.findall(r'class="status (\w+)"><span aria-hidden="true">(.)</span> (\w+)<', text)
    assert [(kind, word) for kind, _, word in found] == [(each, each) for each in STATUSES]
    assert len({sign for _, sign, _ in found}) == len(STATUSES)


def test_missed_cases_come_first_in_every_table_by_group(text):
    heads = re.findall(r"<caption><span>By .*?</thead>", text, re.DOTALL)
    assert len(heads) == 3
    for head in heads:
        columns = re.findall(r'scope="col"[^>]*>([^<]*)<', head)
        assert columns[:4] == ["Group", "People", "Abstained", "Missed cases"]


def test_gaps_show_their_adjusted_chance(text):
    said = Outline(text).said
    assert "+0.30 [+0.20, +0.40] < 0.001 0.004" in said
    assert "0.00 [−0.10, +0.10] 0.200 0.404" in said


# Whom it serves ----------------------------------------------------------------------------------


def test_figures_have_a_label_and_tables_a_caption_and_scopes(text):
    outline = Outline(text)
    drawings = outline.found("svg")
    assert len(drawings) == DRAWINGS
    assert all(each["role"] == "img" and each["aria-label"] for each in drawings)
    assert all(each.get("scope") in SCOPES for each in outline.found("th"))
    assert len(outline.found("caption")) == len(outline.found("table"))
    assert outline.found("html")[0]["lang"] == "en"


DRAWINGS = 14
SCOPES = ("row", "col", "rowgroup")


def test_what_scrolls_and_what_unfolds_can_be_reached_with_the_keyboard(text):
    outline = Outline(text)
    regions = [each for each in outline.found("div") if each.get("class") == "scroll"]
    assert len(regions) == len(outline.found("table"))
    assert all(each["tabindex"] == "0" and each["aria-label"] for each in regions)
    assert len(outline.found("summary")) == len(outline.found("details")) == FOLDED


FOLDED = 4


def luminance(colour: str) -> float:
    """Give the relative luminance of a colour (WCAG 2.2)."""
    whole = colour * 2 if len(colour) == 3 else colour
    parts = [int(whole[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts
    ]
    return sum(share * each for share, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_text_stands_out_from_its_ground(text):
    style = text[text.index("<style>") : text.index("</style>")]
    named = dict(re.findall(r"--([\w-]+): #(\w+);", style))
    style = re.sub(r"\.key[^}]*}", "", style)  # marks without words
    style = re.sub(r"var\(--([\w-]+)\)", lambda found: "#" + named.get(found[1], ""), style)
    grounds = {"fff", *re.findall(r"[^-]background: #(\w+)", style)}
    inks = (named[each] for each in ("ink", "muted", "blue-dark"))
    assert min(contrast(ink, ground) for ink in inks for ground in grounds) >= 4.5
    rules = [
        dict(re.findall(r"(?:^|[\s;{])(color|background): #(\w+)", r)) for r in style.split("}")
    ]
    own = [each for each in rules if len(each) == 2]
    assert len(own) == OWN_COLOURS
    assert min(contrast(each["color"], each["background"]) for each in own) >= 4.5


OWN_COLOURS = 5
"""Rules that choose both: the page, the banner, three findings."""


def test_headings_go_down_one_step_at_a_time(text):
    levels = [int(tag[1]) for tag, _ in Outline(text).tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(deeper <= level + 1 for level, deeper in pairwise(levels))


# What vanishes ------------------------------------------------------------------------------------


def sections(text: str) -> set[str]:
    return {str(each["id"]) for each in Outline(text).found("section")}


def test_sections_without_content_do_not_appear(report, tmp_path):
    totals, estimates, users = cohort(40)
    bare = evaluate(
        totals, [each.score for each in estimates], users, instrument="phq-9", settings=FEW
    )
    text = write_report(tmp_path / "bare.html", Report("Bare", bare)).read_text(encoding="utf-8")
    assert sections(text) == {
        "result",
        "study",
        "severity",
        "cut-offs",
        "thresholds",
        "accounting",
        "limits",
        "provenance",
    }
    assert "Simulated" not in text
    ids = {"#" + name for name in sections(text)}
    assert {each["href"] for each in Outline(text).found("a")} <= ids | {"#result"}


def test_a_full_report_has_every_section(text):
    assert sections(text) == {
        "result",
        "comparison",
        "ablation",
        "severity",
        "cut-offs",
        "thresholds",
        "probabilities",
        "intervals",
        "abstaining",
        "groups",
        "leaks",
        "robustness",
        "people",
        "study",
        "accounting",
        "limits",
        "checklists",
        "provenance",
    }


@pytest.mark.parametrize(
    ("totals", "scores", "reason"),
    [
        ([3, 12, 20], [4.0, 10.0, 18.0], "too few people (3, at least 10 are needed)"),
        ([number % 28 for number in range(40)], [None] * 40, "every estimate abstained"),
        ([number % 28 for number in range(40)], [float("nan")] * 40, "not a finite number"),
    ],
)
def test_a_report_of_nothing_computed_draws_nothing_and_says_why(totals, scores, reason, tmp_path):
    result = evaluate(totals, scores, range(len(totals)), instrument="phq-9", settings=FEW)
    table = compare(
        totals, {"a": scores, "b": scores}, range(len(totals)), reference="a",
        instrument="phq-9", settings=FEW,
    )  # fmt: skip
    report = Report("Nothing", result, comparison=table)
    text = write_report(tmp_path / "report.html", report).read_text(encoding="utf-8")
    assert reason in Outline(text).said
    assert not Outline(text).found("svg")
    assert "study" not in sections(text)


def test_notes_are_told_where_there_is_no_table_by_group(tmp_path):
    story = [f"word {number}" for number in range(40)]
    totals = [number % 20 for number in range(40)]
    result = evaluate(totals, totals, range(40), {"story": story}, instrument="phq-9", settings=FEW)
    text = write_report(tmp_path / "report.html", Report("Notes", result)).read_text("utf-8")
    assert "groups" not in sections(text)
    assert "No table by story: 40 different values" in Outline(text).said


def test_one_class_draws_no_auc(tmp_path):
    result = evaluate([0, 1] * 20, [1.0, 2.0] * 20, range(40), instrument="phq-9", settings=FEW)
    text = write_report(tmp_path / "report.html", Report("Low", result)).read_text("utf-8")
    assert "cut-offs" not in sections(text)


def test_predictions_beyond_the_range_and_many_people_can_be_drawn(tmp_path):
    totals = [number % 28 for number in range(400)]
    scores = [total * 1.4 - 5 for total in totals]
    result = evaluate(totals, scores, range(400), instrument="phq-9", settings=FEW)
    text = write_report(tmp_path / "report.html", Report("Wide", result)).read_text("utf-8")
    assert "severity" in sections(text)


def test_rare_cases_are_drawn_hollow_and_explained(tmp_path):
    totals = [23] * 3 + [number % 20 for number in range(57)]
    scores = [total + (number % 5) for number, total in enumerate(totals)]
    result = evaluate(totals, scores, range(60), instrument="phq-9", settings=FEW)
    text = write_report(tmp_path / "report.html", Report("Rare", result)).read_text("utf-8")
    assert "without interval" in text
    assert "no interval: fewer than 5 in the smaller class" in Outline(text).said


@pytest.mark.parametrize("key", ["gad-7", "phq-8"])
def test_another_instrument_draws_its_own_range(key, tmp_path):
    totals = [number % 20 for number in range(60)]
    estimates = [estimate(str(n), float(total), instrument=key) for n, total in enumerate(totals)]
    result = evaluate(totals, estimates, range(60), instrument=key, settings=FEW)
    example = Example("Ada", (), estimates[3], 4)
    page = write_report(tmp_path / "report.html", Report("Other", result, examples=(example,)))
    text = page.read_text("utf-8")
    said = Outline(text).said
    assert f"{result.instrument.title} total" in said
    assert "27" not in re.findall(r"on a scale from 0 to (\d+)", said)
    assert "study" not in sections(text)


# Cleaning ----------------------------------------------------------------------------------------


def test_cleaning_names_ids_and_drops_addresses():
    svg = (
        '<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C" "http://x">'
        '<svg xmlns="http://a" xmlns:xlink="http://b" width="3pt" height="2pt" viewBox="0 0 3 2"'
        ' version="1.1"><metadata>http://c</metadata><!-- text --><defs>'
        '<style type="text/css">*{}</style><path id="m1"/></defs>'
        '<g clip-path="url(#p1)"><use xlink:href="#m1"/></g></svg>\n'
    )
    assert cleaned(svg, "auc", 'a "label"') == (
        '<svg viewBox="0 0 3 2" role="img" aria-label="a &quot;label&quot;"><defs>'
        '<path id="auc-m1"/></defs><g clip-path="url(#auc-p1)"><use href="#auc-m1"/></g></svg>'
    )


# In a browser ------------------------------------------------------------------------------------


def test_a_browser_shows_the_report(page, report):
    dom = rendered(page)
    outline = Outline(dom)
    assert "http" not in dom
    assert report.title in outline.said
    assert len(outline.found("svg")) == DRAWINGS
    assert len(outline.found("table")) == len(Outline(page.read_text("utf-8")).found("table"))
    assert report.evaluation.figures["mae"].number() in outline.said
    assert "深い" in outline.said
    assert not outline.found("script")


@pytest.mark.parametrize("width", [390, 320, 1280])
def test_the_page_does_not_scroll_sideways(page, tmp_path, width):
    assert sideways(page, tmp_path, width=width) <= 0


@pytest.mark.parametrize(
    ("probability", "text"), [(0.9975, "> 99%"), (0.0025, "< 1%"), (0.004, "< 1%"), (0.62, "62%")]
)
def test_a_chance_that_is_not_certain_is_not_shown_as_certain(probability, text):
    assert chance(probability) == text
