import pytest
from tests.deidentify.made import found

from sottovoce.deidentify.kinds import without_overlap
from sottovoce.deidentify.patterns import formal_spans, is_nhs_number, passes_luhn


def look(text):
    return without_overlap(formal_spans(text))


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("email", "write to ana.b+c@mail.co.uk.", "ana.b+c@mail.co.uk"),
        ("url", "it is on https://ana.blog/me?x=1, see", "https://ana.blog/me?x=1"),
        ("url", "see www.ana-b.org.", "www.ana-b.org"),
        ("url", "see ana.com/me", "ana.com/me"),
        ("handle", "I post as @ana_b", "@ana_b"),
        ("handle", "I am u/ana-b there", "u/ana-b"),
        ("handle", "add ana#1234", "ana#1234"),
        ("handle", "my insta is ana_b99", "ana_b99"),
        ("phone", "ring 07700 123456", "07700 123456"),
        ("phone", "ring (415) 234-5678", "(415) 234-5678"),
        ("phone", "ring +49 30 12345678", "+49 30 12345678"),
        ("phone", "ring 234-5678", "234-5678"),
        ("address", "I live at 14 Elm Street now", "14 Elm Street"),
        ("address", "Flat 2, 14b Elm Road", "Flat 2, 14b Elm Road"),
        ("address", "it is 14 elm street", "14 elm street"),
        ("address", "the house on Mill Road", "Mill Road"),
        ("address", "P.O. Box 123", "P.O. Box 123"),
        ("postcode", "near LS2 9JT", "LS2 9JT"),
        ("postcode", "in TX 75001 we", "TX 75001"),
        ("postcode", "my zip is 75001", "75001"),
        ("identifier", "it is 123-45-6789", "123-45-6789"),
        ("identifier", "card 4111 1111 1111 1111", "4111 1111 1111 1111"),
        ("identifier", "it says 943 476 5919", "943 476 5919"),
        ("identifier", "my NI is AB 12 34 56 C", "AB 12 34 56 C"),
        ("identifier", "account number is 12345678", "12345678"),
        ("identifier", "GB29 NWBK 6016 1331 9268 19", "GB29 NWBK 6016 1331 9268 19"),
        ("ip_address", "from 10.1.2.30 again", "10.1.2.30"),
        ("ip_address", "from 2001:db8::8a2e:370:7334 again", "2001:db8::8a2e:370:7334"),
        ("date", "born on 3 May 1987", "3 May 1987"),
        ("date", "on May 3rd, 1987 I", "May 3rd, 1987"),
        ("date", "it was 03/05/1987", "03/05/1987"),
        ("date", "it was 1987-05-03", "1987-05-03"),
        ("date", "my birthday is 3 May", "3 May"),
        ("age", "she is 93 years old", "93"),
        ("age", "gran turned ninety-four", "ninety-four"),
    ],
)
def test_what_has_a_form_is_found_whole(kind, text, value):
    assert (kind, value) in found(look, text)


@pytest.mark.parametrize(
    "text",
    [
        "I woke at half past three, at 3am, at 4:30 and at 23:15",
        "every Monday in May, on the 3rd of June and since last week",
        "They gave me 50 mg sertraline, then 150mg, two tablets at 8",
        "I scored 14, then 21/27, then 3 out of 10 on the PHQ-9",
        "she is 45 years old, he turned 18, it is 93% full, I ran 95 minutes",
        "2 cups, 10 minutes, 5 days in a row, 3-4 times, 1,250 steps, page 118",
        "ratio 3.5, version 1.2, and/or, he/she, 7/3/11 for the tablets",
        "in 2019 and in the 1990s",
        "e.g. this, i.e. that. No.",
    ],
)
def test_times_doses_scores_and_counts_survive(text):
    assert found(look, text) == []


def test_the_examples_of_the_check_digits_pass_and_their_neighbours_do_not():
    assert passes_luhn("79927398713")  # Luhn's patent, as commonly worked
    assert not passes_luhn("79927398710")
    assert is_nhs_number("9434765919")  # NHS Data Dictionary's own example
    assert not is_nhs_number("9434765918")
    assert not is_nhs_number("943476591")


@pytest.mark.parametrize(
    "piece", ["a-", "a.a", "9", "AB12 ", "Ana ", "@aa ", "14 elm ", "my older "]
)
def test_a_long_message_of_one_piece_is_gone_through(piece):
    text = piece * 1500  # quadratic at worst; a backtracking pattern would not end
    assert all(0 <= span.start < span.end <= len(text) for span in look(text))
