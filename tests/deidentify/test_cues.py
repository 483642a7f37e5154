import pytest
from tests.deidentify.made import found

from sottovoce.deidentify.cues import named_spans
from sottovoce.deidentify.kinds import without_overlap


def look(text):
    return without_overlap(named_spans(text))


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("person", "my name is Xanthippe", "Xanthippe"),
        ("person", "I'm called Zyx Quorn by the way", "Zyx Quorn"),
        ("person", "my older sister Zyx rang", "Zyx"),
        ("person", "then Dr. Zyx came", "Zyx"),
        ("person", "my sister priya rang", "priya"),
        ("person", "Sarah is here", "Sarah"),
        ("person", "I saw Sarah de la Cruz", "Sarah de la Cruz"),
        ("person", "I saw Grace again", "Grace"),
        ("person", "Hi Zyx, how are you?", "Zyx"),
        ("person", "then Zyx said no", "Zyx"),
        ("person", "it was Zyx's funeral", "Zyx"),
        ("organisation", "I work at Quorn and Zyx Ltd now", "Quorn and Zyx Ltd"),
        ("organisation", "a shift at Zyx", "Zyx"),
        ("organisation", "from Quorn General Hospital to home", "Quorn General Hospital"),
        ("place", "I live in Zyx now", "Zyx"),
        ("place", "we moved from Quorn Zyx", "Quorn Zyx"),
    ],
)
def test_names_are_found_by_cue_or_list(kind, text, value):
    assert (kind, value) in found(look, text)


@pytest.mark.parametrize(
    "text",
    [
        "May is hard. Will you rest? Hope helps. Grace under fire. Mark my words. Joy is gone.",
        "In April, on Sunday, by Christmas, since August",
        "My mum said so. Dad left. Nan is ill. The Doctor said rest.",
        "i will hope to rob a bank with grace, bill in hand",
        "I take Prozac and Sertraline with Zopiclone at night",
        "I'm at my wit's end, Jesus, God help me",
        "I live in England, born in Texas, moved to India",
        "I watched it in English with my GP and the NHS on the phone",
        "I HAVE NOT SLEPT in THREE WEEKS",
        "She said he told them. They asked her.",
    ],
)
def test_words_that_only_look_like_names_survive(text):
    assert found(look, text) == []


def test_a_name_that_is_a_word_needs_its_capital_inside_a_sentence():
    assert found(look, "I miss grace") == []
    assert found(look, "Grace notes are short") == []
    assert found(look, "so Grace and I fought") == [("person", "Grace")]
