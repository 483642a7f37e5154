"""Which item of a FHIR response is which item of an instrument: by code first, then by linkId.

Owns the walk over nested items and the lookup of codes in the Questionnaires of a file. Does not
know what an answer is worth (`fhir`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sottovoce.errors import DataError
from sottovoce.instruments import INSTRUMENTS, Instrument

LOINC = "http://loinc.org"

EVERY_CODE = frozenset(
    code
    for each in INSTRUMENTS.values()
    for code in (each.loinc_total, *(item.loinc for item in each.items))
    if code is not None
)
"""The LOINC codes of every item and total that is known."""

CodesByLink = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One item of a response, nested or not: where it stands, its ids, its answers."""

    place: str
    link_id: str
    codes: frozenset[str]
    answers: list[Any]


def leaves(holder: Mapping[str, Any], place: str = "item") -> Iterator[Leaf]:
    """Walk over the items of a response, those within items and within answers too."""
    items = holder.get("item")
    for number, item in enumerate(items if isinstance(items, list) else [], start=1):
        if not isinstance(item, dict):
            continue
        here = f"{place}[{number}]"
        answers = item.get("answer")
        answers = answers if isinstance(answers, list) else []
        link_id = item.get("linkId")
        yield Leaf(here, link_id if isinstance(link_id, str) else "", _codes(item), answers)
        yield from leaves(item, here + ".item")
        for answer in answers:
            if isinstance(answer, dict):
                yield from leaves(answer, here + ".answer.item")


def _codes(item: Mapping[str, Any]) -> frozenset[str]:
    """Give the codes on an item, and the last part of its definition."""
    codings = item.get("code")
    found = {
        coding["code"]
        for coding in (codings if isinstance(codings, list) else [])
        if isinstance(coding, dict)
        and isinstance(coding.get("code"), str)
        and coding.get("system", LOINC) == LOINC
    }
    definition = item.get("definition")
    if isinstance(definition, str):
        found.add(definition.replace("#", "/").rsplit("/", 1)[-1])
    return frozenset(found)


class QuestionnaireCodes:
    """The item codes of the Questionnaires seen so far, by what a response may call them."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[CodesByLink, frozenset[str]]] = {}

    def learn(self, questionnaire: Mapping[str, Any]) -> None:
        """Remember a Questionnaire's item codes and its own code."""
        for name in _names(questionnaire):
            self._known[name] = _learned(questionnaire)

    def of(self, response: Mapping[str, Any]) -> tuple[CodesByLink, frozenset[str]]:
        """Give the item codes by linkId, and the panel codes, of a response's Questionnaire."""
        asked = response.get("questionnaire")
        asked = asked.split("|")[0] if isinstance(asked, str) else ""
        contained = response.get("contained")
        for each in contained if isinstance(contained, list) else []:
            if isinstance(each, dict) and each.get("resourceType") == "Questionnaire":
                return _learned(each)
        tail = asked.rsplit("/", 1)[-1]
        return self._known.get(asked) or self._known.get(tail) or ({}, frozenset({tail}))


def _names(questionnaire: Mapping[str, Any]) -> list[str]:
    return [
        questionnaire[name] for name in ("url", "id") if isinstance(questionnaire.get(name), str)
    ]


def _learned(questionnaire: Mapping[str, Any]) -> tuple[CodesByLink, frozenset[str]]:
    links = {leaf.link_id: leaf.codes for leaf in leaves(questionnaire) if leaf.codes}
    return links, _codes(questionnaire)


class Matcher:
    """The items of one response, ready to be matched to an instrument.

    Parameters
    ----------
    items
        The response's items (`leaves`).
    known
        Codes by linkId from its Questionnaire.
    columns
        Mapped linkIds: item1, item2, .. and total.
    """

    def __init__(
        self, items: Iterator[Leaf], known: CodesByLink, columns: Mapping[str, str]
    ) -> None:
        self.items, self.known, self.columns = list(items), known, columns

    def match(self, used: Instrument) -> tuple[dict[int, Leaf], Leaf | None]:
        """Give the response's item for each number of the instrument's, and for its total.

        Raises
        ------
        DataError
            If two items of the response match one of the instrument's.
        """
        wanted = {item.loinc: item.number for item in used.items}
        if used.loinc_total is not None:
            wanted[used.loinc_total] = 0
        mapped = {
            link: 0 if name == "total" else int(name.removeprefix("item"))
            for name, link in self.columns.items()
            if name == "total" or name.removeprefix("item").isdigit()
        }
        found: dict[int, Leaf] = {}
        for leaf in self.items:
            number = self._number(leaf, wanted, mapped)
            if number is None:
                continue
            if number in found:
                raise DataError(
                    "two items of the response are the same item of the questionnaire",
                    field=leaf.place,
                    fix="give every item once",
                )
            found[number] = leaf
        total = found.pop(0, None)
        return found, total

    def _number(
        self, leaf: Leaf, wanted: Mapping[str, int], mapped: Mapping[str, int]
    ) -> int | None:
        codes = leaf.codes | self.known.get(leaf.link_id, frozenset())
        if codes & EVERY_CODE:  # its code says which item it is, here or of another instrument
            return next((wanted[code] for code in sorted(codes) if code in wanted), None)
        if leaf.link_id in mapped:
            return mapped[leaf.link_id]
        return wanted.get(leaf.link_id.rsplit("/", 1)[-1])
