from dataclasses import replace
from datetime import timedelta

import pytest
from tests.service.told import APP, MORNING, ask, at_once, consenting

from sottovoce.conversations import QuestionnaireResponse
from sottovoce.service import questionnaires
from sottovoce.service.ledger import SKEW
from sottovoce.service.refusals import Conflict, ConsentMissing, Invalid

ANSWERS = QuestionnaireResponse("u1", "phq-9", MORNING, 9.0, (1,) * 9)


def add(gate, name, answers=ANSWERS, person="u1"):
    with gate.open(APP, "questionnaires.add", person) as case:
        return questionnaires.add(case, name, answers)


def kept(gate, person="u1"):
    with gate.open(APP, "people.export", person) as case:
        return [(each.external_id, each.response) for each in questionnaires.all_of(case)]


def test_the_same_questionnaire_is_stored_once_and_read_in_time(gate):
    consenting(gate, "u1", "monitoring")
    earlier = replace(ANSWERS, completed_at=MORNING - timedelta(days=14), items=None)
    first, new = add(gate, "b")
    assert new
    assert add(gate, "b") == (first, False)
    assert add(gate, "a 🙂 \x00", earlier)[1]
    assert kept(gate) == [("a 🙂 \x00", earlier), ("b", ANSWERS)]


def test_from_several_threads_it_is_stored_once(gate):
    consenting(gate, "u1", "monitoring")
    assert sum(new for _, new in at_once(lambda _: add(gate, "a"), 6)) == 1


def test_an_id_that_comes_with_other_answers_is_a_conflict(gate):
    consenting(gate, "u1", "monitoring")
    add(gate, "a")
    for other in (
        replace(ANSWERS, total=8.0, items=(0, *(1,) * 8)),
        replace(ANSWERS, completed_at=MORNING + timedelta(seconds=1)),
        replace(ANSWERS, items=None),
    ):
        with pytest.raises(Conflict):
            add(gate, "a", other)
    assert kept(gate) == [("a", ANSWERS)]


def test_two_people_may_use_the_same_id(gate):
    for person in ("u1", "u2"):
        consenting(gate, person, "monitoring")
        assert add(gate, "a", replace(ANSWERS, user_id=person), person)[1]
    assert len({row.id for row in ask(gate, "SELECT id FROM questionnaires")}) == 2


def test_one_of_the_future_is_refused_and_a_clock_a_little_ahead_is_taken_as_now(gate):
    consenting(gate, "u1", "monitoring")
    with pytest.raises(Invalid, match="completed_at"):
        add(gate, "a", replace(ANSWERS, completed_at=gate.clock() + 2 * SKEW))
    ahead = replace(ANSWERS, completed_at=gate.clock() + timedelta(minutes=2))
    assert add(gate, "a", ahead)[1]
    assert not add(gate, "a", ahead)[1]
    assert ask(gate, "SELECT 1 FROM questionnaires WHERE completed_at > now()") == []


def test_without_consent_nothing_is_stored(gate):
    consenting(gate, "u1", "research")
    with pytest.raises(ConsentMissing):
        add(gate, "a")
    assert kept(gate) == []


def test_half_a_character_in_an_id_is_refused(gate):
    consenting(gate, "u1", "monitoring")
    with pytest.raises(Invalid):
        add(gate, "\ud800")
    assert kept(gate) == []
