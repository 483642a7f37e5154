from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from tests.service.filled import estimate
from tests.service.told import APP, MORNING, ask, at_once, consenting, said

from sottovoce.service import estimates, messages, people
from sottovoce.service.estimates import Made, trajectory
from sottovoce.service.principals import SERVICE


def store(gate, person, revision, made=None):
    with gate.open(SERVICE, "score.store", person) as case:
        found, evidence = estimate("ignored")
        return estimates.add(case, made or found, revision, evidence)


def kept(gate, person):
    with gate.open(APP, "people.export", person) as case:
        return estimates.all_of(case), people.glance(case).pending


def told(gate, person, *numbers):
    consenting(gate, person, "monitoring")
    for number in numbers:
        with gate.open(APP, "messages.add", person) as case:
            messages.add(case, [said(number)], timedelta(0))


def test_an_estimate_comes_back_about_its_person_with_its_evidence(gate):
    told(gate, "u1", 1)
    made = store(gate, "u1", 1)
    [found], pending = kept(gate, "u1")
    assert made is not None
    assert found == replace(made, estimate=replace(made.estimate, user_id="u1"))
    assert found.evidence == {"quotes": ["evidence"]}
    assert not pending


def test_the_same_reading_by_the_same_model_is_kept_once(gate):
    told(gate, "u1", 1)
    assert sum(each is not None for each in at_once(lambda _: store(gate, "u1", 1), 6)) == 1
    other = replace(estimate("u1")[0], model_id="other")
    assert store(gate, "u1", 1, other) is not None
    assert len(kept(gate, "u1")[0]) == 2


def test_a_person_is_behind_until_the_newest_change_was_read(gate):
    told(gate, "u1", 1, 2)
    assert kept(gate, "u1")[1]
    store(gate, "u1", 1)
    assert kept(gate, "u1")[1]
    store(gate, "u1", 2)
    assert not kept(gate, "u1")[1]
    other = replace(estimate("u1")[0], model_id="other")
    store(gate, "u1", 1, other)  # one that was late
    assert not kept(gate, "u1")[1]
    assert ask(gate, "SELECT scored_revision FROM people")[0].scored_revision == 2


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 3)), max_size=10))
def test_of_each_windows_end_the_reading_counts_that_read_most(drawn):
    made = []
    for end, revision, at in drawn:
        one = replace(estimate("u1")[0], window_end=MORNING + timedelta(days=1 + end))
        made.append(Made(None, MORNING + timedelta(hours=at), revision, one))
    found = trajectory(made)
    ends = [each.estimate.window_end for each in found]
    assert ends == sorted({each.estimate.window_end for each in made})
    for each in found:
        same = [x for x in made if x.estimate.window_end == each.estimate.window_end]
        best = max((x.revision, x.made_at) for x in same)
        assert (each.revision, each.made_at) == best


def test_what_abstained_without_a_window_is_in_no_trajectory():
    nothing = dict.fromkeys(["score", "lower", "upper", "band", "window_start", "window_end"])
    one = replace(estimate("u1")[0], abstained=True, reason="too little", **nothing)
    made = Made(None, MORNING, 1, one)
    assert trajectory([made]) == []
