"""What an estimator must beat: the mean, words, and sentence embeddings.

Owns the baselines' definitions; each is fitted on training windows only, its penalty chosen by
cross-validation over people. Does not know how they are judged (`evaluation`).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sottovoce.backbones import Backbone
from sottovoce.cohort import Window, assign_folds
from sottovoce.errors import require
from sottovoce.features import Features, pooled_states
from sottovoce.instruments import Instrument
from sottovoce.model_input import Renderer, Rendering
from sottovoce.probe import ProbeSearch, fit_probe
from sottovoce.progress import Advance, silent

Scores = npt.NDArray[np.float64]

N_FOLDS = 5
ALPHAS = tuple(float(alpha) for alpha in np.logspace(-2, 2, 13))
"""Ridge penalties for TF-IDF rows, which have unit length; the grid spans two steps of ten either
side of 1, and the choice lay inside it on the training people of both data sets."""


def user_text(window: Window) -> str:
    """Join what the person wrote, the only text a baseline reads."""
    return "\n".join(message.content for message in window.user_messages)


def mean_scores(training: Sequence[Window], windows: Sequence[Window]) -> Scores:
    """Give everybody the training people's mean."""
    return np.full(len(windows), np.mean([window.total for window in training]))


def tfidf_scores(
    training: Sequence[Window], windows: Sequence[Window], instrument: Instrument, seed: int = 0
) -> Scores:
    """Score by ridge regression on TF-IDF of words and word pairs.

    Returns
    -------
    array, shape (len(windows),)
        Points, within the instrument's range.
    """
    require("sklearn", what="The TF-IDF baseline", extra="models")
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import PredefinedSplit

    totals = np.array([window.total for window in training])
    folds = assign_folds([window.user_id for window in training], N_FOLDS, seed, totals)
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    ridge = RidgeCV(ALPHAS, cv=PredefinedSplit(folds), scoring="neg_mean_absolute_error")
    ridge.fit(words.fit_transform([user_text(window) for window in training]), totals)
    scores: Scores = ridge.predict(words.transform([user_text(window) for window in windows]))
    return np.clip(scores, instrument.minimum, instrument.maximum)


def embedding_scores(
    training: Sequence[Window],
    windows: Sequence[Window],
    instrument: Instrument,
    backbone: Backbone,
    seed: int = 0,
    advance: Advance = silent,
) -> Scores:
    """Score by ridge regression on an encoder's mean-pooled last layer, long texts in parts.

    Returns
    -------
    array, shape (len(windows),)
        Points, within the instrument's range.
    """
    renderer = Renderer.of(backbone.tokenizer, Rendering(layout="plain"), backbone.max_length)
    inputs = [renderer.render(window) for window in (*training, *windows)]
    layer = backbone.n_layers
    states = pooled_states(backbone, inputs, [layer], ["mean"], advance)["mean"]
    totals = np.array([window.total for window in training])
    folds = assign_folds([window.user_id for window in training], N_FOLDS, seed, totals)
    seen: Features = {"mean": states[: len(training)]}
    probe = fit_probe(seen, [layer], totals, folds, ProbeSearch(n_averaged=1)).probe
    scores = probe.points({"mean": states[len(training) :]}, [layer])
    return np.clip(scores, instrument.minimum, instrument.maximum)
