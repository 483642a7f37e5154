import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from sottovoce.probe import PENALTIES, Lesson, Probe, ProbeSearch, _leave_fold_out, fit_probe

ONE = ProbeSearch((0.3,), n_averaged=1)


def made_up(n=60, width=24, seed=0, noise=1.0):
    generator = np.random.default_rng(seed)
    states = generator.normal(size=(n, width)).astype(np.float32) * 3 + 1
    weights = generator.normal(size=width)
    totals = states @ weights / 4 + 10 + generator.normal(0, noise, n)
    folds = np.arange(n) % 5
    generator.shuffle(folds)
    return states, totals.astype(np.float64), folds


@given(
    st.integers(12, 60),
    st.integers(2, 90),
    st.sampled_from(PENALTIES),
    st.integers(2, 5),
    st.integers(0, 9),
)
@settings(max_examples=40, deadline=None)
def test_closed_form_equals_refitting_without_each_fold(n, width, penalty, n_folds, seed):
    states, totals, _ = made_up(n, width, seed)
    folds = np.arange(n) % n_folds
    ((_, held_out),) = _leave_fold_out(states, Lesson(totals, np.ones(n)), folds, [penalty])
    wide = states.astype(np.float64)
    standard = (wide - wide.mean(0)) / wide.std(0)
    for fold in range(n_folds):
        inside = folds == fold
        ridge = Ridge(alpha=penalty * width).fit(standard[~inside], totals[~inside])
        np.testing.assert_allclose(held_out[inside], ridge.predict(standard[inside]), atol=1e-6)


@given(st.integers(14, 60), st.integers(2, 90), st.sampled_from(PENALTIES), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_weighted_closed_form_equals_refitting_with_the_pseudolabels_always_in(
    n, width, penalty, seed
):
    states, totals, _ = made_up(n, width, seed)
    weights = np.random.default_rng(seed).uniform(0.05, 2, n)
    folds = np.arange(n) % 4 - 1
    ((_, held_out),) = _leave_fold_out(states, Lesson(totals, weights), folds, [penalty])
    wide = states.astype(np.float64)
    standard = (wide - wide.mean(0)) / wide.std(0)
    assert np.isnan(held_out[folds < 0]).all()
    for fold in range(3):
        inside = folds == fold
        ridge = Ridge(alpha=penalty * width)
        ridge.fit(standard[~inside], totals[~inside], sample_weight=weights[~inside])
        np.testing.assert_allclose(held_out[inside], ridge.predict(standard[inside]), atol=1e-6)


@pytest.mark.parametrize(("n", "width"), [(60, 24), (24, 60)])
def test_the_weighted_probe_is_scikit_learns_weighted_ridge(n, width):
    states, totals, folds = made_up(n, width)
    weights = np.random.default_rng(1).uniform(0.05, 2, n)
    lesson = Lesson(totals + 1, weights)
    read = {"mean": states[:, None]}
    fitted = fit_probe(read, [7], totals, folds, ProbeSearch((0.3,)), lesson)
    wide = states.astype(np.float64)
    standard = (wide - wide.mean(0)) / wide.std(0)
    ridge = Ridge(alpha=0.3 * width).fit(standard, totals + 1, sample_weight=weights)
    scores = fitted.probe.points(read, [7])
    np.testing.assert_allclose(scores, ridge.predict(standard), atol=1e-6)


def test_counting_each_window_once_is_bit_for_bit_the_same_as_saying_nothing():
    states, totals, folds = made_up()
    read = {"mean": np.stack([states, states[::-1]], axis=1)}
    plain = fit_probe(read, [0, 1], totals, folds, ProbeSearch())
    counted = fit_probe(read, [0, 1], totals, folds, ProbeSearch(), Lesson(totals, np.ones(60)))
    np.testing.assert_array_equal(plain.held_out, counted.held_out)
    np.testing.assert_array_equal(plain.probe.weights, counted.probe.weights)


def test_the_errors_of_pseudolabels_choose_nothing():
    states, totals, folds = made_up(noise=0.1)
    folds[:20] = -1
    noise = np.random.default_rng(1).normal(size=states.shape).astype(np.float32)
    read = {"mean": np.stack([noise, states], axis=1)}
    search = ProbeSearch(n_averaged=1)
    reported = np.where(folds < 0, np.nan, totals)
    fitted = fit_probe(read, [3, 5], reported, folds, search, Lesson(totals, np.ones(60)))
    (choice,) = fitted.probe.choices
    assert choice.layer == 5
    assert np.isfinite(list(fitted.errors.values())).all()
    np.testing.assert_array_equal(np.isnan(fitted.held_out), folds < 0)


@pytest.mark.parametrize(("n", "width"), [(60, 24), (24, 60)])
def test_the_fitted_probe_is_scikit_learns_ridge(n, width):
    states, totals, folds = made_up(n, width)
    fitted = fit_probe({"mean": states[:, None]}, [7], totals, folds, ProbeSearch((0.3,)))
    wide = states.astype(np.float64)
    standard = (wide - wide.mean(0)) / wide.std(0)
    ridge = Ridge(alpha=0.3 * width).fit(standard, totals)
    scores = fitted.probe.points({"mean": states[:, None]}, [7])
    np.testing.assert_allclose(scores, ridge.predict(standard), atol=1e-6)
    assert fitted.probe.layers == (7,)


def test_the_layer_that_knows_is_chosen():
    states, totals, folds = made_up(noise=0.1)
    noise = np.random.default_rng(1).normal(size=states.shape).astype(np.float32)
    layers = np.stack([noise, states, noise[::-1]], axis=1)
    fitted = fit_probe({"mean": layers}, [3, 5, 9], totals, folds, ProbeSearch(n_averaged=1))
    (choice,) = fitted.probe.choices
    assert choice.layer == 5
    assert fitted.errors[choice] == min(fitted.errors.values())
    assert len(fitted.errors) == 3 * len(PENALTIES)


def test_held_out_scores_do_not_flatter_the_choice():
    generator = np.random.default_rng(2)
    noise = generator.normal(size=(60, 40, 8)).astype(np.float32)
    totals = generator.normal(10, 6, 60)
    folds = np.arange(60) % 5
    fitted = fit_probe({"mean": noise}, range(40), totals, folds, ProbeSearch(n_averaged=1))
    honest = np.abs(fitted.held_out - totals).mean()
    best_of_many = min(fitted.errors.values())
    baseline = np.abs(totals - totals.mean()).mean()
    assert best_of_many < honest
    assert honest > 0.9 * baseline


def test_a_held_out_score_does_not_depend_on_the_labels_of_its_own_fold():
    states, totals, folds = made_up()
    layers = np.stack([states, states[::-1]], axis=1)
    first = fit_probe({"mean": layers}, [0, 1], totals, folds, ONE)
    changed = totals.copy()
    changed[folds == 2] = changed[folds == 2][::-1]
    second = fit_probe({"mean": layers[:, :1]}, [0], changed, folds, ONE)
    same = fit_probe({"mean": layers[:, :1]}, [0], totals, folds, ONE)
    inside = folds == 2
    np.testing.assert_allclose(second.held_out[inside], same.held_out[inside], atol=1e-8)
    assert first.held_out.shape == totals.shape


def test_a_constant_feature_does_no_harm():
    states, totals, folds = made_up()
    states[:, 0] = 4.0
    fitted = fit_probe({"mean": states[:, None]}, [0], totals, folds, ProbeSearch())
    assert np.isfinite(fitted.probe.points({"mean": states[:, None]}, [0])).all()


def test_the_best_candidates_are_averaged():
    states, totals, folds = made_up()
    layers = np.stack([states, states * 0.5 + 1, states[::-1]], axis=1)
    fitted = fit_probe({"mean": layers}, [2, 4, 6], totals, folds, ProbeSearch(n_averaged=3))
    probe = fitted.probe
    ranked = sorted(fitted.errors, key=lambda each: fitted.errors[each])
    assert list(probe.choices) == ranked[:3]
    alone = [
        Probe((choice,), probe.weights[[row]], probe.intercepts[[row]]).points(
            {"mean": layers}, [2, 4, 6]
        )
        for row, choice in enumerate(probe.choices)
    ]
    np.testing.assert_allclose(probe.points({"mean": layers}, [2, 4, 6]), np.mean(alone, axis=0))
    assert probe.layers == tuple(sorted(probe.layers))


def test_more_to_average_than_there_are_candidates_takes_them_all():
    states, totals, folds = made_up()
    search = ProbeSearch((0.3, 1.0), n_averaged=10)
    fitted = fit_probe({"mean": states[:, None]}, [0], totals, folds, search)
    assert len(fitted.probe.choices) == 2


def test_whole_totals_do_not_make_whole_scores():
    states, totals, folds = made_up()
    whole = np.round(totals)
    features = {"mean": states[:, None]}
    as_numbers = fit_probe(features, [0], whole, folds, ONE).held_out
    as_integers = fit_probe(features, [0], whole.astype(np.int64), folds, ONE).held_out
    assert np.array_equal(as_numbers, as_integers)
    assert not np.array_equal(as_integers, np.round(as_integers))
