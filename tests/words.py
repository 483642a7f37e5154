"""A scorer of words, quick enough to re-read people many times in a test."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge

from sottovoce.cohort import Window, WindowRules
from sottovoce.conformal import PredictiveDistribution
from sottovoce.instruments import PHQ_9
from sottovoce.scorer import Judged, Reading, Scorer


class WordScorer(Scorer):
    """TF-IDF and ridge of what the given roles say; `calls` counts the windows it judged."""

    instrument = PHQ_9
    coverage = 0.9
    rules = WindowRules(min_user_messages=1, min_user_words=0)
    distribution = PredictiveDistribution.from_residuals(np.arange(-9.0, 10.0))
    model_id = "words"
    summary = "words"

    def __init__(
        self,
        training: Sequence[Window],
        roles: Sequence[str] = ("user",),
        rules: WindowRules | None = None,
    ) -> None:
        self.roles, self.calls = roles, list[int]()
        self.rules = rules or type(self).rules
        self._words = TfidfVectorizer(sublinear_tf=True)
        totals = [each.total for each in training]
        self._ridge = Ridge(1.0).fit(
            self._words.fit_transform([self.text(each) for each in training]), totals
        )

    def text(self, window: Window) -> str:
        return "\n".join(each.content for each in window.messages if each.role in self.roles)

    def read(self, windows):
        return [self._reading(each) for each in windows]

    def _reading(self, window: Window) -> Reading:
        if window.reason or not window.user_messages:
            return Reading(window.reason or "the window has no user text to read")
        return Reading(None, self.text(window))

    def judge(self, readings, advance=None):
        self.calls.append(len(readings))
        if advance is not None:
            advance(len(readings), len(readings))
        rows: Any = self._words.transform([each.content for each in readings])
        points = np.clip(self._ridge.predict(rows), PHQ_9.minimum, PHQ_9.maximum)
        return [Judged(float(each), self.distribution) for each in points]

    def save_pretrained(self, folder):
        return folder
