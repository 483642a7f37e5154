"""What an estimator must beat: the mean, length, words, and sentence embeddings.

Owns the baselines' definitions; each is fitted on training windows only, its penalty chosen by
cross-validation over people. Does not know how they are judged (`evaluation`).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sottovoce.backbones import Backbone
from sottovoce.cohort import Window, assign_folds
from sottovoce.errors import require
from sottovoce.features import pooled_states
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
    training: Sequence[Window],
    windows: Sequence[Window],
    instrument: Instrument,
    seed: int = 0,
    penalties: Sequence[float] = ALPHAS,
) -> Scores:
    """Score by ridge regression on TF-IDF of words and word pairs.

    Cross-validation over people chooses among the penalties.

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
    ridge = RidgeCV(
        np.array(penalties), cv=PredefinedSplit(folds), scoring="neg_mean_absolute_error"
    )
    ridge.fit(words.fit_transform([user_text(window) for window in training]), totals)
    scores: Scores = ridge.predict(words.transform([user_text(window) for window in windows]))
    return np.clip(scores, instrument.minimum, instrument.maximum)


def length_scores(
    training: Sequence[Window], windows: Sequence[Window], instrument: Instrument
) -> Scores:
    """Score by linear regression on how much the person wrote, whatever it says.

    Of the person's messages: the logarithm of their words, their number, and words a message.

    Returns
    -------
    array, shape (len(windows),)
        Points, within the instrument's range.
    """
    require("sklearn", what="The length baseline", extra="models")
    from sklearn.linear_model import LinearRegression

    totals = np.array([window.total for window in training])
    line = LinearRegression().fit(_lengths(training), totals)
    scores: Scores = line.predict(_lengths(windows))
    return np.clip(scores, instrument.minimum, instrument.maximum)


def log_words(windows: Sequence[Window]) -> Scores:
    """Give the natural logarithm of the words that the person wrote, plus 1; shape (n,)."""
    return np.log1p([len(user_text(window).split()) for window in windows])


def _lengths(windows: Sequence[Window]) -> Scores:
    messages = np.array([len(window.user_messages) for window in windows], dtype=np.float64)
    words = log_words(windows)
    return np.column_stack([words, messages, np.expm1(words) / np.maximum(messages, 1)])


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
    states = embeddings((*training, *windows), backbone, advance)
    count = len(training)
    return ridge_scores(training, states[:count], states[count:], instrument, seed)


def embeddings(
    windows: Sequence[Window], backbone: Backbone, advance: Advance = silent
) -> npt.NDArray[np.float32]:
    """Read what each person wrote as one vector: the last layer's mean.

    Returns
    -------
    array, shape (len(windows), 1, hidden_size)
    """
    renderer = Renderer.of(backbone.tokenizer, Rendering(layout="plain"), backbone.max_length)
    inputs = [renderer.render(window) for window in windows]
    return pooled_states(backbone, inputs, [backbone.n_layers], ["mean"], advance)["mean"]


def ridge_scores(
    training: Sequence[Window],
    learnt: npt.NDArray[np.float32],
    states: npt.NDArray[np.float32],
    instrument: Instrument,
    seed: int = 0,
) -> Scores:
    """Score vectors by ridge regression on those of the training people.

    Parameters
    ----------
    training, learnt
        Labelled windows and their `embeddings`.
    states
        `embeddings` of the windows to score.
    instrument, seed
        Of the range, and of the folds that choose the penalty.

    Returns
    -------
    array, shape (len(states),)
        Points, within the instrument's range.
    """
    totals = np.array([window.total for window in training])
    folds = assign_folds([window.user_id for window in training], N_FOLDS, seed, totals)
    probe = fit_probe({"mean": learnt}, [0], totals, folds, ProbeSearch(n_averaged=1)).probe
    scores = probe.points({"mean": states}, [0])
    return np.clip(scores, instrument.minimum, instrument.maximum)
