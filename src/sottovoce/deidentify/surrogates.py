"""What stands instead of a name, a number or a place: of the same kind, the same for one person.

Owns the pools and reserved ranges that surrogates come from, and that no two things of a person
share one. Does not know what was found where.

References
----------
Phones: NANPA, 555-0100 to 555-0199 are for fiction; Ofcom, numbers for drama, 07700 900000 to
900999. Hosts: RFC 2606 (example.org), RFC 5737 and RFC 3849 (addresses for documentation).
Postcodes: Royal Mail has no area ZZ; the USPS no ZIP below 00501. SSN: no area 000.
"""

import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from functools import cache
from importlib import import_module

from sottovoce.deidentify.cues import WORDS, without_possessive
from sottovoce.deidentify.kinds import Kind
from sottovoce.deidentify.lexicon import SURVIVES, first_names, is_clear_name
from sottovoce.deidentify.patterns import is_nhs_number, passes_luhn

DRAWS = 200
"""Ours. Candidates for one surrogate before bracketed words stand instead: a hundred fictional
numbers of one area code are the smallest pool."""


_TITLED = re.compile(r"\b(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Professor)\.?\s([^\W\d_]+)")
"""What stands after a title is a surname, which then stands for it everywhere."""


class Draw:
    """An endless row of choices that a secret decides.

    Parameters
    ----------
    key
        The person's secret.
    text
        What the choices are for.
    """

    def __init__(self, key: bytes, text: str) -> None:
        self._number = int.from_bytes(hmac.digest(key, text.encode(), "sha512"), "big")

    def below(self, limit: int) -> int:
        """Give a number from 0 to below a limit."""
        self._number, drawn = divmod(self._number, limit)
        return drawn

    def of(self, pool: Sequence[str]) -> str:
        """Give one of a pool."""
        return pool[self.below(len(pool))]


class Surrogates:
    """One person's surrogates.

    Parameters
    ----------
    key
        The person's secret.
    texts
        All that she and the companion wrote: no surrogate occurs in it.
    attempt
        Another number gives other surrogates.
    plain
        Whether to write bracketed words instead of natural ones.
    """

    def __init__(self, key: bytes, texts: Sequence[str], attempt: int, *, plain: bool) -> None:
        self._key, self._attempt, self._plain = key, attempt, plain
        whole = "\n".join(texts)
        self._text = whole.casefold()
        self._titled = {each.casefold() for each in _TITLED.findall(whole)}
        self._given: dict[str, str] = {}
        self._parts: dict[str, str] = {}
        self.back: dict[str, str] = {}

    def of(self, kind: Kind, value: str) -> str:
        """Give what stands for a value of a kind, as it is written."""
        if kind == "person" and not self._plain:
            return self._full_name(value)
        return self._one(kind, value, MAKERS.get(kind))

    def _full_name(self, value: str) -> str:
        """Replace a name part by part, so that a first name alone stays the same as in full."""
        made, done, first = [], 0, True
        for match in WORDS.finditer(value):
            part = without_possessive(match[0])
            if part.casefold() in SURVIVES or len(part) < 2:
                continue
            surname = not first or part.casefold() in self._titled
            maker = _last_name if surname and not is_clear_name(part) else _first_name
            made += [value[done : match.start()], self._one("person", part, maker)]
            done, first = match.start() + len(part), False
        if first:  # nothing but initials: all of it is one name
            return self._one("person", value, _last_name)
        return "".join([*made, value[done:]])

    def _one(self, kind: Kind, value: str, maker: "Maker | None") -> str:
        if value not in self._given:
            made = None if self._plain or maker is None else self._natural(kind, value, maker)
            self._given[value] = made or self._bracketed(kind)
            self.back[self._given[value]] = value
        return self._given[value]

    def _natural(self, kind: Kind, value: str, maker: "Maker") -> str | None:
        """Draw until one is free: in none of the texts, and nothing else's.

        Spellings of one name (Ana, ANA, ana) go through the same row of draws, so that they agree
        unless they cannot.
        """
        base = value.casefold()
        for number in range(DRAWS):
            draw = Draw(self._key, f"{kind}\x00{base}\x00{self._attempt}\x00{number}")
            made = maker(value, draw)
            low = made.casefold()
            owner = self._parts.get(low, base)
            if low not in self._text and made not in self.back and owner == base:
                self._parts[low] = base
                return made
        return None

    def _bracketed(self, kind: Kind) -> str:
        number = 1
        while (made := f"[{kind}-{number}]") in self._text or made in self.back:
            number += 1
        return made


Maker = Callable[[str, Draw], str]
"""What makes a surrogate of a value: drawn, and in the value's form."""


@cache
def _pool(which: str) -> tuple[str, ...]:
    """Give names to draw from: American and British ones of Faker's, no word among them."""
    providers = [
        import_module(f"faker.providers.person.{each}").Provider for each in ("en_US", "en_GB")
    ]
    names = {
        str(name)
        for provider in providers
        for name in getattr(provider, which)
        if str(name).isalpha() and len(str(name)) > 3
    }
    clear = is_clear_name if which != "last_names" else str.isalpha
    return tuple(sorted(name for name in names if clear(name)))


def _first_name(value: str, draw: Draw) -> str:
    gender = first_names().get(value.casefold(), "")
    which = {"f": "first_names_female", "m": "first_names_male", "": "first_names"}[gender]
    return _in_case(value, draw.of(_pool(which)))


def _last_name(value: str, draw: Draw) -> str:
    return _in_case(value, draw.of(_pool("last_names")))


def _in_case(value: str, made: str) -> str:
    """Write a made name as the true one is written: small, shouted, or with a capital."""
    if value.islower():
        return made.lower()
    return made.upper() if value.isupper() and len(value) > 1 else made


def _organisation(value: str, draw: Draw) -> str:
    """Keep what it is (a school, a hospital), for that says something of the person's day."""
    name = draw.of(_pool("last_names"))
    if body := re.search(rf"(?<!\S)(?:{_BODIES})$", value.strip(), re.IGNORECASE):
        return f"{name} {body[0]}"
    return f"{name} {draw.of(('and Sons', 'and Partners', 'Group', 'Services', 'Works'))}"


_BODIES = (
    "university|college|school|academy|hospital|infirmary|clinic|surgery|bank|council|church"
    "|institute|foundation|bakery|brewery|pharmacy|library|museum|primary|elementary|nursery"
)


def _place(value: str, draw: Draw) -> str:
    ending = draw.of(("ton", "ville", "bury", "ford", "ham", "wick", "stead", "field"))
    return _in_case(value, draw.of(_pool("last_names")) + ending)


def _address(value: str, draw: Draw) -> str:
    road = draw.of(("Street", "Road", "Lane", "Avenue"))
    number = f"{1 + draw.below(180)} " if re.search(r"\d", value) else ""
    return f"{number}{draw.of(_pool('last_names'))} {road}"


def _postcode(value: str, draw: Draw) -> str:
    """Keep the state before a ZIP code, which may stand."""
    if zip_code := re.search(r"\d{5}", value):
        made = f"00{draw.below(500):03d}" + (f"-{draw.below(10000):04d}" if "-" in value else "")
        return value[: zip_code.start()] + made
    return f"ZZ{1 + draw.below(99)} {draw.below(10)}{_letters(draw, 2)}"


def _phone(value: str, draw: Draw) -> str:
    digits = re.sub(r"\D", "", value)
    if value.startswith("+44") or digits.startswith(("07", "01", "02", "44")):
        start = "+44 7700" if value.startswith("+44") else "07700"
        return f"{start} 900{draw.below(1000):03d}"
    if len(digits) == 7:
        return f"555-01{draw.below(100):02d}"
    start = "+1 " if value.startswith("+1") else ""
    return f"{start}{draw.of(_AREAS)}-555-01{draw.below(100):02d}"


_AREAS = ("202", "206", "303", "312", "404", "415", "503", "512", "602", "617", "702", "713")
"""Area codes of cities of the United States; which one says nothing, the numbers are fiction."""


def _email(_value: str, draw: Draw) -> str:
    first, last = draw.of(_pool("first_names")), draw.of(_pool("last_names"))
    return f"{first}.{last}@example.org".lower()


def _url(_value: str, draw: Draw) -> str:
    return f"https://example.org/{draw.below(16**8):08x}"


def _ip_address(value: str, draw: Draw) -> str:
    if ":" in value:
        return f"2001:db8::{draw.below(65536):x}:{draw.below(65536):x}"
    block = draw.of(("192.0.2", "198.51.100", "203.0.113"))
    return f"{block}.{1 + draw.below(254)}"


def _handle(value: str, draw: Draw) -> str:
    start = next((each for each in ("/u/", "u/", "/r/", "r/", "@") if value.startswith(each)), "")
    name = f"{draw.of(_pool('first_names'))}{draw.of(_pool('last_names'))}{draw.below(100):02d}"
    return f"{start}{name.lower()}" + (f"#{draw.below(10000):04d}" if "#" in value else "")


def _identifier(value: str, draw: Draw) -> str:
    """Give other characters of the same form, that pass no check of a real number."""
    made = "".join(
        str(draw.below(10)) if each.isdigit() else _letters(draw, 1) if each.isalpha() else each
        for each in value
    )
    if re.fullmatch(r"\d{3}-\d{2}-\d{4}", made):
        return "000" + made[3:]
    digits = re.sub(r"\D", "", made)
    if is_nhs_number(digits) or (len(digits) >= 13 and passes_luhn(digits)):
        made = re.sub(r"\d(?=\D*$)", lambda last: str((int(last[0]) + 1) % 10), made)
    return made


def _letters(draw: Draw, count: int) -> str:
    return "".join(draw.of("ABDEFGHJLNPQRSTUWXYZ") for _ in range(count))


_MONTHS = "January February March April May June July August September October November December"
_FORMATS: tuple[tuple[str, str], ...] = (
    (r"\d{4}-\d\d-\d\d", "{0.year}-{0.month:02d}-{0.day:02d}"),
    (r"\d+/\d+/\d+", "{0.day:02d}/{0.month:02d}/{0.year}"),
    (r"\d+\.\d+\.\d+", "{0.day:02d}.{0.month:02d}.{0.year}"),
    (r"\d+-\d+-\d+", "{0.day:02d}-{0.month:02d}-{0.year}"),
    (r"\D.*\d{4}", "{1} {0.day}, {0.year}"),
    (r"\d.*\d{4}", "{0.day} {1} {0.year}"),
    (r"\D.*", "{1} {0.day}"),
    (r".*", "{0.day} {1}"),
)


def _date(value: str, draw: Draw) -> str:
    """Give another day within a year of the same one, where one is written: ages stay near."""
    year = re.search(r"(?:19|20)\d\d", value)
    start = date(int(year[0]) if year else 1984, 1, 1)
    moved = start + timedelta(days=draw.below(365))
    form = next(form for pattern, form in _FORMATS if re.fullmatch(pattern, value, re.DOTALL))
    return form.format(moved, _MONTHS.split()[moved.month - 1])


def _age(_value: str, draw: Draw) -> str:
    return draw.of(("over 89", "90 or older", "90 or more", "past 89", "at least 90"))


MAKERS: Mapping[Kind, Maker] = {
    "organisation": _organisation,
    "place": _place,
    "address": _address,
    "postcode": _postcode,
    "phone": _phone,
    "email": _email,
    "url": _url,
    "ip_address": _ip_address,
    "handle": _handle,
    "identifier": _identifier,
    "date": _date,
    "age": _age,
}
"""What makes a surrogate of each kind but people, who are made part by part."""
