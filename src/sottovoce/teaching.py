"""Teaching members with questionnaires and pseudolabels, as far as held-out people bear it out.

Owns what a training is given, and the choice of how much pseudolabels count. Does not know where
pseudolabels come from (`labelling`) nor stages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from sottovoce.annotations import Annotation
from sottovoce.cohort import Window
from sottovoce.conversations import QuestionnaireResponse
from sottovoce.errors import DataError
from sottovoce.estimator import Fit
from sottovoce.instruments import Instrument
from sottovoce.learner import Learner
from sottovoce.material import People
from sottovoce.supervision import Supervision

Array = npt.NDArray[np.float64]
Fits = Mapping[str, Fit]


@dataclass(frozen=True, slots=True)
class Labels:
    """Pseudolabels of people of the pool.

    Parameters
    ----------
    users
        Length n.
    totals
        Points, shape (n,).
    weights
        What each counts beside a questionnaire, at full trust, shape (n,).
    """

    users: tuple[str, ...] = ()
    totals: Array = field(default_factory=lambda: np.zeros(0))
    weights: Array = field(default_factory=lambda: np.zeros(0))

    def take(self, keep: npt.NDArray[np.bool_]) -> "Labels":
        """Keep some of them."""
        users = tuple(user for user, kept in zip(self.users, keep, strict=True) if kept)
        return Labels(users, self.totals[keep], self.weights[keep])


@dataclass(frozen=True, slots=True)
class Taught:
    """Members, and how far what they were taught is trusted.

    Parameters
    ----------
    fits
        By name.
    trust
        What pseudolabels counted, beside the confidence in each; 0: there are none.
    blend
        Share of the annotator in the training people's targets.
    tried
        Each trust and blend that was tried, with the mean absolute error of held-out people.
    """

    fits: Fits
    trust: float = 0.0
    blend: float = 0.0
    tried: tuple[Mapping[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Teacher:
    """Fits every member on the people of a run."""

    people: People
    learners: Mapping[str, Learner]

    def fit(self, labels: Labels, trust: float, targets: Array) -> dict[str, Fit]:
        """Fit every member on the training people and, if trusted, on pseudolabels."""
        windows, pool = (
            list(self.people.training),
            {each.user_id: each for each in self.people.pool},
        )
        annotations = {
            user: self.people.annotations[user]
            for user in {each.user_id for each in self.people.training}
            & set(self.people.annotations)
        }
        weights, aims = [1.0] * len(windows), targets.tolist()
        used = zip(labels.users, labels.totals.tolist(), labels.weights.tolist(), strict=True)
        for user, total, weight in used if trust else ():
            window = pool[user]
            # as a label, so that a body that looks no further finds it
            said = QuestionnaireResponse(user, self.people.instrument.key, window.end, total)
            windows.append(replace(window, label=said))
            weights.append(trust * weight)
            aims.append(total)
            if user in self.people.annotations:
                annotations[user] = _moved(
                    self.people.annotations[user], total, self.people.instrument
                )
        pseudo = [row >= len(self.people.training) for row in range(len(windows))]
        supervision = Supervision(weights, pseudo, annotations, aims)
        return {name: each.fit(windows, supervision) for name, each in self.learners.items()}

    def points(self, fits: Mapping[str, Fit], windows: Sequence[Window]) -> Array:
        """Score windows by the members' mean, points, shape (n,)."""
        columns = [self.learners[name].points(fit.estimator, windows) for name, fit in fits.items()]
        return np.asarray(np.mean(columns, axis=0))

    def join(self, last: Taught, labels: Labels, targets: Array) -> Taught:
        """Fit these members beside a stage's, and keep them if held-out people gain by it.

        As in `choose`, the error of the members' mean has to become less by more than the
        standard error of the difference.
        """
        fits = {**last.fits, **self.fit(labels, last.trust, targets)}
        before, after = self._errors(last.fits), self._errors(fits)
        tried = tuple(
            {"trust": last.trust, "blend": last.blend, "mae": float(errors.mean())}
            for errors in (before, after)
        )
        return replace(last, fits=fits if _is_gain(before - after) else last.fits, tried=tried)

    def choose(
        self, labels: Labels, ground: Fits, trust: Sequence[float], blends: Mapping[float, Array]
    ) -> Taught:
        """Choose trust, then blend, by the error of people whom the trainings did not hold.

        More than 0 is taken only where it makes the error less by more than the standard error of
        that difference (the rule of one standard error): a chance gain costs the people to come.

        References
        ----------
        Breiman, Friedman, Olshen, Stone 1984, Classification and Regression Trees.

        Parameters
        ----------
        labels
            Of the pool.
        ground
            Members that learnt from the questionnaires alone: trust 0, blend 0.
        trust
            What to try besides 0.
        blends
            Targets of the training people, by the share to try besides 0.
        """
        best, least = Taught(ground), self._errors(ground)
        tried = [{"trust": 0.0, "blend": 0.0, "mae": float(least.mean())}]

        def attempt(share: float, blend: float, targets: Array, over: Array) -> None:
            nonlocal best, least
            fits = self.fit(labels, share, targets)
            errors = self._errors(fits)
            tried.append({"trust": share, "blend": blend, "mae": float(errors.mean())})
            if errors.mean() < least.mean() and _is_gain(over - errors):
                best, least = Taught(fits, share, blend), errors

        ground_errors = least
        for share in sorted(trust) if labels.users else ():
            attempt(share, 0.0, self.people.totals, ground_errors)
        trusted = least
        for blend in sorted(blends):
            attempt(best.trust, blend, blends[blend], trusted)
        return replace(best, tried=tuple(tried))

    def _errors(self, fits: Fits) -> Array:
        """Absolute error of the members' mean on people whom they did not hold, points."""
        return np.abs(held_out(fits) - self.people.totals)


def _is_gain(gains: Array) -> bool:
    """Whether errors became less by more than the standard error of the difference."""
    error = gains.std(ddof=1) / np.sqrt(len(gains))
    return bool(gains.mean() > error)


def held_out(fits: Fits) -> Array:
    """Give the mean of the members' held-out scores of the training windows, shape (n,)."""
    return np.asarray(np.mean([each.held_out for each in fits.values()], axis=0))


def refuse_partial(fits: Fits, n: int) -> None:
    """Raise DataError where a member has no held-out score of some training window."""
    for name, fit in fits.items():
        if not np.array_equal(fit.rows, np.arange(n)):
            raise DataError(
                f"{name} has held-out scores of {len(fit.rows)} of {n} training windows",
                field="members",
                fix="use finetune.calibration cross_fit",
            )


def _moved(annotation: Annotation, total: float, used: Instrument) -> Annotation:
    """Give the annotation the calibrated total, its items moved in proportion."""
    whole, items = sum(annotation.items), annotation.items
    if whole:
        items = tuple(min(each * total / whole, used.item_maximum) for each in items)
    return replace(annotation, items=items, total=total)
