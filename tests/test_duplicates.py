import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import tiny

from sottovoce.duplicates import apart_from, assert_apart, highest_likeness, shingles
from sottovoce.errors import DataError


def person(user, words):
    return tiny.window(user, [" ".join(words)])


def words_of(seed, n=60):
    return [f"w{each}" for each in np.random.default_rng(seed).integers(0, 10**6, n)]


@given(st.lists(st.lists(st.integers(0, 3), max_size=14), min_size=2, max_size=6))
@settings(max_examples=60, deadline=None)
def test_the_index_gives_the_exact_jaccard_similarity(said):
    windows = [
        person(f"p{number}", [f"w{each}" for each in [0, *words]])
        for number, words in enumerate(said)
    ]
    found = highest_likeness(windows, windows)
    for number, window in enumerate(windows):
        own, best = shingles(window), 0.0
        for other in windows[:number] + windows[number + 1 :]:
            their = shingles(other)
            best = max(best, len(own & their) / len(own | their))
        assert found[number] == pytest.approx(best)


def test_a_copy_by_another_name_is_left_out_and_counted():
    words = words_of(1)
    test = [person("t", words)]
    edited = [word if place % 10 else "and" for place, word in enumerate(words)]
    learnt = [person("copy", words), person("edited", edited), person("other", words_of(2))]
    kept = apart_from([*learnt, person("t", words_of(3))], test)
    assert [each.user_id for each in kept.windows] == ["other"]
    assert (kept.same_person, kept.near_duplicates) == (1, 2)


def test_every_window_of_a_copied_person_is_left_out():
    test = [person("t", words_of(1))]
    kept = apart_from([person("a", words_of(1)), person("a", words_of(2))], test)
    assert kept.windows == ()
    assert kept.near_duplicates == 1


def test_different_people_of_the_bundled_cohort_are_far_from_alike():
    from sottovoce import bundled
    from sottovoce.cohort import WindowRules, newest_window, timeline
    from sottovoce.duplicates import ALIKE

    chats = sorted(bundled.conversations("test"), key=lambda each: each.user_id)
    people = itertools.groupby(chats, key=lambda each: each.user_id)
    windows = [newest_window(user, timeline(each), WindowRules()) for user, each in people]
    assert len(windows) == 120
    assert max(highest_likeness(windows, windows)) < ALIKE / 10


def test_test_people_among_those_learnt_from_are_refused_at_the_last_moment():
    test = [person("t", words_of(1))]
    assert_apart([person("a", words_of(2))], ["a"], test)
    shouted = replace(test[0], user_id="b", messages=person("b", words_of(1)).messages)
    for windows, users in (([person("t", words_of(2))], []), ([shouted], []), ([], ["t"])):
        with pytest.raises(DataError, match="1 test people, or their words"):
            assert_apart(windows, users, test)
