import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from tests.made import response

from sottovoce import disclosure
from sottovoce.cohort import Window
from sottovoce.consent import Consent, Grant
from sottovoce.conversations import Message
from sottovoce.deidentify import open_deidentifier
from sottovoce.disclosure import Disclosed, disclose

NOON = datetime(2025, 3, 14, 12, tzinfo=UTC)
SAID = "my name is Xanthippe, write to xanthippe@mail.test at 3am"
HIDES = open_deidentifier("patterns", key=b"secret")


def window(user="ada", said=SAID):
    message = Message("user", said, NOON)
    day = timedelta(days=1)
    return Window(user, NOON - day, NOON + day, (message,), label=response(user))


def agreed(*users, withdrawn=None):
    return Consent([Grant(user, "external_annotation", NOON, withdrawn) for user in users])


def test_what_is_sent_names_nobody_and_holds_no_label():
    sent = disclose([window()], agreed("ada"), HIDES, trusted=False)
    (each,) = sent.windows
    assert "anthippe" not in each.window.messages[0].content
    assert each.window.user_id != "ada" == each.user_id
    assert each.window.label is None
    assert each.restore(each.window.messages[0].content) == SAID
    assert sent.counts == {"person": 1, "email": 1}
    assert sent.label == "patterns only"


@pytest.mark.parametrize(
    ("consent", "deidentifier", "reason"),
    [
        (None, HIDES, disclosure.NO_LEDGER),
        (agreed("eve"), HIDES, disclosure.NO_CONSENT),
        (Consent([Grant("ada", "research", NOON)]), HIDES, disclosure.NO_CONSENT),
        (agreed("ada", withdrawn=NOON), HIDES, disclosure.WITHDRAWN),
        (agreed("ada"), None, disclosure.NO_DEIDENTIFIER),
    ],
)
def test_somebody_elses_server_gets_nothing_without_consent_and_deidentification(
    consent, deidentifier, reason
):
    sent = disclose([window()], consent, deidentifier, trusted=False)
    assert sent.windows == ()
    assert sent.refused == {reason: 1}


def test_consent_given_later_than_the_sending_does_not_count():
    early = NOON - timedelta(days=1)
    sent = disclose([window()], agreed("ada"), HIDES, trusted=False, at=early)
    assert sent.refused == {disclosure.NO_CONSENT: 1}


def test_a_trusted_server_may_read_the_words_as_they_are():
    (each,) = disclose([window()], None, None, trusted=True).windows
    assert each.window.messages[0].content == SAID
    assert each.restore(SAID) == SAID
    assert each.window.label is None


@pytest.mark.parametrize(
    "consent", [agreed("eve"), agreed("ada", withdrawn=NOON)], ids=["never", "withdrawn"]
)
def test_a_given_ledger_holds_for_a_trusted_server_too(consent):
    sent = disclose([window()], consent, None, trusted=True)
    assert sent.windows == ()
    assert sum(sent.refused.values()) == 1


def test_people_are_refused_one_by_one():
    sent = disclose([window("ada"), window("eve")], agreed("eve"), HIDES, trusted=False)
    assert [each.user_id for each in sent.windows] == ["eve"]
    assert sent.refused == {disclosure.NO_CONSENT: 1}


def test_nothing_but_the_gate_makes_what_may_be_sent():
    with pytest.raises(TypeError, match="only"):
        Disclosed(window(), "ada", None, object())
    (each,) = disclose([window()], None, None, trusted=True).windows
    with pytest.raises(ValueError, match="gate"):
        dataclasses.replace(each, window=window("eve"))


def test_what_may_be_sent_does_not_show_its_true_person():
    (each,) = disclose([window("xylophonist")], agreed("xylophonist"), HIDES, trusted=False).windows
    assert "xylophonist" not in repr(each)
    assert "anthippe" not in repr(each)
