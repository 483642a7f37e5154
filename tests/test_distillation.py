"""Made-up people whose messages are numbers: each item has a direction that messages go along."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from tests import tiny

from sottovoce import distillation
from sottovoce.annotations import TRAPS, Annotation, Quote
from sottovoce.cohort import Window
from sottovoce.distillation import Pages, distil, marked
from sottovoce.errors import DataError
from sottovoce.features import MessageStates
from sottovoce.instruments import PHQ_9
from sottovoce.settings import ReaderSettings
from sottovoce.supervision import Supervision

N, N_ITEMS, N_MESSAGES, WIDTH, LAYERS = 40, 9, 5, 14, (1, 2)
SETTINGS = ReaderSettings(LAYERS, penalty=0.1, n_folds=4)
FOLDS = np.arange(N) % 4
SAID = tiny.window("ada", ["I lie awake.", "Nothing tastes.", "I laughed. I lie  AWAKE."])
"""Messages 0, 2 and 4 are the person's; the companion says "Tell me more." between them."""
READ = MessageStates(np.array([0, 2]), np.zeros((2, 1, 1), np.float32))


def marks_of(*quotes: Quote, read: MessageStates = READ) -> dict[tuple[int, int], float]:
    """Give what is not 0, by row and column."""
    found = marked(SAID.messages, read, quotes, N_ITEMS)
    assert found.shape == (len(read.messages), 2 * N_ITEMS)
    return {(int(row), int(column)): found[row, column] for row, column in np.argwhere(found)}


def test_the_highest_level_of_an_item_is_marked_at_the_message_that_holds_the_words():
    assert marks_of(
        Quote(3, 1, "awake"),
        Quote(3, 2, "I lie awake"),
        Quote(5, 3, "Nothing"),
    ) == {(0, 2): 2, (1, 4): 3}


def test_words_that_say_that_an_item_is_absent_are_marked_apart():
    assert marks_of(Quote(5, 0, "Nothing tastes")) == {(1, N_ITEMS + 4): 1}


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("level", [0, 2])
def test_a_trap_teaches_that_its_words_carry_nothing(trap, level):
    assert marks_of(Quote(3, level, "I lie awake", trap)) == {}


def test_what_the_person_did_not_say_in_a_message_that_was_read_teaches_nothing():
    nowhere, companion = Quote(3, 2, "I sleep in"), Quote(3, 2, "Tell me more")
    unread = Quote(1, 2, "I laughed")
    assert marks_of(nowhere, companion, unread) == {}
    whole = replace(READ, messages=np.array([0, 2, 4]), states=np.zeros((3, 1, 1), np.float32))
    assert marks_of(unread, read=whole) == {(2, 0): 2}


@dataclass(frozen=True)
class Crowd:
    """People, what a backbone made of their messages, and which message carries which item."""

    windows: list[Window]
    read: list[MessageStates]
    annotations: dict[str, Annotation]
    carriers: list[dict[int, int]]

    def pages(self, folds: np.ndarray = FOLDS, **changes) -> Pages:
        supervision = Supervision(**({"annotations": self.annotations} | changes))
        rendered = [each.user_messages for each in self.windows]
        return Pages.of(self.windows, rendered, self.read, supervision, folds, N_ITEMS)


def crowd(n: int = N, seed: int = 0, noise: float = 0.1) -> Crowd:
    generator = np.random.default_rng(seed)
    directions = np.linalg.qr(generator.normal(size=(WIDTH, WIDTH)))[0][:N_ITEMS]
    made = Crowd([], [], {}, [])
    for number in range(n):
        user = f"p{number:02d}"
        sayings = [f"{user} says word{place}" for place in range(N_MESSAGES)]
        states = generator.normal(scale=noise, size=(N_MESSAGES, len(LAYERS), WIDTH))
        severity, quotes, carriers = generator.uniform(0, 3), [], {}
        around = severity + generator.normal(scale=0.7, size=N_ITEMS)
        items = np.clip(np.round(around), 0, 3).astype(int)
        for item, level in enumerate(items):
            place = int(generator.integers(N_MESSAGES))
            if level:
                states[place] += level * directions[item]
                quotes.append(Quote(item + 1, int(level), f"word{place}"))
                carriers[item + 1] = place
        made.windows.append(tiny.window(user, sayings, float(items.sum())))
        made.read.append(MessageStates(np.arange(N_MESSAGES), states.astype(np.float32)))
        said = tuple(float(each) for each in items)
        made.annotations[user] = Annotation(user, "made", said, sum(said), 1.0, tuple(quotes))
        made.carriers.append(carriers)
    return made


CROWD = crowd()


def taught(pages: Pages) -> distillation.Distilled:
    return distil(pages, SETTINGS, PHQ_9)


@pytest.fixture(scope="module")
def told():
    return taught(CROWD.pages())


def test_levels_and_totals_of_people_who_were_not_seen_are_recovered(told):
    totals = np.array([each.total for each in CROWD.windows])
    assert np.abs(told.held_out - totals).mean() < np.abs(totals - totals.mean()).mean() / 3
    assert np.corrcoef(told.held_out, totals)[0, 1] > 0.95
    new = crowd(seed=0, n=N + 20)  # the same directions, and 20 more people
    profiles = told.reader.profiles([each.states for each in new.read[N:]])
    wanted = np.array([new.annotations[each.user_id].items for each in new.windows[N:]])
    assert np.abs(profiles - wanted).mean() < 0.5


def test_the_message_that_carries_an_item_is_its_evidence(told):
    new = crowd(seed=0, n=N + 20)
    right = [
        carriers[each.item] == each.message
        for read, carriers in zip(new.read[N:], new.carriers[N:], strict=True)
        for each in told.reader.grounds(read).evidence()
        if each.item in carriers
    ]
    assert len(right) > 100
    assert np.mean(right) > 0.95


def test_the_first_step_is_scikit_learns_ridge_on_the_marked_messages_of_each_layer():
    some = {user: CROWD.annotations[user] for user in sorted(CROWD.annotations)[:25]}
    pages = CROWD.pages(annotations=some)
    everything = np.concatenate([each.states for each in CROWD.read]).astype(np.float64)
    scaled = (everything - everything.mean(axis=0)) / everything.std(axis=0)
    rows = 25 * N_MESSAGES
    marks = np.concatenate([each for each in pages.marks if each is not None])
    readings = np.mean(
        [
            Ridge(alpha=SETTINGS.penalty * WIDTH)
            .fit(scaled[:rows, layer], marks)
            .predict(scaled[:, layer])
            for layer in range(len(LAYERS))
        ],
        axis=0,
    )
    # items are known from annotations alone; the others teach with their totals
    found = taught(pages).reader.readings(everything.astype(np.float32))
    np.testing.assert_allclose(found, readings, atol=1e-5)


@pytest.mark.parametrize("penalty", [0.01, 2.0])
def test_the_later_steps_are_scikit_learns_weighted_ridge(penalty):
    generator = np.random.default_rng(4)
    inputs, wanted = generator.normal(size=(30, 6)), generator.normal(size=(30, 2))
    weights = generator.uniform(0.1, 2, 30)
    scaled = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0)
    theirs = Ridge(alpha=penalty * 6).fit(scaled, wanted, sample_weight=weights)
    slopes, intercepts = distillation._ridge(inputs, wanted, weights, penalty)
    np.testing.assert_allclose(inputs @ slopes + intercepts, theirs.predict(scaled))


@given(st.integers(0, 3), st.integers(0, 10**6))
@settings(max_examples=10)
def test_nothing_said_of_a_fold_s_people_changes_their_own_held_out_scores(told, fold, seed):
    generator = np.random.default_rng(seed)
    windows, annotations = list(CROWD.windows), dict(CROWD.annotations)
    for row in np.flatnonzero(fold == FOLDS).tolist():
        user, total = windows[row].user_id, float(generator.integers(0, 28))
        windows[row] = replace(windows[row], label=replace(windows[row].label, total=total))
        items = tuple(float(each) for each in generator.integers(0, 4, N_ITEMS))
        quotes = tuple(
            Quote(int(generator.integers(1, 10)), int(generator.integers(0, 4)), f"word{place}")
            for place in range(int(generator.integers(0, N_MESSAGES)))
        )
        annotations[user] = Annotation(user, "made", items, total, 1.0, quotes)
    changed = taught(replace(CROWD, windows=windows, annotations=annotations).pages())
    own = fold == FOLDS
    np.testing.assert_allclose(changed.held_out[own], told.held_out[own], rtol=1e-9)
    assert not np.allclose(changed.held_out[~own], told.held_out[~own], rtol=1e-3)


def test_the_order_of_people_does_not_count(told):
    order = np.random.default_rng(3).permutation(N)
    moved = Crowd(
        [CROWD.windows[row] for row in order],
        [CROWD.read[row] for row in order],
        CROWD.annotations,
        [],
    )
    again = taught(moved.pages(FOLDS[order]))
    np.testing.assert_allclose(again.held_out, told.held_out[order], rtol=1e-6)
    points = [body.points([CROWD.read[0].states]) for body in (again.reader, told.reader)]
    np.testing.assert_allclose(*points, rtol=1e-6)


PSEUDO = np.where(np.arange(N) < 28, FOLDS, -1)


def test_pseudolabels_teach_and_are_never_held_out(told):
    pages = CROWD.pages(PSEUDO, pseudo=(PSEUDO < 0).tolist())
    found = taught(pages)
    np.testing.assert_array_equal(np.isfinite(found.held_out), PSEUDO >= 0)
    few = Crowd(CROWD.windows[:28], CROWD.read[:28], CROWD.annotations, [])
    alone = taught(few.pages(FOLDS[:28]))
    assert not np.allclose(found.held_out[:28], alone.held_out)


def test_people_with_pseudolabels_have_one_group_each_and_are_spread_over_all():
    twice = Crowd([*CROWD.windows, CROWD.windows[-1]], [*CROWD.read, CROWD.read[-1]], {}, [])
    groups = twice.pages(np.append(PSEUDO, -1)).groups
    np.testing.assert_array_equal(groups[:28], FOLDS[:28])
    assert groups[-1] == groups[-2]
    assert set(groups[28:].tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize("weight", [1e-9, 1.0])
def test_a_total_of_next_to_no_weight_teaches_next_to_nothing(weight):
    weights = np.where(PSEUDO < 0, weight, 1.0).tolist()
    totals = np.array([each.total for each in CROWD.windows])
    right, wrong = (
        taught(CROWD.pages(PSEUDO, pseudo=(PSEUDO < 0).tolist(), weights=weights, targets=targets))
        for targets in (totals, np.where(PSEUDO < 0, 27 - totals, totals))
    )
    apart = np.nanmax(np.abs(right.held_out - wrong.held_out))
    assert (apart < 1e-4) == (weight < 1)


@pytest.mark.parametrize(
    "quotes", [(), (Quote(3, 2, "nobody said so"),), (Quote(3, 0, "word1", "idiom"),)]
)
def test_without_a_quote_that_stands_in_a_message_nothing_can_be_taught(quotes):
    said = {user: replace(each, quotes=quotes) for user, each in CROWD.annotations.items()}
    with pytest.raises(DataError, match="no annotation of the training people has a quote that"):
        taught(CROWD.pages(annotations=said))


def test_without_anybody_s_items_nothing_can_be_taught():
    pages = CROWD.pages()
    with pytest.raises(DataError, match="nobody's items are known"):
        taught(replace(pages, items=np.full_like(pages.items, np.nan)))


def test_people_without_an_annotation_teach_the_total():
    half = {user: each for user, each in CROWD.annotations.items() if user < "p20"}
    pages = CROWD.pages(annotations=half)
    assert [each is None for each in pages.marks] == [
        each.user_id >= "p20" for each in CROWD.windows
    ]
    higher = [each.total + 5 * (each.user_id >= "p20") for each in CROWD.windows]
    found = [
        taught(each).held_out for each in (pages, CROWD.pages(annotations=half, targets=higher))
    ]
    assert (found[1] - found[0]).mean() > 1
