from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.deidentify.made import KEY, finding

from sottovoce.conversations import Message
from sottovoce.deidentify import KINDS, Deidentifier, open_deidentifier, read_key
from sottovoce.deidentify.patterns import passes_luhn
from sottovoce.errors import DataError

NOON = datetime(2025, 3, 14, 12, tzinfo=UTC)
HIDES = open_deidentifier("patterns", KEY)

PIECES = (
    "Ana ANA ana Ana's Priya Patel Mia mia Reed ana@mail.test @ana_l 07700900123 555-0100 "
    "[person-1] [email-1] 14 LS2 3am I the . ! said Leeds Tesco"
).split()
"""Words that are found, words that are surrogates, and words that look like them."""


def messages(*texts, role="user"):
    return [Message(role, text, NOON) for text in texts]


def hidden(*texts, user="ada", using=HIDES):
    done = using.deidentify(user, messages(*texts))
    return [message.content for message in done.messages]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_restoring_gives_any_text_back(texts):
    done = HIDES.deidentify("ada", messages(*texts))
    assert [done.restore(message.content) for message in done.messages] == texts


@given(st.lists(st.lists(st.sampled_from(PIECES)), max_size=4), st.sampled_from(["", " ", "-"]))
def test_restoring_gives_texts_back_that_are_full_of_names_and_surrogates(parts, between):
    texts = [between.join(each) for each in parts]
    done = HIDES.deidentify("ada", messages(*texts))
    assert [done.restore(message.content) for message in done.messages] == texts


@given(st.lists(st.sampled_from(PIECES), min_size=1), st.data())
def test_restoring_gives_texts_back_whatever_a_finder_takes(words, data):
    text = " ".join(words)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=8)))
    kind = st.sampled_from(KINDS)
    spans = [(*pair, data.draw(kind)) for pair in pairwise(cuts)]
    using = Deidentifier(finding(lambda _text: spans[::2]), KEY)
    done = using.deidentify("ada", messages(text))
    assert done.restore(done.messages[0].content) == text


@pytest.mark.parametrize("kind", KINDS)
def test_a_finder_may_take_nothing_but_white_space(kind):
    done = Deidentifier(finding(lambda _text: [(2, 3, kind)]), KEY).deidentify(
        "ada", messages("At Oak.")
    )
    assert done.restore(done.messages[0].content) == "At Oak."


def test_a_card_number_with_letters_after_it_becomes_one_that_is_no_card_s():
    text = "card 4111111111111111 A"
    for number in range(40):  # of forty made numbers about four would pass a card's check
        using = Deidentifier(finding(lambda said: [(5, len(said), "identifier")]), KEY)
        done = using.deidentify(f"user-{number}", messages(text))
        made = done.messages[0].content
        assert not passes_luhn("".join(filter(str.isdigit, made)))
        assert done.restore(made) == text


def test_a_name_becomes_the_same_one_in_every_message_case_and_form():
    first, second, third = hidden("My sister Ana Lopez rang.", "ANA said ana's fine", "Lopez, Ana")
    name, surname = first.removeprefix("My sister ").removesuffix(" rang.").split()
    assert second == f"{name.upper()} said {name.lower()}'s fine"
    assert third == f"{surname}, {name}"
    assert {name, surname} & {"Ana", "Lopez"} == set()


def test_a_name_is_the_same_in_both_roles_messages():
    said = [*messages("I'm called Priya."), *messages("Good to meet you, Priya.", role="assistant")]
    mine, reply = (each.content for each in HIDES.deidentify("ada", said).messages)
    assert mine.removeprefix("I'm called ") == reply.removeprefix("Good to meet you, ")


def test_another_person_or_key_gets_another_name():
    text = "my email is ana.lopez@mail.test"
    others = Deidentifier(HIDES.finder, b"o" * 32)
    found = {hidden(text)[0], hidden(text, user="eve")[0], hidden(text, using=others)[0]}
    assert len(found) == 3
    assert hidden(text) == hidden(text)


def test_a_surrogate_is_no_name_that_stands_in_the_texts():
    texts = ["My sister Ana rang.", "The rest: " + " ".join(map(str.title, PIECES))]
    done = HIDES.deidentify("ada", messages(*texts))
    assert not any(made.casefold() in "\n".join(texts).casefold() for made in done.back)


def test_two_things_never_share_a_surrogate():
    many = [f"07700 1{number:05d}" for number in range(0, 99_000, 330)]
    texts = [f"Ring {number} now." for number in many]
    done = HIDES.deidentify("ada", messages(*texts))
    assert len(set(done.back)) == len(many) == done.counts["phone"]
    assert [done.restore(message.content) for message in done.messages] == texts


def test_a_quote_in_another_case_is_restored_to_the_persons_words():
    done = HIDES.deidentify("ada", messages("I told Priya everything."))
    quote = done.messages[0].content.lower()
    assert "Priya" in done.restore(quote)


def test_times_roles_and_the_rest_of_the_words_stay():
    said = Message("assistant", "Hello, how did you sleep?", NOON)
    done = HIDES.deidentify("ada", [said])
    assert done.messages == (said,)
    assert done.counts == {}


def test_what_was_found_is_counted_by_kind_and_the_way_back_is_not_shown():
    done = HIDES.deidentify("ada", messages("Xanthippe@mail.test and 07700 900123", "x@mail.test"))
    assert done.counts == {"phone": 1, "email": 2}
    assert "anthippe" not in repr(done)


def test_a_pseudonym_is_the_same_for_one_key_and_another_for_another():
    again, other = open_deidentifier(key=KEY), open_deidentifier(key=b"o" * 32)
    assert HIDES.pseudonym("ada") == again.pseudonym("ada") != other.pseudonym("ada")
    assert HIDES.pseudonym("ada") != HIDES.pseudonym("eve")


def test_without_a_key_every_deidentifier_has_its_own():
    assert open_deidentifier().pseudonym("ada") != open_deidentifier().pseudonym("ada")


def test_patterns_call_themselves_patterns_only():
    assert HIDES.label == "patterns only"


def test_a_key_is_read_from_a_file(tmp_path):
    (tmp_path / "key").write_bytes(KEY + b"\n")
    assert read_key(tmp_path / "key") == KEY


@pytest.mark.parametrize("content", [b"", b"short"])
def test_a_key_that_is_no_secret_is_refused(tmp_path, content):
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(DataError, match="bytes"):
        read_key(tmp_path / "key")


def test_a_draw_is_the_same_for_a_person_a_purpose_and_a_key_and_for_nothing_else():
    def drawn(user, purpose, key=KEY):
        return open_deidentifier("patterns", key).draw(purpose, user).below(10**9)

    assert drawn("ada", "weeks") == drawn("ada", "weeks")
    others = [drawn("eve", "weeks"), drawn("ada", "days"), drawn("ada", "weeks", b"another")]
    assert len({drawn("ada", "weeks"), *others}) == 4
