import csv
import io

import numpy as np
import pytest

from sottovoce.evaluation import evaluate
from sottovoce.metrics import Figure
from sottovoce.report import Report
from sottovoce.report import study as published
from sottovoce.report.delimited import as_csv
from sottovoce.report.study import beside_the_study, derived_sd


def judged(totals, scores):
    found = evaluate(totals, scores, range(len(totals)), instrument="phq-9")
    return beside_the_study(Report("Run", found)), found


def test_the_spread_is_the_one_that_gives_r_and_rmse_to_calibrated_estimates():
    generator = np.random.default_rng(0)
    estimates = generator.normal(0, published.R * derived_sd(), 200_000)
    totals = estimates + generator.normal(0, published.RMSE, 200_000)
    assert np.corrcoef(estimates, totals)[0, 1] == pytest.approx(published.R, abs=0.01)
    assert totals.std() == pytest.approx(derived_sd(), rel=0.01)


def test_the_runs_figures_stand_beside_the_studys():
    totals = [number % 28 for number in range(112)]
    section, found = judged(totals, [total + number % 4 for number, total in enumerate(totals)])
    (table,) = section.tables
    rows = {row["key"]: row for row in csv.DictReader(io.StringIO(as_csv(table)))}
    assert float(rows["mae"]["run"]) == found.figures["mae"].value
    assert float(rows["mae"]["study"]) == published.MAE
    lowest = min(row.auc.value for row in found.cut_offs)
    assert float(rows["lowest_auc"]["run"]) == lowest
    assert float(rows["sd"]["run"]) == pytest.approx(np.std(totals, ddof=1))
    assert "derived" in rows["sd"]["remarks"]


def test_the_lowest_auc_is_not_told_where_a_cut_off_has_none():
    totals = [number % 20 for number in range(60)]
    section, _ = judged(totals, [total + number % 4 for number, total in enumerate(totals)])
    (cell,) = [row.cells[1] for row in section.tables[0].rows if row.key == "lowest_auc"]
    assert isinstance(cell, Figure)
    assert "5 of the cut-offs have no AUC" in (cell.reason or "")
