from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.errors import ServiceError
from sottovoce.service.masterkeys import NONCE_BYTES, new_master_keys
from sottovoce.service.refusals import Invalid
from sottovoce.service.sealing import Index, PersonKey, new_key

KEY = PersonKey(UUID(int=1), bytes(range(32)))
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=8,
)  # fmt: skip


def refused(key: PersonKey, sealed: bytes, place: str = "here") -> None:
    with pytest.raises(ServiceError, match="changed, moved or sealed by another key"):
        key.unseal(sealed, place)


@given(JSON, TEXT)
def test_any_json_comes_back_as_it_was(value, place):
    assert KEY.unseal(KEY.seal(value, place), place) == value


@pytest.mark.parametrize(
    "text", ["", "🙂👩‍👩‍👧", "שלום \u202e عالم", "a\x00b", "\U0010ffff", "e\u0301"]
)
def test_any_character_comes_back_as_it_was(text):
    assert KEY.unseal(KEY.seal(text, "here"), "here") == text


@given(TEXT, st.sampled_from(["\ud800", "\udfff", "\udc80"]), TEXT)
def test_half_a_character_is_refused_and_the_text_is_not_shown(before, half, after):
    with pytest.raises(Invalid) as caught:
        KEY.seal({"content": before + half + after}, "here")
    assert str(caught.value) == "text: it holds a lone surrogate; send whole characters"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@given(TEXT)
def test_the_sealed_value_shows_nothing_of_the_text(text):
    sealed = KEY.seal(text, "here")
    assert len(text) < 4 or text.encode() not in sealed


def test_a_flipped_bit_anywhere_is_found_and_so_is_a_cut():
    sealed = KEY.seal("something to hide", "here")
    for bit in range(8 * len(sealed)):
        flipped = bytearray(sealed)
        flipped[bit // 8] ^= 1 << bit % 8
        refused(KEY, bytes(flipped))
    for length in range(len(sealed)):
        refused(KEY, sealed[:length])
    refused(KEY, sealed + b"\x00")


@given(JSON, TEXT, TEXT)
def test_a_value_opens_only_where_it_was_sealed(value, place, other):
    sealed = KEY.seal(value, place)
    refused(PersonKey(UUID(int=2), KEY.key), sealed, place)
    refused(PersonKey(KEY.person, bytes(range(1, 33))), sealed, place)
    if other != place:
        refused(KEY, sealed, other)


def test_no_nonce_comes_twice():
    nonces = {KEY.seal(None, "here")[1 : 1 + NONCE_BYTES] for _ in range(10_000)}
    assert len(nonces) == 10_000


def test_a_number_that_json_does_not_have_is_never_sealed():
    with pytest.raises(ValueError, match="JSON"):
        KEY.seal(float("nan"), "here")


def test_a_key_never_shows_itself():
    assert KEY.key.hex() not in repr(KEY)
    assert str(KEY.key) not in repr(KEY)


def test_an_id_has_another_digest_for_every_person_kind_and_database():
    index, people = Index(bytes(32)), [uuid4() for _ in range(100)]
    digests = {index.of(each, "message", "a") for each in people}
    digests |= {index.of(each, "questionnaire", "a") for each in people}
    digests |= {index.person("a"), Index(bytes(range(32))).person("a")}
    assert len(digests) == 202
    assert index.of(people[0], "message", "a") == index.of(people[0], "message", "a")


@given(TEXT, st.text(), TEXT, st.text())
def test_where_a_scope_ends_and_an_id_begins_is_never_confused(kind, text, other, more):
    index, person = Index(bytes(32)), UUID(int=1)
    same = index.of(person, kind, text) == index.of(person, other, more)
    assert same == ((kind, text) == (other, more))


def test_half_a_character_in_an_id_is_an_id_like_another():
    index = Index(bytes(32))
    assert index.person("\ud800") != index.person("\ud801")


def test_a_new_key_opens_by_its_keeper():
    keys = new_master_keys()
    key, name, wrapped = new_key(keys, b"context")
    assert name == keys.current
    assert keys.unwrap(name, wrapped, b"context") == key
