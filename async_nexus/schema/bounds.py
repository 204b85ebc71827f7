"""Constraints of single values, compared: whether what a writer keeps to is as strict as what a reader asks for.

A complaint is a rule, whether it is certain, and a message.
"""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, TypeAlias

Schema: TypeAlias = Mapping[str, Any]
Complaint: TypeAlias = tuple[str, bool, str]

ANY_TEXT: Final = frozenset({"path", "password"})
"""Formats that pydantic writes of types that it reads from any text."""

DIGITS: Final = {"x-digits": "digits", "x-places": "decimal places", "x-whole": "digits before the point"}
"""Our own words for how long a number may be written, and what each counts."""


def type_of(value: Any) -> str:
    """Return the JSON type of a value, `integer` for a number without a fraction."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "integer" if value == int(value) else "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def types_meet(some: AbstractSet[str], others: AbstractSet[str]) -> bool:
    """Whether a value can be of both: an integer is a number."""
    return bool(_with_integer(some) & _with_integer(others))


def _with_integer(types: AbstractSet[str]) -> AbstractSet[str]:
    return types | {"integer"} if "number" in types else types


def compare_numbers(writer: Schema, reader: Schema, kind: str) -> Iterator[Complaint]:
    """Compare bounds and steps."""
    for word, sign, side in (("minimum", 1, "low"), ("maximum", -1, "high")):
        asked = _bound(reader, word, sign, kind)
        given = _bound(writer, word, sign, kind)
        if asked is not None and (given is None or given < asked):
            limit = asked[0] * sign
            yield "constraint", True, f"may be too {side}: the reader's {word} is {_number(limit)}"
    step, given_step = reader.get("multipleOf"), writer.get("multipleOf", 1 if kind == "integer" else None)
    if step is not None and (given_step is None or _fraction(given_step) % _fraction(step)):
        yield "constraint", True, f"may be no multiple of {step}"
    written = {"x-places": 0, **writer} if kind == "integer" else writer
    for word, what in DIGITS.items():
        for message in compare_lengths(written, reader, "", word, what):
            yield "constraint", True, message


def _bound(schema: Schema, word: str, sign: int, kind: str) -> tuple[Fraction, bool] | None:
    """Return the strictest bound, mirrored for maxima so that greater is stricter, and whether it is exclusive."""
    exclusive = f"exclusive{word.capitalize()}"
    bounds: list[tuple[Fraction, bool]] = []
    if word in schema:
        bounds.append((_fraction(schema[word]) * sign, False))
    if exclusive in schema:
        limit = _fraction(schema[exclusive]) * sign
        # Above 0 means from 1 on, for integers.
        bounds.append((Fraction(limit.__floor__() + 1), False) if kind == "integer" else (limit, True))
    if kind == "integer":
        bounds = [(Fraction(limit.__ceil__()), is_exclusive) for limit, is_exclusive in bounds]
    return max(bounds, default=None)


def _fraction(number: float | Decimal) -> Fraction:
    return Fraction(str(number))


def _number(number: Fraction) -> str:
    return str(number.numerator) if number.denominator == 1 else str(float(number))


def compare_strings(writer: Schema, reader: Schema, kind: str) -> Iterator[Complaint]:
    """Compare lengths, patterns and formats."""
    for message in compare_lengths(writer, reader, "minLength", "maxLength", "characters"):
        yield "constraint", True, message
    yield from _compare_spellings(writer, reader)
    for word in ("pattern", "format", "contentMediaType", "contentEncoding"):
        asked, given = reader.get(word), writer.get(word)
        if asked is not None and asked != given and not is_any_text(reader, word):
            is_free = _is_free(writer)
            message = f"may not have the {word} {asked}" if is_free else f"has to have the {word} {asked} now"
            yield word, is_free, message


def _compare_spellings(writer: Schema, reader: Schema) -> Iterator[Complaint]:
    """Compare texts that spell numbers as numbers."""
    asked, given = reader.get("x-text"), writer.get("x-text")
    if asked is None:
        return
    if given is None:
        yield "format", _is_free(writer), f"may be a text that is no {asked}"
        return
    if asked == "integer" and given != "integer":
        yield "format", True, "may be a text that is no integer"
    if writer.get("x-infinite") and not reader.get("x-infinite"):
        yield "constraint", True, "may be infinite or not a number"
    yield from compare_numbers(writer, reader, "integer" if given == "integer" else "number")


def _is_free(writer: Schema) -> bool:
    """Whether any text may be written; one that keeps to a pattern or format may keep to another as well."""
    return writer.get("pattern") is None and (writer.get("format") is None or is_any_text(writer, "format"))


def is_any_text(schema: Schema, word: str) -> bool:
    """Whether what a word says lets every text pass; bytes are counted, where they are, otherwise than characters."""
    value = schema[word]
    return word == "format" and (value in ANY_TEXT or (value == "binary" and "maxLength" not in schema))


def exactly(number: Decimal) -> Schema:
    """Describe a number as a writer of it alone would be."""
    _, digits, exponent = number.normalize().as_tuple()
    places = max(-int(exponent), 0)
    count = max(len(digits) + max(int(exponent), 0), places)
    own = {"minimum": number, "maximum": number, "x-digits": count, "x-places": places, "x-whole": count - places}
    return {**own, "multipleOf": number} if number else own


def compare_lengths(writer: Schema, reader: Schema, least: str, most: str, unit: str) -> Iterator[str]:
    """Compare two bounds on a count."""
    asked, given = reader.get(least, 0), writer.get(least, 0)
    if given < asked:
        yield f"may have fewer than {asked} {unit}"
    limit = reader.get(most)
    if limit is not None and (writer.get(most) is None or writer[most] > limit):
        yield f"may have more than {limit} {unit}"
