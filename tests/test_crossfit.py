from dataclasses import replace

import numpy as np
import pytest
from tests import tuning

from sottovoce.backbones import load_backbone
from sottovoce.cohort import assign_folds, real_folds
from sottovoce.crossfit import trainings, tune
from sottovoce.errors import DataError

N = 24


@pytest.fixture(scope="module")
def backbone(tiny_bert):
    return load_backbone(str(tiny_bert))


def users(n_people=N):
    return [f"p{number % n_people:02d}" for number in range(N)]


def jobs_of(backbone, people, **changes):
    settings = tuning.settings_for("a-backbone", **changes)
    examples = tuning.examples(backbone)
    folds = assign_folds(people, settings.finetune.n_folds, settings.seed, examples.totals)
    return folds, trainings(examples, people, settings, folds, None)


@pytest.mark.parametrize("calibration", ["cross_fit", "held_out"])
@pytest.mark.parametrize("n_people", [24, 9])
def test_no_person_is_on_two_sides_of_a_training(backbone, calibration, n_people):
    people = np.array(users(n_people))
    _, jobs = jobs_of(backbone, people.tolist(), calibration=calibration)
    for job in jobs:
        sides = [set(people[rows]) for rows in (job.training, job.validation, job.held_out)]
        assert sum(map(len, sides)) == len(set.union(*sides)) == n_people
        assert sides[0] and sides[1]


def test_cross_fitting_leaves_everybody_out_once_and_ends_with_everybody(backbone):
    folds, jobs = jobs_of(backbone, users())
    assert [job.name for job in jobs] == ["fold-0", "fold-1", "fold-2", "final"]
    for fold, job in enumerate(jobs[:-1]):
        assert (folds[job.held_out] == fold).all()
    assert sorted(row for job in jobs for row in job.held_out) == list(range(N))
    assert not len(jobs[-1].held_out)


def test_a_held_out_fold_costs_one_training(backbone):
    folds, jobs = jobs_of(backbone, users(), calibration="held_out")
    (job,) = jobs
    assert job.held_out.tolist() == np.flatnonzero(folds == 0).tolist()


def test_without_a_validation_share_everybody_is_trained_on(backbone):
    _, jobs = jobs_of(backbone, users(), validation_share=0)
    assert [len(job.validation) for job in jobs] == [0] * 4
    assert len(jobs[-1].training) == N


@pytest.mark.parametrize("calibration", ["cross_fit", "held_out"])
def test_every_held_out_score_has_folds_that_saw_nothing_of_it(backbone, calibration):
    settings = tuning.settings_for("a-backbone", calibration=calibration, epochs=1)
    told = []
    tuning_of = tune(
        backbone,
        tuning.examples(backbone),
        users(),
        settings,
        advance=lambda done, total, _: told.append((done, total)),
    )
    n_jobs, n_rows = (4, N) if calibration == "cross_fit" else (1, N // 3)
    assert tuning_of.rows.tolist() == sorted(set(tuning_of.rows.tolist()))
    assert len(tuning_of.rows) == len(tuning_of.held_out) == len(tuning_of.folds) == n_rows
    assert len(set(tuning_of.folds)) == 3
    assert told == sorted(told)
    assert told[-1] == (N * n_jobs, N * n_jobs)
    assert {row["job"] for row in tuning_of.history} >= {"final"}


def test_fewer_people_than_folds_is_refused(backbone):
    settings = tuning.settings_for("a-backbone", n_folds=5)
    with pytest.raises(DataError, match="3 people cannot be split into 5 folds"):
        tune(backbone, tuning.examples(backbone), users(3), settings)


@pytest.mark.parametrize("calibration", ["cross_fit", "held_out"])
def test_pseudolabels_are_trained_on_every_time_and_judge_nothing(backbone, calibration):
    plain = tuning.examples(backbone)
    pseudo = np.arange(N) % 4 == 3
    examples = replace(plain, reported=np.where(pseudo, np.nan, plain.totals))
    settings = tuning.settings_for("a-backbone", calibration=calibration)
    folds = real_folds(users(), 3, settings.seed, examples.yardstick)
    assert set(folds[pseudo]) == {-1}
    for job in trainings(examples, users(), settings, folds, None):
        assert set(np.flatnonzero(pseudo)) <= set(job.training)
        assert len(job.validation) >= 1
        assert len(job.held_out) or job.name == "final"
