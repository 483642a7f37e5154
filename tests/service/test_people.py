from uuid import uuid4

import pytest
from tests.service.told import APP, ask, at_once, consenting

from sottovoce.service import people
from sottovoce.service.people import Person
from sottovoce.service.principals import ROLES, SERVICE, Principal
from sottovoce.service.refusals import Forbidden, Invalid


def test_registering_twice_gives_the_same_person(gate):
    person, new = people.register(gate, APP, "u1")
    assert new
    assert (person.external_id, person.purposes, person.pending) == ("u1", (), False)
    assert people.register(gate, APP, "u1") == (person, False)
    consenting(gate, "u1", "warning", "monitoring")
    assert people.register(gate, APP, "u1") == (
        Person("u1", person.created_at, ("monitoring", "warning"), pending=False),
        False,
    )


def test_registering_from_several_threads_makes_one_person_and_notes_each_once(gate):
    found = at_once(lambda _: people.register(gate, APP, "u1"), 8)
    assert sum(new for _, new in found) == 1
    assert len({person.created_at for person, _ in found}) == 1
    noted = ask(gate, "SELECT person_id, outcome FROM audit")
    number = ask(gate, "SELECT id FROM people")[0].id
    assert [tuple(row) for row in noted] == [(number, "ok")] * 8
    assert gate.verify().problem is None


@pytest.mark.parametrize("role", [each for each in (*ROLES, "service") if each != "app"])
def test_only_an_app_registers_and_who_tried_is_noted(gate, role):
    who = SERVICE if role == "service" else Principal(role, uuid4())
    with pytest.raises(Forbidden):
        people.register(gate, who, "u1")
    assert ask(gate, "SELECT 1 FROM people") == []
    noted = ask(gate, "SELECT role, action, outcome FROM audit")
    assert [tuple(row) for row in noted] == [(role, "people.register", "forbidden")]


def test_an_id_that_is_no_text_is_refused_and_leaves_nothing(gate):
    with pytest.raises(Invalid):
        people.register(gate, APP, "u\ud800")
    assert ask(gate, "SELECT 1 FROM people") == []


def test_ids_that_look_alike_are_different_people(gate):
    names = ["u1", "U1", "u1 ", "u\u0301", "ú", "u", "u\x00", ""]
    for name in names:
        assert people.register(gate, APP, name)[1]
    assert ask(gate, "SELECT count(*) AS n FROM people")[0].n == len(names)
