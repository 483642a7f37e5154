import numpy as np
import pytest
from tests import tiny, tuning

from sottovoce import learner
from sottovoce.errors import ModelError
from sottovoce.estimator import Estimator
from sottovoce.learner import Learner
from sottovoce.model_input import Rendering
from sottovoce.settings import BackboneSettings, EstimatorSettings, ProbeSettings, ReaderSettings
from sottovoce.supervision import Supervision

WINDOWS = tiny.labelled_windows(24)


def settings_for(folder, layers=(1, 2)):
    return EstimatorSettings(
        backbone=BackboneSettings(str(folder)),
        probe=ProbeSettings(("mean",), layers, n_folds=3),
        rendering=Rendering(("user",), "turns"),
    )


@pytest.fixture
def counted(monkeypatch):
    """How many windows each reading of the backbone was of."""
    read, real = [], learner.pooled_states

    def watched(backbone, inputs, *rest):
        read.append(len(inputs))
        return real(backbone, inputs, *rest)

    monkeypatch.setattr(learner, "pooled_states", watched)
    return read


def reader_on(folder):
    return EstimatorSettings(
        backbone=BackboneSettings(str(folder)),
        rendering=Rendering(("user",), "turns"),
        reader=ReaderSettings((1, 4), n_folds=3),
    )


ANNOTATIONS = tiny.annotated(WINDOWS)


def test_no_text_is_read_twice(tiny_qwen, counted):
    member = Learner(settings_for(tiny_qwen))
    first = member.fit(WINDOWS[:16])
    assert counted == [16]
    pseudo = [row >= 16 for row in range(24)]
    member.fit(WINDOWS, Supervision(pseudo=pseudo))
    assert counted == [16, 8]
    member.points(first.estimator, WINDOWS)
    assert counted == [16, 8]


def test_it_fits_and_scores_as_the_estimator_does(tiny_qwen):
    settings = settings_for(tiny_qwen)
    member, alone = Learner(settings), Estimator.fit(WINDOWS, settings)
    fit = member.fit(WINDOWS)
    np.testing.assert_allclose(fit.held_out, alone.held_out, atol=1e-6)
    points = member.points(fit.estimator, WINDOWS)
    np.testing.assert_allclose(points, alone.estimator.predict(WINDOWS), atol=1e-4)
    assert member.points(fit.estimator, []).shape == (0,)


def test_a_fine_tuned_member_is_trained_and_scores(tiny_bert):
    member = Learner(tuning.settings_for(tiny_bert, epochs=1))
    fit = member.fit(WINDOWS)
    points = member.points(fit.estimator, WINDOWS[:3])
    np.testing.assert_allclose(points, fit.estimator.predict(WINDOWS[:3]))


def test_a_layer_that_is_not_there_is_refused(tiny_qwen):
    with pytest.raises(ModelError, match="layer 99 was asked for"):
        Learner(settings_for(tiny_qwen, (99,))).fit(WINDOWS)


def test_a_reader_reads_no_text_twice(tiny_qwen, monkeypatch):
    read, real = [], learner.message_states

    def watched(backbone, inputs, *rest):
        read.append(len(inputs))
        return real(backbone, inputs, *rest)

    monkeypatch.setattr(learner, "message_states", watched)
    member = Learner(reader_on(tiny_qwen))
    first = member.fit(WINDOWS[:16], Supervision(annotations=ANNOTATIONS))
    assert read == [16]
    pseudo = [row >= 16 for row in range(24)]
    member.fit(WINDOWS, Supervision(pseudo=pseudo, annotations=ANNOTATIONS))
    assert read == [16, 8]
    member.points(first.estimator, WINDOWS)
    assert read == [16, 8]


def test_a_reader_fits_and_scores_as_the_estimator_does(tiny_qwen):
    settings, told = reader_on(tiny_qwen), Supervision(annotations=ANNOTATIONS)
    member, alone = Learner(settings), Estimator.fit(WINDOWS, settings, supervision=told)
    fit = member.fit(WINDOWS, told)
    np.testing.assert_allclose(fit.held_out, alone.held_out, atol=1e-4)
    points = member.points(fit.estimator, WINDOWS)
    np.testing.assert_allclose(points, alone.estimator.predict(WINDOWS), atol=1e-3)
    assert member.points(fit.estimator, []).shape == (0,)
