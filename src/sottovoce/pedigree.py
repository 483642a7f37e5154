"""A saved model's pedigree: from whom it learnt, and what trainings without them said of them.

Owns finding both beside a model: in the package, in the folder of its run, or in a chat file that
the caller names. Nothing is guessed: what cannot be found is told, and the checks that need it say
so. Does not know what is checked (`shortcuts`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from sottovoce import bundled
from sottovoce.cohort import Window, WindowRules, build_cohort, newest_window, timeline
from sottovoce.conversations import Conversation, read_chats
from sottovoce.errors import SottovoceError
from sottovoce.estimates import Estimate, read_scores
from sottovoce.estimator import BUNDLED_FOLDER
from sottovoce.roster import Roster, read_any
from sottovoce.scorer import Scorer
from sottovoce.train import PREDICTIONS, RECIPE, load_cohort, load_supervision


@dataclass(frozen=True, slots=True)
class Pedigree:
    """From whom a model learnt.

    Parameters
    ----------
    windows
        Of the people it learnt from; None where they are not known.
    note
        How this was found, or why not: a sentence that a report can show.
    annotated
        Ids of people whose annotations taught it.
    totals, scores
        Questionnaire and out-of-fold score of its training people, in points, length n each: a
        threshold may be chosen on them. Both empty where they are not known.
    """

    windows: tuple[Window, ...] | None
    note: str
    annotated: frozenset[str] = frozenset()
    totals: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()


def find_pedigree(
    scorer: Scorer, model: Path | None = None, trained_on: Path | None = None
) -> Pedigree:
    """Find from whom a saved model learnt.

    Parameters
    ----------
    scorer
        The model, loaded.
    model
        Its folder; None for the estimator of the package.
    trained_on
        Chats of the people it learnt from, where its run folder does not tell.

    Raises
    ------
    DataError
        If `trained_on` cannot be read.
    """
    if trained_on is not None:
        windows = _newest(read_chats(trained_on), scorer.rules)
        return Pedigree(windows, f"{trained_on.name} was named as what the model learnt from.")
    if model is None:
        chats, labels = bundled.conversations("train"), bundled.labels("train")
        cohort = build_cohort(chats, labels, scorer.rules, scorer.instrument)
        note = "The model comes with the package and learnt from the bundled training people."
        return _with_scores(Pedigree(cohort.windows, note), BUNDLED_FOLDER)
    if not (model / RECIPE).is_file():
        note = "The model does not lie in the folder of its run: from whom it learnt is unknown."
        return Pedigree(None, note)
    try:
        return _with_scores(_by_recipe(model), model)
    except SottovoceError:
        note = "What the recipe in the run folder names cannot be read: from whom it learnt is "
        return Pedigree(None, f"{note}unknown.")


def _by_recipe(run: Path) -> Pedigree:
    recipe, path = read_any(run / RECIPE), run / RECIPE
    if isinstance(recipe, Roster):
        path, recipe = recipe.leader
    cohort = load_cohort(recipe, path.parent)
    taught = load_supervision(recipe, path, cohort.users).annotations or {}
    note = "From whom the model learnt was read by the recipe in its run folder."
    return Pedigree(cohort.windows, note, frozenset(taught))


def _with_scores(found: Pedigree, run: Path) -> Pedigree:
    """Add what trainings without them said of the training people, where the run kept it."""
    if found.windows is None or not (run / PREDICTIONS).is_file():
        return found
    said = {_key(each): each.score for each in read_scores(run / PREDICTIONS)}
    pairs = [
        (window.total, score)
        for window in found.windows
        if (score := said.get((window.user_id, window.end))) is not None
    ]
    totals, scores = zip(*pairs, strict=True) if pairs else ((), ())
    return replace(found, totals=totals, scores=scores)


def _key(estimate: Estimate) -> tuple[str, object]:
    return estimate.user_id, estimate.window_end


def _newest(conversations: Iterable[Conversation], rules: WindowRules) -> tuple[Window, ...]:
    """Cut each person's newest window."""
    by_person: dict[str, list[Conversation]] = {}
    for each in conversations:
        by_person.setdefault(each.user_id, []).append(each)
    lines = {user: timeline(theirs) for user, theirs in by_person.items()}
    return tuple(newest_window(user, line, rules) for user, line in lines.items() if line)
