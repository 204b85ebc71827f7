"""Schemas compared, for words and shapes that the golden matrix does not reach."""

import sys
from typing import Any

import pytest

from async_nexus.schema.differences import Comparison, Verdict

INT = {"type": "integer"}
TEXT = {"type": "string"}
NUMBER = {"type": "number"}
BREAKING, UNCLEAR = Verdict.BREAKING, Verdict.UNCLEAR


def named(schema: Any, **more: Any) -> dict[str, Any]:
    """An object of one field."""
    return {"type": "object", "properties": {"a": schema}, **more}


CASES: dict[str, tuple[Any, Any, set[Verdict]]] = {
    "anything is read": (INT, True, set()),
    "nothing is written": (False, INT, set()),
    "nothing is read": (INT, False, {UNCLEAR}),
    "each part of a combination has to fit": (INT, {"allOf": [NUMBER, {"minimum": 0}]}, {BREAKING}),
    "one part of what is written is enough": (
        {"allOf": [INT, {"minimum": 1}]},
        {"type": "integer", "minimum": 1},
        # The jsoncompat that there is from Python 3.12 on sees that it fits.
        {UNCLEAR} if sys.version_info < (3, 12) else set(),
    ),
    "a combination that fits": ({"allOf": [INT, {"minimum": 1}]}, NUMBER, set()),
    "words beside a reference": ({"$ref": "#/$defs/int"}, {"$ref": "#/$defs/int", "minimum": 1}, {BREAKING}),
    "prose beside a reference": ({"$ref": "#/$defs/int"}, {"$ref": "#/$defs/int", "description": "x"}, set()),
    "a list of types": ({"type": ["integer", "null"]}, {"anyOf": [INT, {"type": "null"}]}, set()),
    "a list of types that shrinks": ({"type": ["integer", "null"]}, INT, {BREAKING}),
    "words beside a union": ({"anyOf": [INT, TEXT]}, {"anyOf": [INT, TEXT], "minimum": 1}, {BREAKING}),
    "a word that is not known": ({"type": "array"}, {"type": "array", "contains": INT}, {UNCLEAR}),
    "a word that both have": ({**TEXT, "contains": INT}, {**TEXT, "contains": INT}, set()),
    "values without type": ({"enum": [1, "a"]}, {"anyOf": [INT, TEXT]}, set()),
    "values of a union": ({"const": 3}, {"oneOf": [{"const": 3}, {"const": 4}]}, set()),
    "values of two members at once": ({"const": 3}, {"oneOf": [INT, NUMBER]}, {BREAKING}),
    "values that are excluded": ({"enum": [3, 4]}, {**INT, "not": {"const": 3}}, {BREAKING}),
    "values of a combination": ({"const": 3}, {"allOf": [INT, {"minimum": 4}]}, {BREAKING}),
    "values that a reference allows": ({"const": 3}, {"anyOf": [{"$ref": "#/$defs/int"}]}, set()),
    "values out of bounds": ({"enum": [1, 9]}, {**INT, "exclusiveMaximum": 9}, {BREAKING}),
    "values that are no multiple": ({"const": 3}, {**INT, "multipleOf": 2}, {BREAKING}),
    "zero is a multiple of all": ({"const": 0}, {**INT, "multipleOf": 2}, set()),
    "values that are too long": ({"const": "abc"}, {**TEXT, "maxLength": 2}, {BREAKING}),
    "values with a pattern": ({"const": "abc"}, {**TEXT, "pattern": "^b"}, {UNCLEAR}),
    "true is not 1": ({"const": True}, {"const": 1}, {BREAKING}),
    "patterns of names": (
        {"type": "object", "patternProperties": {"^a": INT}},
        {"type": "object", "patternProperties": {"^a": TEXT}},
        {BREAKING},
    ),
    "other patterns of names": (
        {"type": "object", "patternProperties": {"^a": INT}},
        {"type": "object", "patternProperties": {"^b": INT}},
        {UNCLEAR},
    ),
    "patterns of names given up": (
        {"type": "object", "patternProperties": {"^a": INT}},
        {"type": "object", "additionalProperties": NUMBER},
        set(),
    ),
    "names limited": (
        {"type": "object", "additionalProperties": INT},
        {"type": "object", "additionalProperties": INT, "propertyNames": {"maxLength": 3}},
        {BREAKING},
    ),
    "number of fields limited": (
        {"type": "object", "additionalProperties": INT},
        {"type": "object", "additionalProperties": INT, "maxProperties": 3},
        {BREAKING},
    ),
    "a field of what is read closed": (named(INT), named(INT, additionalProperties=False), set()),
    "an empty list": ({"type": "array", "maxItems": 0, "items": INT}, {"type": "array", "items": TEXT}, set()),
    "a list of two read as a pair": (
        {"type": "array", "items": INT, "minItems": 2, "maxItems": 2},
        {"type": "array", "prefixItems": [INT, TEXT], "minItems": 2, "maxItems": 2},
        {BREAKING},
    ),
    "the same step, written as a fraction": (
        {**NUMBER, "multipleOf": 0.3},
        {**NUMBER, "multipleOf": 0.1},
        set(),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_verdicts(case: str) -> None:
    """What is written is read, or what is wrong has its verdict."""
    writer, reader, expected = CASES[case]
    definitions = {"int": INT}
    found = Comparison(definitions, definitions).compare(writer, reader, "x")
    assert {each.verdict for each in found} == expected
