import shutil

import pytest
from tests import recipes

from sottovoce import bundled
from sottovoce.errors import DataError
from sottovoce.estimator import Estimator
from sottovoce.pedigree import find_pedigree
from sottovoce.train import train


@pytest.fixture
def scorer(tiny_run):
    return Estimator.from_pretrained(tiny_run)


def test_the_package_s_estimator_learnt_from_the_bundled_training_people():
    found = find_pedigree(Estimator.from_pretrained())
    assert {each.user_id for each in found.windows} == bundled.users("train")
    assert found.annotated == frozenset()


def test_the_package_keeps_what_was_said_of_its_training_people_out_of_fold():
    found = find_pedigree(Estimator.from_pretrained())
    assert len(found.totals) == len(found.scores) == len(found.windows)
    assert found.totals == tuple(each.total for each in found.windows)
    residuals = sorted(
        total - score for total, score in zip(found.totals, found.scores, strict=True)
    )
    expected = Estimator.from_pretrained().distribution.residuals.tolist()
    assert residuals == pytest.approx(expected, abs=1e-4)


def test_a_run_folder_tells_its_training_people_and_their_out_of_fold_scores(tiny_run, scorer):
    found = find_pedigree(scorer, tiny_run)
    assert len(found.windows) == len(found.scores) == recipes.PEOPLE
    assert found.totals == tuple(each.total for each in found.windows)
    assert found.note == "From whom the model learnt was read by the recipe in its run folder."


def test_a_model_out_of_its_run_folder_has_no_known_people(tiny_run, scorer):
    found = find_pedigree(scorer, tiny_run / "model")
    assert found.windows is None
    assert "not lie in the folder of its run" in found.note


def test_a_run_whose_data_are_gone_has_no_known_people(tiny_run, scorer, tmp_path):
    shutil.copytree(tiny_run, tmp_path / "run")
    found = find_pedigree(scorer, tmp_path / "run")
    assert found.windows is None
    assert "cannot be read" in found.note
    assert str(tmp_path) not in found.note


def test_the_caller_may_name_the_chats(scorer, tmp_path):
    chats, _ = recipes.write_people(tmp_path, 5)
    found = find_pedigree(scorer, tmp_path, chats)
    assert [each.user_id for each in found.windows] == [f"p{number:02d}" for number in range(5)]
    assert found.scores == ()
    assert found.note == "chats.jsonl was named as what the model learnt from."
    with pytest.raises(DataError):
        find_pedigree(scorer, None, tmp_path / "none.jsonl")


def test_a_reader_s_people_were_annotated(tiny_qwen, tmp_path):
    recipes.write_people(tmp_path)
    recipes.write_annotated(tmp_path)
    run = train(recipes.write_recipe(tmp_path, tiny_qwen, **recipes.READER), tmp_path / "run")
    found = find_pedigree(run.estimator, run.folder)
    assert found.annotated == {each.user_id for each in found.windows}
