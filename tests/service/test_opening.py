import threading
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.service.filled import fill, of_everything
from tests.service.told import APP, ask, at_once, consenting, said

from sottovoce.errors import ServiceError
from sottovoce.service import messages, opening, people
from sottovoce.service.masterkeys import MasterKeys, new_master_keys
from sottovoce.service.opening import database_key, open_gate, rewrap


class Killed(BaseException):
    """As a process ends that is killed."""


class Failing:
    """Master keys that are taken away after some keys were wrapped."""

    def __init__(self, keys: MasterKeys, wraps: int) -> None:
        self.keys, self.left = keys, wraps
        self.current, self.unwrap = keys.current, keys.unwrap

    def wrap(self, key: bytes, context: bytes) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise Killed
        return self.keys.wrap(key, context)


def test_another_master_key_opens_nothing_and_says_so_at_once(database):
    keys = new_master_keys()
    open_gate(database, keys)
    with pytest.raises(ServiceError, match=f"{keys.current}, which is not here"):
        open_gate(database, new_master_keys())
    same_name = MasterKeys({keys.current: bytes(range(32))})
    with pytest.raises(ServiceError, match="does not open") as caught:
        open_gate(database, same_name)
    assert "\n" not in str(caught.value)


def test_of_several_that_open_a_new_database_at_once_all_have_the_same_keys(database):
    keys = new_master_keys()
    found = at_once(lambda _: database_key(database, keys, "index"), 8)
    assert len(set(found)) == 1
    assert database_key(database, keys, "audit") not in found


def test_a_database_whose_own_keys_are_gone_gets_no_new_ones(database):
    keys = new_master_keys()
    gate = open_gate(database, keys)
    consenting(gate, "u1")
    for name in ("index", "audit"):
        row = ask(gate, "DELETE FROM secrets WHERE name = :name RETURNING *", name=name)[0]
        with pytest.raises(ServiceError, match=f"key {name} is gone"):
            open_gate(database, keys)
        ask(
            gate,
            "INSERT INTO secrets VALUES (:name, :key, :wrapped)",
            name=name,
            key=row.key_id,
            wrapped=row.wrapped,
        )
    with open_gate(database, keys).open(APP, "people.read", "u1") as case:
        assert case.external_id == "u1"


def test_a_key_that_was_put_in_another_ones_place_does_not_open(database):
    keys = new_master_keys()
    gate = open_gate(database, keys)
    ask(
        gate,
        "UPDATE secrets SET wrapped = (SELECT wrapped FROM secrets WHERE name = 'audit') "
        "WHERE name = 'index'",
    )
    with pytest.raises(ServiceError, match="does not open"):
        open_gate(database, keys)


def test_a_rotation_rewraps_everything_once_and_nothing_is_lost(database):
    keys = new_master_keys()
    gate = open_gate(database, keys)
    fill(gate, "u1")
    before, sealed = of_everything(gate, "u1"), ask(gate, "SELECT sealed FROM messages")
    newer = keys.newer()
    assert rewrap(database, newer) == 3  # two keys of the database and one person's
    assert rewrap(database, newer) == 0
    assert of_everything(open_gate(database, newer.without_old()), "u1") == before
    assert ask(gate, "SELECT sealed FROM messages") == sealed
    with pytest.raises(ServiceError):
        open_gate(database, keys)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(kills=st.lists(st.integers(0, 12), max_size=4), at_a_time=st.integers(1, 5))
def test_a_rotation_that_is_killed_goes_on_when_it_is_begun_again(
    new_database, template, kills, at_a_time
):
    from sottovoce.service.database import Database

    database = Database(new_database(template))
    keys = new_master_keys()
    gate = open_gate(database, keys)
    names = [f"u{number}" for number in range(6)]
    for name in names:
        people.register(gate, APP, name)
    newer = keys.newer()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening, "REWRAPPED_AT_ONCE", at_a_time)
        for wraps in kills:
            try:
                rewrap(database, Failing(newer, wraps))
            except Killed:
                for name in names:  # half of them are wrapped by each key
                    with open_gate(database, newer).open(APP, "people.read", name) as case:
                        assert case.external_id == name
        rewrap(database, newer)
    last = open_gate(database, newer.without_old())
    for name in names:
        with last.open(APP, "people.read", name) as case:
            assert case.external_id == name
    database.close()


def test_requests_go_on_during_a_rotation_and_none_waits_for_a_key_service(database):
    keys = new_master_keys()
    newer = keys.newer()
    gate = open_gate(database, newer)
    old = open_gate(database, newer)
    old.keeper = MasterKeys({keys.current: keys._keys[keys.current], **newer._keys})
    for number in range(4):
        consenting(old, f"u{number}", "monitoring")
    asked, answer = threading.Event(), threading.Event()

    class Slow(Failing):
        def wrap(self, key: bytes, context: bytes) -> bytes:
            asked.set()
            answer.wait()
            return super().wrap(key, context)

    thread = threading.Thread(target=rewrap, args=(database, Slow(newer, 100)))
    thread.start()
    asked.wait()
    for number in range(4):  # a key service has not answered yet
        with gate.open(APP, "messages.add", f"u{number}") as case:
            assert messages.add(case, [said(1)], timedelta(0)).new == 1
    answer.set()
    thread.join()
    assert {row.key_id for row in ask(gate, "SELECT key_id FROM people")} == {newer.current}


def test_rotations_at_once_and_one_erased_meanwhile_do_not_harm(database):
    from sottovoce.service import erasure

    keys = new_master_keys()
    gate = open_gate(database, keys)
    for number in range(30):
        people.register(gate, APP, f"u{number}")
    newer = keys.newer()

    def work(number):
        if number < 3:
            return rewrap(database, newer)
        with open_gate(database, newer).open(APP, "people.erase", f"u{number}") as case:
            erasure.erase(case)
        return 0

    at_once(work, 6)
    last = open_gate(database, newer.without_old())
    with last.work(APP, "people.list") as connection:
        assert len(last.listed(connection, APP, "people.list")) == 27
