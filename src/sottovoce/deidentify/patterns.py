"""What has a form of its own: numbers, addresses on the net and on the street, dates, ages.

Owns one pattern a kind, each with its check. Does not know names (`cues`) nor what is done with
what it finds.
"""

import ipaddress
import re
from collections.abc import Iterator
from contextlib import suppress

from sottovoce.deidentify.kinds import Kind, Span

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DAY = r"(?:3[01]|[12]\d|0?[1-9])(?:st|nd|rd|th)?"
_ROAD = r"(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Crescent|Terrace|Boulevard|Blvd|Parkway|Highway)"
_CORNER = r"(?:Drive|Close|Court|Square|Gardens|Grove|Row|Mews|Way|Place|Hill|Walk|Rise|View|Park)"
_STREET_NAME = r"(?:[A-Z][\w'’.-]*\s){1,3}?"
_SMALL_ROAD = r"(?:street|road|avenue|lane|crescent|terrace|boulevard|rd|ave)"
_SMALL_NAME = (
    r"(?:(?!(?:a|an|the|i|and|or|of|on|in|to|per|at|down|up|more|days?|weeks?|hours?|mins?|minutes"
    r"|miles|km|am|pm|mg|people|times|years?|cars?)\s)[a-z'’-]+\s){1,2}?"
)
_UNIT = r"(?:[Ff]lat|[Aa]pt\.?|[Aa]partment|[Uu]nit|[Ss]uite)\s#?\d{1,4}[A-Za-z]?\b"
_CARRIER = (
    r"(?:account|acct|member(?:ship)?|policy|case|patient|medical record|record|mrn|passport"
    r"|licen[cs]e|national insurance|ni|ssn|social security|reference|ref|student|employee|staff"
    r"|badge|registration|reg|plate|insurance|id|nhs|card|claim|booking|invoice|serial|vin|iban"
    r"|sort code|routing|ticket|hospital)"
)
PATTERNS: dict[Kind, tuple[str, ...]] = {
    "email": (r"(?<![\w.+%-])[\w.+%-]+@\w[\w-]*(?:\.[\w-]+)*\.[a-z]{2,}",),
    "url": (
        r"\bhttps?://[^\s<>\"']+[\w/]",
        r"\bwww\.[\w-]+(?:\.[\w-]+)+(?:/[^\s<>\"']*[\w/])?",
        r"(?<![@\w.-])[a-z\d][\w-]*(?:\.[\w-]+)*\.(?:com|org|net|io|info|edu|gov|dev|app|co\.uk|org\.uk"
        r"|ac\.uk|me|blog)(?:/[^\s<>\"']*[\w/]|(?![\w.]\w))",
    ),
    "handle": (
        r"(?<![\w@.])@[a-z_][\w.]*\w",
        r"(?<![\w/])/?[ur]/[\w-]{3,20}",
        r"(?<!\w)[\w.]{2,32}#\d{4}(?!\d)",
        r"(?:insta(?:gram)?|snap(?:chat)?|discord|tiktok|twitter|telegram|twitch|reddit|steam"
        r"|xbox|kik|tumblr|gamertag|username|user name|handle|screen ?name)"
        r"(?:\s(?:name|id|handle|account|username|tag))?(?:\s?(?:is|was|:|=|-)|\s?['’]s|,)\s?"
        r"(?P<it>(?=[\w.-]*[\d_.-]\w)[a-z][\w.-]+\w)",
    ),
    "address": (
        rf"(?:{_UNIT},?\s)?\b\d{{1,5}}[A-Za-z]?,?\s{_STREET_NAME}(?:{_ROAD}|{_CORNER})\b(?:,?\s{_UNIT})?",
        rf"(?:{_UNIT},?\s)?\b\d{{1,5}}[a-z]?\s{_SMALL_NAME}{_SMALL_ROAD}\b(?:,?\s{_UNIT})?",
        rf"\b\d{{1,5}}[A-Za-z]?\s[A-Z][a-z'’]+\s[A-Z][a-z]+(?:\s(?!Apt|Suite|Flat|Unit)[A-Z][a-z]+)?(?:,?\s{_UNIT})?",
        rf"\b(?:on|at|off|along|down|in|of|from|to)\s(?P<it>{_STREET_NAME}{_ROAD})\b",
        r"\b[Pp]\.?\s?[Oo]\.?\s[Bb]ox\s\d+",
    ),
    "postcode": (
        r"\b(?:GIR ?0AA|[A-PR-UWYZ](?:\d{1,2}|[A-HK-Y]\d(?:\d|[A-Z])?|\d[A-HJKPSTUW])"
        r" ?\d[ABD-HJLNP-UW-Z]{2})\b",
        r"\b[A-Z]{2},?\s\d{5}(?:-\d{4})?(?![\d-])",
        r"(?:zip|zip ?code|postal code|post ?code)(?:\sis|\swas|:)?\s(?P<it>\d{5}(?:-\d{4})?)\b",
        r"\b\d{5}-\d{4}\b",
    ),
    "identifier": (
        r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])",
        r"\b[A-CEGHJ-PR-TW-Z]{2}\s?\d{2}\s?\d{2}\s?\d{2}\s?[A-D]\b",
        r"\b[A-Z]{2}\d{2}(?:\s?[A-Z\d]{4}){3,7}(?:\s?[A-Z\d]{1,3})?\b",
        rf"\b{_CARRIER}(?:'s)?(?:\s(?:number|num|no\.?|nr\.?|code|plate|id))?(?:\s(?:is|was)|:|#|,)*"
        r"\s?#?(?P<it>(?=(?:[\s/-]?[A-Z]{0,4}\d){4})[A-Z\d][A-Z\d/-]{1,24}(?:\s\d{2,4}(?![\d./-]))*)(?!\w)",
        r"(?<![\w-])(?=\w*\d\w*\d\w*\d\w*\d)(?=\w*[A-Z])[A-Z\d]{8,24}(?![\w-])",
        r"(?<![\w+,.-])\d{9,}(?![\w,.-]\d|\w)",
    ),
    "date": (
        rf"\b{_DAY}\s(?:of\s)?{_MONTH}\.?,?\s(?:19|20)\d\d\b",
        rf"\b{_MONTH}\.?\s{_DAY},?\s(?:19|20)\d\d\b",
        r"(?<![\d/.-])\d{1,2}([/.-])\d{1,2}\1(?:19|20)\d\d(?![\d/.-]*\d)",
        r"(?<![\d/.-])[0-3]\d([/.-])[0-3]\d\1\d\d(?![\d/.-]*\d)",
        r"(?<![\d-])(?:19|20)\d\d-\d\d-\d\d(?![\d-])",
        rf"(?:born\son|birthday\sis|birthday['’]s|date\sof\sbirth\sis|dob:?)\s(?:the\s)?"
        rf"(?P<it>{_DAY}\s(?:of\s)?{_MONTH}|{_MONTH}\s{_DAY}|\d{{1,2}}[/.-]\d{{1,2}}[/.-]\d{{2}})\b",
    ),
    "age": (
        r"\b(?P<it>9\d|1[01]\d)(?=[\s-]?(?:years?[\s-]old|yrs?[\s-]old|yo\b|y/o|year[\s-]old))",
        r"\b(?P<it>9\d|1[01]\d)(?=\syears\sof\sage)",
        r"\b(?:aged|turned|turns|turning|age)\s(?P<it>9\d|1[01]\d)(?![\w%.,]*\d|\s?(?:%|kg|lbs?|mg))",
        r"\b(?:he|she|i|who|mum|mom|dad|gran|grandma|nan|grandad|grandpa|grandmother|grandfather)"
        r"(?:['’][sm]|\sis|\sam|\swas)\s(?P<it>9\d|1[01]\d)(?=[.,;!?]|\s(?:and|now|but|next|this|so|in)\b|$)",
        r"\b(?P<it>ninety[\s-](?:one|two|three|four|five|six|seven|eight|nine)|ninety)"
        r"(?=[\s-]years?[\s-]old|\syears\sof\sage)",
        r"\b(?:aged|turned|turns|turning)\s(?P<it>ninety(?:[\s-](?:one|two|three|four|five|six|seven"
        r"|eight|nine))?)\b(?![\s-](?:mg|percent|minutes|days))",
    ),
}
"""A kind's patterns; where a part is named `it`, only that part is meant."""

WITH_CASE = frozenset({"postcode", "address"})
"""Kinds whose patterns mean their capitals: in small letters they are too often words."""


def _compiled(kind: Kind, pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, 0 if kind in WITH_CASE else re.IGNORECASE)


_COMPILED = [
    (kind, _compiled(kind, pattern)) for kind, patterns in PATTERNS.items() for pattern in patterns
]
_DIGIT_RUN = re.compile(r"(?<![\w.])\d(?:[ -]?\d){8,18}(?!\w)")
_ADDRESS_OF_HOST = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[\da-f:]*::?[\da-f:]+)(?![\w:])"
)
_LOCAL_PHONE = re.compile(r"(?<![\d.-])(?:555|\d{3})-\d{4}(?![\d-])")


def formal_spans(text: str) -> list[Span]:
    """Give everything in a text that has a form of its own."""
    found = [
        Span(match.start(group), match.end(group), kind)
        for kind, pattern in _COMPILED
        for match in pattern.finditer(text)
        for group in ["it" if "it" in pattern.groupindex else 0]
    ]
    return [*found, *_numbers(text), *_hosts(text), *_phones(text)]


def _numbers(text: str) -> Iterator[Span]:
    """Find card and NHS numbers by their check digits."""
    for match in _DIGIT_RUN.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if (len(digits) >= 13 and passes_luhn(digits)) or is_nhs_number(digits):
            yield Span(match.start(), match.end(), "identifier")


def _hosts(text: str) -> Iterator[Span]:
    for match in _ADDRESS_OF_HOST.finditer(text):
        with suppress(ValueError):
            ipaddress.ip_address(match[0])
            yield Span(match.start(), match.end(), "ip_address")


def _phones(text: str) -> Iterator[Span]:
    """Find phone numbers with Google's rules, and those too short for them by their form."""
    import phonenumbers

    for region in ("US", "GB"):
        matcher = phonenumbers.PhoneNumberMatcher(
            text, region, leniency=phonenumbers.Leniency.POSSIBLE
        )
        for match in matcher:
            digits = sum(each.isdigit() for each in match.raw_string)
            if digits >= 10 or match.raw_string.startswith("+"):
                yield Span(match.start, match.end, "phone")
    for found in _LOCAL_PHONE.finditer(text):
        yield Span(found.start(), found.end(), "phone")


def passes_luhn(digits: str) -> bool:
    """Whether digits end in the check digit of ISO/IEC 7812-1, as card numbers do."""
    doubled = [int(each) * (1 + at % 2) for at, each in enumerate(reversed(digits))]
    return sum(each - 9 * (each > 9) for each in doubled) % 10 == 0


def is_nhs_number(digits: str) -> bool:
    """Whether ten digits end in the check digit of an NHS number (modulus 11, NHS Data Dictionary).

    Examples
    --------
    >>> is_nhs_number("9434765919"), is_nhs_number("9434765918")
    (True, False)
    """
    if len(digits) != 10:
        return False
    left = sum(int(each) * weight for each, weight in zip(digits, range(10, 1, -1), strict=False))
    return (11 - left % 11) % 11 == int(digits[9])
