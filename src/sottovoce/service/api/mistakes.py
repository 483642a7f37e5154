"""What is wrong with one value of a request, said without the value.

Owns the words for pydantic's kinds of errors. Of an error only the kind, the limits that the
schema sets and names that the schema publishes are repeated. Message, input and context of
pydantic quote the input (`int_parsing`, `uuid_parsing`, `union_tag_invalid`), and a place can end
in a key that a client made up: none of these is passed on. It does not know HTTP.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Mistake = tuple[str, str]
"""Where it is ("body.messages.3.text") and what it is."""

UNKNOWN = "*"
"""Stands for a part of a place that the schema does not name."""

WORDS: Mapping[str, str] = {
    "missing": "it is missing",
    "extra_forbidden": "the schema has no such field",
    "string_type": "text is expected",
    "string_too_short": "it needs at least {min_length} characters",
    "string_too_long": "it may have at most {max_length} characters",
    "string_pattern_mismatch": "it does not match the pattern of the schema",
    "string_unicode": "it is not valid Unicode",
    "too_short": "it needs at least {min_length} entries",
    "too_long": "it may have at most {max_length} entries",
    "list_type": "a list is expected",
    "dict_type": "an object is expected",
    "model_type": "an object is expected",
    "model_attributes_type": "an object is expected, with content-type application/json",
    "bool_type": "true or false is expected",
    "bool_parsing": "true or false is expected",
    "int_type": "a whole number is expected",
    "int_parsing": "a whole number is expected",
    "int_parsing_size": "a smaller number is expected",
    "int_from_float": "a whole number is expected",
    "float_type": "a number is expected",
    "float_parsing": "a number is expected",
    "finite_number": "a finite number is expected",
    "greater_than": "it must be greater than {gt}",
    "greater_than_equal": "it must be at least {ge}",
    "less_than": "it must be less than {lt}",
    "less_than_equal": "it must be at most {le}",
    "literal_error": "it is none of the values of the schema",
    "enum": "it is none of the values of the schema",
    "union_tag_invalid": "it is none of the forms of the schema",
    "union_tag_not_found": "the field that tells its form is missing",
    "uuid_type": "a UUID is expected",
    "uuid_parsing": "a UUID is expected",
    "datetime_type": "a time is expected",
    "datetime_parsing": "a time as in 2026-01-31T12:00:00Z is expected",
    "datetime_from_date_parsing": "a time as in 2026-01-31T12:00:00Z is expected",
    "timezone_aware": "a time with a time zone is expected",
    "date_parsing": "a date as in 2026-01-31 is expected",
    "url_parsing": "a URL is expected",
    "url_scheme": "a URL of another scheme is expected",
}
"""Kinds of pydantic's errors (https://docs.pydantic.dev/latest/errors/validation_errors/) in this
service's words; a kind that is not here is told as "it is not valid"."""

LIMITS = ("min_length", "max_length", "gt", "ge", "lt", "le")
"""What of an error's context comes from the schema and never from the request."""


def told(
    error: Mapping[str, Any], body: object, known: set[str], words: Mapping[str, str] = WORDS
) -> Mistake:
    """Say where one error is and what, from nothing but the schema.

    Parameters
    ----------
    error
        One of pydantic's errors: `type`, `loc` and `ctx` are looked at.
    body
        The parsed body, which tells a position in a list from a number that is a key.
    known
        Names that the schema publishes.
    words
        What to say of each kind of error; none of its sentences is made from a request.
    """
    said = words.get(error["type"], "it is not valid")
    limits = {name: error.get("ctx", {}).get(name) for name in LIMITS}
    if any(isinstance(each, str) for each in limits.values()):
        return where(error["loc"], body, known), "it is not valid"
    return where(error["loc"], body, known), said.format_map(limits)


def where(place: Sequence[str | int], body: object, known: set[str]) -> str:
    """Write a place with dots; what the schema does not name is an asterisk."""
    parts = [str(place[0])] if place and place[0] in _SOURCES else [UNKNOWN]
    inside = body
    for part in place[1:]:
        if isinstance(part, int):
            listed = isinstance(inside, list) and 0 <= part < len(inside)
            parts.append(str(part) if listed else UNKNOWN)
        else:
            parts.append(part if part in known else UNKNOWN)
        inside = _entered(inside, part)
    return ".".join(parts)


_SOURCES = ("body", "query", "path", "header", "cookie")


def _entered(inside: object, part: str | int) -> object:
    """Give what lies at a part of a place; the name of a union's form leads nowhere else."""
    if isinstance(inside, list) and isinstance(part, int) and 0 <= part < len(inside):
        return inside[part]
    if isinstance(inside, dict) and part in inside:
        return inside[part]
    return inside
