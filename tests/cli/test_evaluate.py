import json
from datetime import timedelta

import pytest
from tests.browser import rendered
from tests.made import NOON, cohort, estimate, response

from sottovoce.conversations import response_record, write_json_lines
from sottovoce.errors import DataError
from sottovoce.estimates import estimate_record

pytestmark = pytest.mark.usefixtures("quick_figures")


@pytest.fixture
def files(tmp_path):
    totals, estimates, users = cohort(60)
    labels = [response(user, total) for user, total in zip(users, totals, strict=True)]
    write_json_lines(tmp_path / "scores.jsonl", map(estimate_record, estimates))
    write_json_lines(tmp_path / "labels.jsonl", map(response_record, labels))
    write_json_lines(
        tmp_path / "people.jsonl",
        (
            {
                "user_id": user,
                "age": 20 + number,
                "gender": "woman" if number % 2 else "man",
                "story": f"word {number}",
            }
            for number, user in enumerate(users)
        ),
    )
    return tmp_path


def evaluated(run, files, *more):
    return run(
        "evaluate", files / "scores.jsonl", files / "labels.jsonl", "--out", files / "out", *more
    )


def test_it_prints_the_result_and_names_the_next_command(run, files):
    done = evaluated(run, files)
    assert done.exit_code == 0
    assert "PHQ-9: 54 scored of 60 pairs, 60 people" in done.stdout
    assert "Mean absolute error (points)" in done.stdout
    assert "moderately severe (15–19)" in done.stdout
    assert "Abstained: 6, too little conversation" in done.stdout
    assert done.stderr.strip() == f"Next: python -m webbrowser {files / 'out' / 'report.html'}"


def test_it_prints_cut_offs_probabilities_and_groups_in_a_hundred_columns(run, files):
    done = evaluated(run, files, "--people", files / "people.jsonl")
    words = " ".join(done.stdout.split())
    assert "AUC at every cut-off, DeLong's intervals, n = 54" in words
    assert "Youden's J on" in words
    assert "people were given)" in words
    assert "P(total ≥ k) n Calibration error Brier score Interval" in words
    assert "Group People Missed ≥ 10 Gap p MAE Gap p" in words
    assert "Gap: the group minus everybody else." in words
    tables = [line for line in done.stdout.splitlines() if not line.startswith("Report")]
    assert max(map(len, tables)) <= 100
    assert "…" not in done.stdout


def validation(files, first):
    """Write pairs as an earlier evaluation did, of people counted from `first`."""
    _, estimates, users = cohort(40, seed=8)
    totals = [3, 14] * 20
    rows = [
        {"user_id": f"v{n + first}" if first else user, "instrument": "phq-9", "total": total}
        | {"score": each.score, "abstained": each.abstained}
        for n, (total, each, user) in enumerate(zip(totals, estimates, users, strict=True))
    ]
    write_json_lines(files / "pairs.jsonl", rows)
    return "--validation", files / "pairs.jsonl"


def test_other_people_may_choose_a_threshold(run, files):
    done = evaluated(run, files, *validation(files, first=1), "--json")
    figures = json.loads(done.stdout)
    assert [row["chosen"] for row in figures["thresholds"]] == [
        "the questionnaire's own cut-off",
        "Youden's J on 36 validation rows",
    ]
    assert figures["thresholds"][1]["sensitivity"]["value"] is not None
    assert "--validation pairs.jsonl" in figures["command"]


def test_an_earlier_evaluations_own_pairs_are_taken(run, files):
    evaluated(run, files)
    pairs = files / "out" / "pairs.jsonl"
    done = evaluated(run, files, "--validation", pairs, "--force")
    assert done.exit_code == 1
    assert "60 of the validation people are among the people who are judged" in done.stderr


def test_people_who_are_judged_may_not_choose_and_are_not_named(run, files):
    done = evaluated(run, files, *validation(files, first=0))
    assert done.exit_code == 1
    assert "40 of the validation people are among the people who are judged" in done.stderr
    assert "p001" not in done.output
    assert done.stderr.count("\n") == 1
    assert not (files / "out").exists()


def test_it_writes_figures_pairs_and_a_report(run, files):
    evaluated(run, files, "--people", files / "people.jsonl", "--simulated")
    out = files / "out"
    assert sorted(path.name for path in out.iterdir()) == [
        "contents.json",
        "evaluation.json",
        "figures",
        "pairs.jsonl",
        "report.html",
        "tables",
    ]
    assert {"scatter.svg", "scatter.pdf"} <= {path.name for path in (out / "figures").iterdir()}
    assert {"metrics.csv", "groups-age.tex"} <= {path.name for path in (out / "tables").iterdir()}
    figures = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
    assert figures["metrics"]["mae"]["lower"] < figures["metrics"]["mae"]["value"]
    assert [table["column"] for table in figures["groups"]] == ["age", "gender"]
    assert figures["pairing"]["pairs"] == 60
    assert figures["command"] == (
        "sottovoce evaluate scores.jsonl labels.jsonl --people people.jsonl --out out --simulated"
    )
    pairs = (out / "pairs.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(pairs) == 60
    assert json.loads(pairs[0])["user_id"] == "p000"


def test_columns_that_are_no_groups_are_named(run, files):
    done = evaluated(run, files, "--people", files / "people.jsonl")
    assert "No table by story: 60 different values, more than 20." in done.stdout


def test_only_the_pairs_hold_ids(run, files):
    evaluated(run, files, "--people", files / "people.jsonl")
    written = [path for path in (files / "out").rglob("*") if path.is_file()]
    assert [path.name for path in written if b"p001" in path.read_bytes()] == ["pairs.jsonl"]


def test_a_report_that_fails_leaves_nothing_half_written(run, files, monkeypatch):
    def full_disk(table):
        raise DataError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr("sottovoce.report.folder.as_csv", full_disk)
        assert evaluated(run, files).exit_code == 1
    assert list((files / "out").iterdir()) == []
    assert evaluated(run, files).exit_code == 0


def test_force_replaces_a_report_and_leaves_what_is_not_its_own(run, files):
    evaluated(run, files, "--people", files / "people.jsonl")
    (files / "out" / "notes.txt").write_text("mine", encoding="utf-8")
    assert (files / "out" / "tables" / "groups-age.csv").exists()
    assert evaluated(run, files, "--force").exit_code == 0
    assert not (files / "out" / "tables" / "groups-age.csv").exists()
    assert (files / "out" / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_json_is_one_object_and_the_same_as_the_file(run, files):
    done = evaluated(run, files, "--json")
    printed = json.loads(done.stdout)
    assert printed == json.loads((files / "out" / "evaluation.json").read_text(encoding="utf-8"))
    assert printed["report"] == str(files / "out" / "report.html")


def test_results_are_not_overwritten_without_force(run, files):
    assert evaluated(run, files).exit_code == 0
    again = evaluated(run, files)
    assert again.exit_code == 1
    assert again.stderr.strip().endswith("it exists already; add --force or name another output")
    assert evaluated(run, files, "--force").exit_code == 0


def test_an_output_that_is_a_file_is_refused(run, files):
    (files / "out").write_text("mine", encoding="utf-8")
    done = evaluated(run, files, "--force")
    assert (done.exit_code, (files / "out").read_text(encoding="utf-8")) == (1, "mine")
    assert "this is a file; name a folder" in done.stderr


def test_the_report_opens_in_a_browser(run, files):
    evaluated(run, files, "--people", files / "people.jsonl", "--simulated")
    dom = rendered(files / "out" / "report.html")
    assert "Simulated cohort." in dom
    assert "PHQ-9 estimates against questionnaires" in dom
    assert "18 to under 30" in dom
    assert "http" not in dom


def test_it_needs_an_output(run, files):
    done = run("evaluate", files / "scores.jsonl", files / "labels.jsonl")
    assert done.exit_code == 2
    assert "--out" in done.stderr


def test_help_shows_examples_and_the_bins_that_are_used(run):
    from sottovoce.evaluation.groups import AGE_EDGES, MOST_GROUPS

    done = run("evaluate", "--help")
    assert "sottovoce evaluate scores.jsonl labels.jsonl --out evaluation" in done.stdout
    words = " ".join(done.stdout.split())
    assert "begin at {}, {}, {} and {}".format(*AGE_EDGES) in words
    assert f"more than {MOST_GROUPS} kinds" in words


# What goes wrong ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["scores.jsonl", "labels.jsonl", "people.jsonl"])
@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "the file is empty"),
        (b'{"user_id": "a', "line 1: the JSON ends too early"),
        (b"[1, 2]\n", "line 1: this is a list of 2"),
        (b'{"user_id": NaN}\n', "line 1: NaN is not a number"),
        (b"\x00\x01\x02", "line 1: the file is binary"),
        (b'{"total": 3}\n', "line 1, field"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(run, files, name, content, found):
    (files / name).write_bytes(content)
    done = evaluated(run, files, "--people", files / "people.jsonl")
    assert done.exit_code == 1
    assert found in done.stderr
    assert str(files / name) in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (files / "out").exists()


def test_a_missing_file_is_one_sentence(run, files):
    (files / "labels.jsonl").unlink()
    done = evaluated(run, files)
    assert done.exit_code == 1
    assert "the file cannot be read (No such file or directory); check the name" in done.stderr


def test_files_without_a_pair_say_why_there_is_none(run, files):
    late = [response(f"p{n:03d}", 5, completed_at=NOON + timedelta(days=40)) for n in range(9)]
    write_json_lines(files / "labels.jsonl", map(response_record, late))
    done = evaluated(run, files)
    assert done.exit_code == 1
    assert "no questionnaire could be paired with a score (9: the latest estimate is" in done.stderr
    assert evaluated(run, files, "--look-back", 60).exit_code == 0


@pytest.mark.parametrize("days", [0, -2, "nan"])
def test_a_look_back_that_is_none_is_refused(run, files, days):
    done = evaluated(run, files, "--look-back", days)
    assert done.exit_code == 1
    assert "the look-back is not above 0 days" in done.stderr


def test_scores_of_two_instruments_need_a_choice(run, files):
    both = [estimate(f"p{n:03d}", 9.0, instrument=key) for n in range(20) for key in KEYS]
    write_json_lines(files / "scores.jsonl", map(estimate_record, both))
    done = evaluated(run, files)
    assert done.exit_code == 1
    assert "the scores are of gad-7 and phq-9; choose one with --instrument" in done.stderr
    done = evaluated(run, files, "--instrument", "PHQ9", "--json")
    assert json.loads(done.stdout)["instrument"] == "phq-9"
    assert json.loads(done.stdout)["n_rows"] == 20
    done = evaluated(run, files, "--instrument", "phq-8", "--force")
    assert "no score is of phq-8" in done.stderr


KEYS = ("phq-9", "gad-7")


def test_three_people_are_too_few_and_the_report_says_so(run, files):
    write_json_lines(
        files / "scores.jsonl", (estimate_record(estimate(f"p{n:03d}", 9.0)) for n in range(3))
    )
    done = evaluated(run, files)
    assert done.exit_code == 0
    assert (
        "mae, rmse, bias, r, spearman, ccc, r_corrected, slope, error_slope, r2, auc_10, qwk, "
        "crps, aurc, coverage, width: not computed: "
        "too few people (3, at least 10 are needed)"
    ) in done.stdout
    assert "Questionnaires without an estimate: 57, no estimate for this person" in done.stdout
    assert "too few people" in (files / "out" / "report.html").read_text(encoding="utf-8")


def test_all_abstained_is_a_result_and_not_an_error(run, files):
    write_json_lines(
        files / "scores.jsonl", (estimate_record(estimate(f"p{n:03d}", None)) for n in range(30))
    )
    done = evaluated(run, files, "--json")
    figures = json.loads(done.stdout)
    assert (done.exit_code, figures["n_abstained"]) == (0, 30)
    assert figures["metrics"]["mae"]["reason"] == "every estimate abstained"


def test_errors_and_tables_show_no_id_of_anybody(run, files):
    people = [{"user_id": "secret-person", "age": 3}] * 2
    write_json_lines(files / "people.jsonl", people)
    done = evaluated(run, files, "--people", files / "people.jsonl")
    assert done.exit_code == 1
    assert "secret" not in done.output
