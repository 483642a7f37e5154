"""Names of people, employers and places, by the words around them and by lists of first names.

Owns the cue phrases. Does not know what has a form of its own (`patterns`) nor that a name found
once is looked for everywhere (`search`).
"""

import re
from collections.abc import Iterator

from sottovoce.deidentify.kinds import Kind, Span
from sottovoce.deidentify.lexicon import (
    CUE_NAMES,
    DAYS,
    MONTHS,
    RELATIONS,
    SURVIVES,
    TITLES,
    is_clear_name,
    is_name,
    large_places,
)

_WORD = r"[^\W\d_](?:[^\W\d_]|['’-](?=[^\W\d_]))*"
_CAPITAL = rf"(?=[^\W\d_a-zß-öø-ÿ]){_WORD}"
_SMALL_PARTS = r"(?:(?:de|da|del|van|von|der|bin|al|la|le|du|dos|di)\s){0,2}"
_FULL = rf"{_CAPITAL}(?:\s{_SMALL_PARTS}{_CAPITAL}){{0,2}}"
_RELATION = "|".join(sorted(map(re.escape, RELATIONS), key=len, reverse=True))
_OWN = r"(?:my|his|her|our|their|your|the)"
_SAYS = (
    r"(?:says?|said|asked|asks|told|tells|thinks|thought|wants|wanted|called|calls|texted|texts|rang"
    r"|rings|came|comes|went|goes|keeps|kept|left|died|passed|laughed|snapped|shouted|replied"
    r"|messaged|emailed|invited|offered|knows|knew|noticed|reckons|hates|loves|likes|looked|looks"
    r"|sent|gave|made|brought|visited|moved|wrote|has|had|was|is|would|will|does|did|doesn['’]t"
    r"|didn['’]t|isn['’]t|wasn['’]t)"
)

PERSON_CUES = (
    rf"\b(?i:my|his|her|your|their|the|first|last|full|maiden|nick)\s?(?i:name(?:['’]s|\sis|\swas))\s"
    rf"(?P<it>{_FULL}|{_WORD})",
    rf"\b(?i:name)\s?:\s?(?P<it>{_FULL})",
    rf"\b(?i:i['’]?m\scalled|people\scall\sme|call\sme|goes\sby|go\sby|known\sas|named|called)\s"
    rf"(?P<it>{_FULL})",
    rf"\b(?i:this\sis|it['’]s|i['’]m|i\sam)\s(?P<it>{_FULL})(?=\s(?i:here|speaking|again|from))",
    rf"\b(?i:{_OWN})\s(?:[a-z]+\s){{0,2}}?(?i:{_RELATION}),?\s(?P<it>{_FULL})",
    rf"\b(?:{TITLES})\.?\s(?P<it>{_FULL})",
    rf"(?:^|\n)\s*(?:(?i:love|best|thanks|regards|yours|cheers|sincerely|xx?)[,.]?\s|[-–—~]\s?)"
    rf"(?P<it>{_FULL})\s*(?=$|\n)",
    rf"\b(?i:hi|hello|hey|dear|thanks|thank\syou|morning|evening|night|bye|welcome|sorry),?\s"
    rf"(?P<it>{_CAPITAL})(?=[,.!?\n]|$)",
    rf"(?<=[a-z,;]\s)(?P<it>{_FULL})(?=\s{_SAYS}\b)",
    rf"(?<=[a-z,;]\s)(?:with|without)\s(?P<it>{_FULL})",
    rf"\b(?i:me\sand)\s(?P<it>{_FULL})",
    rf"(?<=[a-z,;]\s)(?P<it>{_FULL})(?=\sand\s(?:I|me)\b)",
    rf"\b(?:told|tell|asked|ask|texted|text|rang|ring|phoned|emailed|messaged|married|met|visited|missed"
    rf"|miss|dating|hugged|blame|forgive|hello\sto)\s(?P<it>{_FULL})",
    rf"(?<=[a-z,;]\s)(?P<it>{_CAPITAL})(?=['’]s\s(?:got|been|gone|always|not|[a-z]+ing)\b)",
    rf"(?<=[a-z,;]\s)(?P<it>{_FULL})(?=['’]s\s(?i:birthday|wedding|funeral|house|place|mum|mom|dad|flat"
    rf"|room|school|party|death|grave|husband|wife|car|kids|friend|text|email|birth|desk|phone)\b)",
)
"""Phrases that a name follows or precedes; `it` is the name."""

LISTED_CUES = (
    rf"(?:^|[.!?\n]\s*)(?P<it>{_FULL})(?=\s(?:said|says|told|asked|thinks|texted|rang|called|wants)\b)",
)
"""Where any sentence may begin: only words that are first names, too, count."""

LOWER_CUES = (
    rf"\b(?i:my\sname(?:['’]?s|\sis)|i['’]?m\scalled|call\sme|named|called|{_OWN}\s(?:{_RELATION}))\s"
    rf"(?P<it>{_WORD})",
)
"""The same from people who write without capitals: only words that are nothing but first names."""

_JOINED = rf"(?:\s(?:&|and|of|the|for|de|at)\s|\s|,\s(?=Inc|Ltd|LLC))(?:the\s)?{_CAPITAL}"
_LONG = rf"(?:the\s)?{_CAPITAL}(?:,\s{_CAPITAL}(?=\s(?:and|&)\s))?(?:{_JOINED}){{0,4}}"
_BODY = (
    r"(?:University|College|School|Academy|Hospital|Infirmary|Clinic|Surgery|Ltd|Limited|Inc|LLC|PLC"
    r"|Corp|Corporation|Bank|Council|Church|Institute|Foundation|Group|Partners|Solutions|Logistics"
    r"|Consulting|Industries|Holdings|Systems|Motors|Bakery|Brewery|Pharmacy|Library|Museum|Primary"
    r"|Elementary|Grammar|Nursery|Associates|Services|Trust|Company|Co|Agency|Law|Dental|Construction)"
)
ORGANISATION_CUES = (
    rf"\b(?i:work(?:s|ed|ing)?|job|role|position|shifts?|internship|apprenticeship|contract|intern(?:ed|ing)?"
    rf"|temp(?:ed|ing)?|employed|hired|laid\soff|fired|sacked|let\s(?:\w+\s)?go|employer|interview(?:ed)?|volunteer(?:s"
    rf"|ed|ing)?|career|started|offer)\s(?:[a-z]+\s){{0,3}}?(?i:at|for|by|with|from|is|inside)\s"
    rf"(?P<it>{_LONG})",
    rf"\b(?i:my\semployer|my\scompany|the\scompany|my\sfirm|my\sworkplace|my\sschool|my\suniversity|my"
    rf"\scollege)(?:,|\sis|\swas|['’]s)?(?:\scalled)?\s(?P<it>{_LONG})",
    rf"\b(?i:stud(?:y|ies|ied|ying)|student|pupil|teach(?:es|ing)?|taught|lecturer|nurse|teacher"
    rf"|manager|driver|cashier|clerk|engineer|graduated?|enrolled|degree|course|campus|year)\s"
    rf"(?:[a-z]+\s){{0,3}}?(?i:at|from)\s(?P<it>{_LONG})",
    rf"(?<!\w)(?P<it>{_CAPITAL}(?:(?:\s(?:&|and|of)\s|\s){_CAPITAL}){{0,3}}\s{_BODY})\b",
    rf"\b(?P<it>(?:University|College|Bank|Church|Hospital)\sof\s(?:the\s)?{_FULL})",
)
"""Phrases that an employer, a school or a place of care follows."""

PLACE_CUES = (
    rf"\b(?i:liv(?:e|es|ed|ing)|mov(?:e|es|ed|ing)|based|born|raised|grew\sup|grow(?:ing)?\sup|stay(?:s|ed|ing)?"
    rf"|settled|relocat(?:e|ed|ing)|resid(?:e|es|ing)|home|house|flat|apartment|place|town|city|office|driv(?:e"
    rf"|ing|es)|drove|commut(?:e|ing|es)|trains?|bus|back|over|down|up|out|trip|family|hometown|all\sthe\sway)\s"
    rf"(?:[a-z]+\s){{0,2}}?(?i:in|to|from|near|outside|around|at|into|is|of)\s(?P<it>{_FULL})",
    rf"\b(?i:i['’]?m|we['’]re|originally|come|comes|came|she['’]s|he['’]s)\s(?i:originally\s)?"
    rf"(?i:from|in|near|outside)\s(?P<it>{_FULL})",
    rf"\b(?:[Ii]n|[Nn]ear|[Oo]utside)\s(?P<it>{_FULL})",
    rf"\b(?i:go|goes|going|gone|went|get|got|come|coming|travel\w*|fl(?:y|ies|ying|ew|ights?)|return\w*"
    rf"|off|sent|ferry|road)\s(?:\w+\s)?to\s(?P<it>{_FULL})",
    rf"\bfrom\s{_FULL}\sto\s(?P<it>{_FULL})",
    rf"\bfrom\s(?P<it>{_FULL})\sto\s{_CAPITAL}",
)
"""Phrases that a town follows; countries and states may stand."""

_BY_KIND: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    ("person", PERSON_CUES),
    ("organisation", ORGANISATION_CUES),
    ("place", PLACE_CUES),
)
_CUES = [(kind, re.compile(cue)) for kind, cues in _BY_KIND for cue in cues]
_LOWER = [re.compile(cue) for cue in LOWER_CUES]
_LISTED = [re.compile(cue) for cue in LISTED_CUES]
WORDS = re.compile(_WORD)
_TOWARDS = re.compile(r"\b(?:in|to|from|near|at|of|around)\s$")
_CALENDAR = frozenset(each.capitalize() for each in DAYS | MONTHS)
_AFTER_NAME = re.compile(rf"\s{_SMALL_PARTS}(?P<it>{_CAPITAL})")


def named_spans(text: str) -> list[Span]:
    """Give people, employers and places in a text, by cues and by lists."""
    return [*_by_cues(text), *_by_list(text)]


def _by_cues(text: str) -> Iterator[Span]:
    for kind, pattern in _CUES:
        for match in pattern.finditer(text):
            span = trimmed(text, Span(match.start("it"), match.end("it"), kind))
            if span is not None and _may_be(kind, text[span.start : span.end]):
                yield span
    for patterns, known in ((_LOWER, is_clear_name), (_LISTED, is_name)):
        for match in (match for pattern in patterns for match in pattern.finditer(text)):
            if known(match["it"].split(maxsplit=1)[0]):
                yield Span(match.start("it"), match.end("it"), "person")


def trimmed(text: str, span: Span) -> Span | None:
    """Cut words from both ends that are never a name; None where nothing is left."""
    words = [
        (span.start + match.start(), span.start + match.end())
        for match in re.finditer(r"\S+", text[span.start : span.end])
    ]
    while words and _survives(text[slice(*words[0])]):
        del words[0]
    for at, word in enumerate(words):
        low = text[slice(*word)].casefold().strip(".,")
        if low in SURVIVES and low not in JOINTS:
            del words[at:]
            break
    while words and text[slice(*words[-1])].casefold() in JOINTS:
        del words[-1]
    if not words:
        return None
    owner = text[words[0][0] : words[-1][1]]
    cut = len(owner) - len(without_possessive(owner)) if span.kind == "person" else 0
    return Span(words[0][0], words[-1][1] - cut, span.kind)


JOINTS = frozenset({"and", "of", "the", "for", "&", "at", "de"})
"""Small words inside the names of employers and places."""


def without_possessive(word: str) -> str:
    """Cut the s of "Ana's"."""
    return word.removesuffix("'s").removesuffix("’s")


def _survives(word: str) -> bool:
    low = without_possessive(word.casefold().strip(".,"))
    return low in SURVIVES or low in JOINTS or low.partition("-")[0] in DAYS


def _may_be(kind: Kind, value: str) -> bool:
    """Whether what follows a cue can be what the cue says."""
    low = value.casefold()
    if kind == "place":
        return low not in large_places() and not value.isupper()
    if kind == "organisation":
        return low not in large_places() and not value.isupper() | (len(value) < 3)
    first = value.split(maxsplit=1)[0]
    if not first[0].isupper():
        return is_clear_name(first)
    return not (value.isupper() and len(value) < 3) and low not in large_places()


def _by_list(text: str) -> Iterator[Span]:
    """Find first names of the lists, with the surnames that follow."""
    end = 0
    for match in WORDS.finditer(text):
        word = without_possessive(match[0])
        if match.start() >= end and word[0].isupper() and _is_listed(text, match.start(), word):
            end = _with_surname(text, match.start() + len(word))
            yield Span(match.start(), end, "person")


def _is_listed(text: str, start: int, word: str) -> bool:
    if is_clear_name(word):
        return True
    if not is_name(word) or word.isupper() or not inside_sentence(text, start):
        return False
    if word.casefold() in CUE_NAMES:
        return _AFTER_NAME.match(text, start + len(word)) is not None and word not in _CALENDAR
    return _TOWARDS.search(text, 0, start) is None


def inside_sentence(text: str, start: int) -> bool:
    """Whether a small letter or a comma stands before, so that a capital is the word's own."""
    before = text[:start].rstrip(" ")
    return bool(before) and (before[-1].islower() or before[-1] == ",") and text[start - 1] == " "


def _with_surname(text: str, end: int) -> int:
    while match := _AFTER_NAME.match(text, end):
        surname = without_possessive(match["it"])
        if surname.casefold() in SURVIVES or surname.isupper():
            return end
        end = match.start("it") + len(surname)
    return end
