"""Hypothesis strategies of the JSON values that a schema accepts, for the words that pydantic writes.

A strategy may draw a value that the schema, or a validator which no schema tells of, refuses: whoever draws
has pydantic decide.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, cast

from hypothesis import strategies as st

Schema: TypeAlias = Mapping[str, Any]
Values: TypeAlias = st.SearchStrategy[Any]

JSON: Final[Values] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
"""Any value that JSON can hold."""

_FORMATS: Final[Mapping[str, Callable[[], Values]]] = {
    "date": lambda: st.dates().map(lambda each: each.isoformat()),
    "date-time": lambda: st.tuples(st.datetimes(), st.sampled_from(["", "Z", "+02:00"])).map(
        lambda each: each[0].isoformat() + each[1]
    ),
    "time": lambda: st.times().map(lambda each: each.isoformat()),
    "duration": lambda: st.integers(0, 10**9).map(lambda seconds: f"PT{seconds}S"),
    "binary": lambda: st.text(),
    "base64": lambda: st.from_regex(r"([A-Za-z0-9+/]{4})*", fullmatch=True),
    "base64url": lambda: st.from_regex(r"([A-Za-z0-9_-]{4})*", fullmatch=True),
    "ipv4": lambda: st.ip_addresses(v=4).map(str),
    "ipv6": lambda: st.ip_addresses(v=6).map(str),
    "ipvanyaddress": lambda: st.ip_addresses().map(str),
    "ipv4network": lambda: st.ip_addresses(v=4).map(lambda each: f"{each}/32"),
    "ipv6network": lambda: st.ip_addresses(v=6).map(lambda each: f"{each}/128"),
    "email": lambda: st.from_regex(r"[a-z][a-z0-9]{0,9}@[a-z]{1,9}\.(com|org)", fullmatch=True),
    "uri": lambda: st.from_regex(r"https?://[a-z]{1,9}\.(com|org)(/[a-z0-9]{0,9})?", fullmatch=True),
    "regex": lambda: st.from_regex(r"[a-z]*", fullmatch=True),
    "json-string": lambda: JSON.map(json.dumps),
    **{name: lambda: st.uuids().map(str) for name in ("uuid", "uuid1", "uuid3", "uuid6", "uuid7", "uuid8")},
    "uuid4": lambda: st.uuids(version=4).map(str),
    "uuid5": lambda: st.uuids(version=5).map(str),
}


class JsonStrategies:
    """Makes strategies of the schemas of one document: `definitions` are what its `$ref`s name."""

    def __init__(self, definitions: Schema) -> None:
        self._definitions = definitions
        self._known: dict[str, Values] = {}

    def accepted_by(self, schema: Any) -> Values:
        """Return values that a schema accepts, as far as a strategy can tell."""
        if isinstance(schema, bool):
            return JSON if schema else st.nothing()
        if "$ref" in schema:
            return self._definition(schema["$ref"].rpartition("/")[2])
        if "const" in schema:
            return st.just(schema["const"])
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return st.one_of([self.accepted_by(member) for member in schema[word]])
        if "allOf" in schema:
            return self.accepted_by(schema["allOf"][0])
        makers: Mapping[str, Callable[[Schema], Values]] = {
            "null": lambda _: st.none(),
            "boolean": lambda _: st.booleans(),
            "integer": _integers,
            "number": _numbers,
            "string": self._texts,
            "array": self._arrays,
            "object": self._objects,
        }
        types = schema.get("type")
        if types is None:
            return JSON
        return st.one_of([makers[each](schema) for each in (types if isinstance(types, list) else [types])])  # pyright: ignore[reportUnknownVariableType] # of str

    def _definition(self, name: str) -> Values:
        if name not in self._known:
            self._known[name] = st.deferred(lambda: self.accepted_by(self._definitions[name]))
        return self._known[name]

    def _texts(self, schema: Schema) -> Values:
        if "contentSchema" in schema:
            return self.accepted_by(schema["contentSchema"]).map(json.dumps)
        return _strings(schema)

    def _arrays(self, schema: Schema) -> Values:
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        first = [self.accepted_by(each) for each in schema.get("prefixItems", ())]
        more = schema.get("items", not first)
        heads = st.tuples(*first).map(lambda each: [*each])
        if more is False:
            return heads
        rest = st.lists(
            self.accepted_by(more),
            min_size=max(0, least - len(first)),
            max_size=max(least + 4, 4) if most is None else max(0, min(most, least + 8) - len(first)),
            unique_by=json.dumps if schema.get("uniqueItems") else None,
        )
        return st.builds(_joined, heads, rest) if first else rest

    def _objects(self, schema: Schema) -> Values:
        properties = cast("Mapping[str, Any]", schema.get("properties", {}))
        required = {name: self.accepted_by(properties.get(name, True)) for name in schema.get("required", ())}
        optional = {name: self.accepted_by(each) for name, each in properties.items() if name not in required}
        listed: Values = st.fixed_dictionaries(required, optional=optional)
        patterns = cast("Mapping[str, Any]", schema.get("patternProperties", {}))
        others = [(_matching(pattern), self.accepted_by(each)) for pattern, each in patterns.items()]
        further = schema.get("additionalProperties", not properties and not patterns)
        if further is not False:
            others.append(
                (self.accepted_by({"type": "string", **schema.get("propertyNames", {})}), self.accepted_by(further))
            )
        least, most = schema.get("minProperties", 0), schema.get("maxProperties")
        for names, values in others:
            unlisted = names.filter(lambda name: name not in properties)
            few = max(0, least - len(properties))
            extra = st.dictionaries(unlisted, values, min_size=few, max_size=min(most or few + 3, few + 3))
            listed = st.builds(_merged, extra, listed)
        return listed


def _joined(one: list[Any], other: list[Any]) -> list[Any]:
    return [*one, *other]


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return {**one, **other}


def _integers(schema: Schema) -> Values:
    low, high, step = (
        _bound(schema, "inimum", math.ceil, 1),
        _bound(schema, "aximum", math.floor, -1),
        schema.get("multipleOf"),
    )
    if step is None:
        return st.integers(low, high)
    step = max(1, int(step))
    return st.integers(None if low is None else -(-low // step), None if high is None else high // step).map(
        lambda count: count * step
    )


def _bound(schema: Schema, word: str, whole: Callable[[float], int], inward: int) -> int | None:
    """Read a bound of integers: the one that the schema includes, or the one beside the one that it excludes."""
    included, excluded = schema.get(f"m{word}"), schema.get(f"exclusiveM{word}")
    if excluded is not None:
        return whole(excluded) + inward if float(excluded).is_integer() else whole(excluded)
    return None if included is None else whole(included)


def _numbers(schema: Schema) -> Values:
    step = schema.get("multipleOf")
    if step is not None:
        return st.integers(-(10**6), 10**6).map(lambda count: count * step)
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    return st.floats(
        None if low is None else float(low),
        None if high is None else float(high),
        allow_nan=False,
        allow_infinity=False,
        exclude_min="exclusiveMinimum" in schema and "minimum" not in schema,
        exclude_max="exclusiveMaximum" in schema and "maximum" not in schema,
    )


def _strings(schema: Schema) -> Values:
    drawn: Values
    if schema.get("format") in _FORMATS and "pattern" not in schema:
        drawn = _FORMATS[schema["format"]]()
    elif "pattern" in schema:
        drawn = _matching(schema["pattern"])
    else:
        return st.text(min_size=schema.get("minLength", 0), max_size=schema.get("maxLength"))
    least, most = schema.get("minLength", 0), schema.get("maxLength", math.inf)

    def fits(text: str) -> bool:
        return bool(least <= len(text) <= most)

    return drawn.filter(fits) if least or most < math.inf else drawn


def _matching(pattern: str) -> Values:
    try:
        return st.from_regex(re.compile(pattern))
    except re.error:  # Rust's syntax, which Python does not read
        return st.text()
