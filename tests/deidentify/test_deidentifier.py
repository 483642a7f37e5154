from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from sottovoce.conversations import Message
from sottovoce.deidentify import open_deidentifier

NOON = datetime(2025, 3, 14, 12, tzinfo=UTC)
HIDES = open_deidentifier("patterns", key=b"secret")


def messages(*texts):
    return [Message("user", text, NOON) for text in texts]


def hidden(*texts, user="ada", using=HIDES):
    done = using.deidentify(user, messages(*texts))
    return [message.content for message in done.messages]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_restoring_gives_any_text_back(texts):
    done = HIDES.deidentify("ada", messages(*texts))
    assert [done.restore(message.content) for message in done.messages] == texts


def test_the_same_value_becomes_the_same_surrogate():
    first, second = hidden("write to ana@mail.test", "ana@mail.test it is")
    assert first.removeprefix("write to ") == second.removesuffix(" it is")


def test_a_pseudonym_is_the_same_for_one_key_and_another_for_another():
    again, other = open_deidentifier(key=b"secret"), open_deidentifier(key=b"other")
    assert HIDES.pseudonym("ada") == again.pseudonym("ada") != other.pseudonym("ada")
    assert HIDES.pseudonym("ada") != HIDES.pseudonym("eve")
