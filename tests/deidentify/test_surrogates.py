import ipaddress
import re

import pytest
from tests.deidentify.made import KEY

from sottovoce.deidentify.kinds import KINDS
from sottovoce.deidentify.lexicon import first_names
from sottovoce.deidentify.patterns import is_nhs_number, passes_luhn
from sottovoce.deidentify.surrogates import MAKERS, Surrogates, _pool


def made(kind, value, texts=(), **changes):
    told = {"attempt": 0, "plain": False} | changes
    return Surrogates(KEY, [value, *texts], told["attempt"], plain=told["plain"]).of(kind, value)


@pytest.mark.parametrize(
    ("kind", "value", "form"),
    [
        ("phone", "07911 123456", r"07700 900\d{3}"),
        ("phone", "+44 7911 123456", r"\+44 7700 900\d{3}"),
        ("phone", "(415) 234-5678", r"\d{3}-555-01\d\d"),
        ("phone", "234-5678", r"555-01\d\d"),
        ("email", "ana@mail.test", r"[a-z]+\.[a-z]+@example\.org"),
        ("url", "https://ana.blog", r"https://example\.org/[0-9a-f]{8}"),
        ("handle", "@ana", r"@[a-z]+\d\d"),
        ("handle", "u/ana", r"u/[a-z]+\d\d"),
        ("handle", "ana#1234", r"[a-z]+\d\d#\d{4}"),
        ("address", "14 Elm Street", r"\d+ [A-Z]\w+ (Street|Road|Lane|Avenue)"),
        ("address", "Mill Road", r"[A-Z]\w+ (Street|Road|Lane|Avenue)"),
        ("postcode", "LS2 9JT", r"ZZ\d\d? \d[A-Z]{2}"),
        ("postcode", "75001", r"00[0-4]\d\d"),
        ("postcode", "TX 75001-1234", r"TX 00[0-4]\d\d-\d{4}"),
        ("identifier", "123-45-6789", r"000-\d\d-\d{4}"),
        ("identifier", "AB123456C", r"[A-Z]{2}\d{6}[A-Z]"),
        ("organisation", "Saint Luke's Hospital", r"[A-Z]\w+ Hospital"),
        ("organisation", "Zyx", r"[A-Z]\w+ (and \w+|Group|Services|Works)"),
        ("place", "Zyx", r"[A-Z]\w+"),
        ("place", "zyx", r"[a-z]+"),
        ("date", "3 May 1987", r"\d+ [A-Z][a-z]+ 1987"),
        ("date", "May 3rd, 1987", r"[A-Z][a-z]+ \d+, 1987"),
        ("date", "03/05/1987", r"\d\d/\d\d/1987"),
        ("date", "1987-05-03", r"1987-\d\d-\d\d"),
        ("date", "3 May", r"\d+ [A-Z][a-z]+"),
        ("age", "93", r".*(89|90).*"),
        ("person", "ANA", r"[A-Z]+"),
        ("person", "Zyx Quorn", r"[A-Z][a-z]+ [A-Z][A-Za-z]+"),
    ],
)
def test_a_surrogate_has_the_form_of_its_kind(kind, value, form):
    assert re.fullmatch(form, made(kind, value))


def test_a_surrogate_never_passes_the_check_of_a_real_number():
    for attempt in range(200):
        card = made("identifier", "4111 1111 1111 1111", attempt=attempt)
        assert not passes_luhn(re.sub(r"\D", "", card))
        nhs = made("identifier", "943 476 5919", attempt=attempt)
        assert not is_nhs_number(re.sub(r"\D", "", nhs))


@pytest.mark.parametrize("value", ["8.8.8.8", "2a00:1450::5"])
def test_a_host_becomes_one_that_is_kept_for_documentation(value):
    address = ipaddress.ip_address(made("ip_address", value))
    kept = ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"]
    assert any(address in ipaddress.ip_network(each) for each in kept)


@pytest.mark.parametrize(("name", "gender"), [("Barbara", "f"), ("Martin", "m")])
def test_a_name_of_one_gender_stays_of_it(name, gender):
    assert first_names()[name.casefold()] == gender
    for attempt in range(20):
        assert first_names()[made("person", name, attempt=attempt).casefold()] in (gender, "")


def test_a_name_after_a_title_becomes_a_surname():
    surnames = {*_pool("last_names")}
    for attempt in range(20):
        assert made("person", "Zyx", ["Mrs. Zyx rang."], attempt=attempt) in surnames
        assert made("person", "Zyx", attempt=attempt) in {*_pool("first_names")}


def test_a_surrogate_that_stands_in_the_texts_is_passed_over():
    first = made("person", "Priya")
    assert made("person", "Priya", [first]) != first


def test_when_nothing_natural_is_free_a_bracketed_word_stands():
    everything = [f"555-01{number:02d}" for number in range(100)]
    assert made("phone", "234-5678", everything) == "[phone-1]"
    assert made("phone", "234-5678", [*everything, "[phone-1]"]) == "[phone-2]"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_natural_and_bracketed_surrogates(kind):
    assert kind == "person" or kind in MAKERS
    assert made(kind, "3 May 1987", plain=True) == f"[{kind}-1]"


def test_initials_alone_are_a_name():
    assert made("person", "J. K.") not in ("J. K.", "")
