"""Whether a schema accepts a single value, for the values that schemas list."""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

from . import bounds

Schema: TypeAlias = Mapping[str, Any]


def accepts(value: Any, schema: Any, definitions: Schema) -> bool | None:
    """Tell whether a schema accepts a value; `None` where that cannot be told."""
    if isinstance(schema, bool):
        return schema
    verdicts: list[bool | None] = []
    if "$ref" in schema:
        verdicts.append(accepts(value, definitions[schema["$ref"].removeprefix("#/$defs/")], definitions))
    if "const" in schema:
        verdicts.append(_same(value, schema["const"]))
    if "enum" in schema:
        verdicts.append(any(_same(value, each) for each in schema["enum"]))
    if "type" in schema:
        verdicts.append(_is_of_type(value, schema["type"]))
    if "anyOf" in schema:
        verdicts.append(_any(accepts(value, each, definitions) for each in schema["anyOf"]))
    if "oneOf" in schema:
        verdicts.append(_one(accepts(value, each, definitions) for each in schema["oneOf"]))
    if "allOf" in schema:
        verdicts.append(_all(accepts(value, each, definitions) for each in schema["allOf"]))
    if "not" in schema:
        inner = accepts(value, schema["not"], definitions)
        verdicts.append(None if inner is None else not inner)
    verdicts.append(_keeps_constraints(value, schema))
    return _all(verdicts)


def _keeps_constraints(value: Any, schema: Schema) -> bool | None:
    """Compare a value with bounds as if it were a writer of that value only."""
    kind = bounds.type_of(value)
    if kind in ("integer", "number"):
        return _is_kept_by(Decimal(str(value)), schema)
    if kind == "string":
        exact = {"minLength": len(value), "maxLength": len(value)}
        if any(bounds.compare_lengths(exact, schema, "minLength", "maxLength", "")):
            return False
        verdict = _is_spelled(value, schema) if "x-text" in schema else True
        is_open = any(word in schema and not bounds.is_any_text(schema, word) for word in ("pattern", "format"))
        return None if verdict and is_open else verdict
    if kind in ("array", "object"):
        words = {"items", "prefixItems", "properties", "required", "additionalProperties", "minItems", "maxItems"}
        return None if words & schema.keys() else True
    return True


def _is_kept_by(number: Decimal, schema: Schema) -> bool:
    steps = {word: each for word, each in schema.items() if word != "multipleOf" or number}  # 0 is a multiple of all
    return not any(bounds.compare_numbers(bounds.exactly(number), steps, "number"))


def _is_spelled(text: str, schema: Schema) -> bool | None:
    """Whether a text spells a number of a kind and within bounds."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return False
    if not number.is_finite():
        return None
    is_fraction = number != number.to_integral_value()
    return not (is_fraction and schema["x-text"] == "integer") and _is_kept_by(number, schema)


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _is_of_type(value: Any, given: str | list[str]) -> bool:
    types = {given} if isinstance(given, str) else set(given)
    return bounds.type_of(value) in types or (bounds.type_of(value) == "integer" and "number" in types)


def _all(verdicts: Iterable[bool | None]) -> bool | None:
    each = [*verdicts]
    return False if False in each else (None if None in each else True)


def _any(verdicts: Iterable[bool | None]) -> bool | None:
    each = [*verdicts]
    return True if True in each else (None if None in each else False)


def _one(verdicts: Iterable[bool | None]) -> bool | None:
    each = [*verdicts]
    return None if None in each else each.count(True) == 1


def show_value(value: Any) -> str:
    """Write a value as JSON."""
    return json.dumps(value, ensure_ascii=False)
