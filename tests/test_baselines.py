import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from tests import tiny

from sottovoce.backbones import load_backbone
from sottovoce.baselines import embedding_scores, mean_scores, tfidf_scores, user_text
from sottovoce.instruments import PHQ_9

TRAINING, TEST = tiny.labelled_windows(40, seed=3), tiny.labelled_windows(30, seed=4)
TOTALS = np.array([window.total for window in TEST])


def test_the_mean_predictor_gives_everybody_the_training_mean():
    scores = mean_scores(TRAINING, TEST)
    assert scores.tolist() == [np.mean([window.total for window in TRAINING])] * len(TEST)


def test_a_baseline_reads_only_what_the_person_wrote():
    text = user_text(tiny.window("ada", tiny.SAYINGS[:2]))
    assert text == "\n".join(tiny.SAYINGS[:2])


def test_words_that_tell_severity_are_learnt():
    scores = tfidf_scores(TRAINING, TEST, PHQ_9)
    assert np.corrcoef(scores, TOTALS)[0, 1] > 0.6
    assert scores.min() >= PHQ_9.minimum
    assert scores.max() <= PHQ_9.maximum


def test_embeddings_that_tell_severity_are_learnt(tiny_bert):
    told = []
    scores = embedding_scores(
        TRAINING,
        TEST,
        PHQ_9,
        load_backbone(str(tiny_bert)),
        advance=lambda done, total: told.append((done, total)),
    )
    assert np.corrcoef(scores, TOTALS)[0, 1] > 0.5
    assert told[-1] == (70, 70)


def test_no_baseline_looks_at_the_labels_of_the_people_it_scores(tiny_bert):
    unlabelled = [tiny.window(w.user_id, [m.content for m in w.user_messages]) for w in TEST]
    backbone = load_backbone(str(tiny_bert))
    for score in (
        lambda windows: mean_scores(TRAINING, windows),
        lambda windows: tfidf_scores(TRAINING, windows, PHQ_9),
        lambda windows: embedding_scores(TRAINING, windows, PHQ_9, backbone),
    ):
        np.testing.assert_array_equal(score(TEST), score(unlabelled))


def test_the_vocabulary_is_that_of_the_training_people(monkeypatch):
    seen = []
    fit = TfidfVectorizer.fit_transform

    def spy(self, texts, y=None):
        seen.extend(texts)
        return fit(self, texts, y)

    monkeypatch.setattr(TfidfVectorizer, "fit_transform", spy)
    tfidf_scores(TRAINING, TEST[:3], PHQ_9)
    assert set(seen) <= {user_text(window) for window in TRAINING}


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_seed_gives_the_same_scores(seed):
    first, second = (tfidf_scores(TRAINING, TEST, PHQ_9, seed) for _ in range(2))
    np.testing.assert_array_equal(first, second)
