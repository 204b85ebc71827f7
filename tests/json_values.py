"""Hypothesis strategies of JSON values that a schema accepts, for the words that pydantic writes."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

from hypothesis import strategies as st

from async_nexus.schema.field_names import as_text

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
FORMATS: dict[str, st.SearchStrategy[str]] = {
    "date": st.dates().map(lambda each: each.isoformat()),
    "date-time": st.datetimes(timezones=st.just(None)).map(lambda each: each.isoformat() + "Z"),
    "time": st.times().map(lambda each: each.isoformat()),
    "duration": st.integers(1, 9).map(lambda each: f"P{each}D"),
    "uri": st.just("https://example.org/"),
    "multi-host-uri": st.just("redis://one,two"),
    "uuid": st.uuids().map(str),
    **dict.fromkeys(("path", "password", "binary"), st.text(max_size=3)),
}


def accepted_by(schema: Any, definitions: Mapping[str, Any], *, closed: bool = False) -> st.SearchStrategy[Any]:
    """Values that a schema accepts; where it is `closed`, objects have no fields that it does not list."""

    def of(inner: Any) -> st.SearchStrategy[Any]:
        return accepted_by(inner, definitions, closed=closed)

    if schema in (True, {}):
        return JSON
    if "$ref" in schema:
        name = cast(str, schema["$ref"]).rpartition("/")[2]
        return st.deferred(lambda: of(definitions[name]))
    if "const" in schema or "enum" in schema:
        return st.sampled_from([schema["const"]] if "const" in schema else schema["enum"])
    if "discriminator" in schema:
        return st.one_of([of(_tagged(member, schema["discriminator"], definitions)) for member in schema["oneOf"]])
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return st.one_of([of(member) for member in schema[word]])
    match schema.get("type"):
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer":
            return _integers(schema)
        case "number":
            low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
            floats = st.floats(low, high, allow_nan=False, allow_infinity=False)
            return floats.filter(lambda each: each != schema.get("exclusiveMinimum"))
        case "string":
            return _strings(schema)
        case "array":
            return _arrays(schema, of)
        case "object":
            return _objects(schema, definitions, of, closed)
        case _:
            return JSON


def _tagged(member: Any, discriminator: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    """A member of a union with its tag, which pydantic needs also where it has a default."""
    while "$ref" in member:
        member = definitions[member["$ref"].rpartition("/")[2]]
    if "oneOf" in member:
        return {**member, "oneOf": [_tagged(each, discriminator, definitions) for each in member["oneOf"]]}
    return {**member, "required": sorted({*member.get("required", ()), discriminator["propertyName"]})}


def _integers(schema: Mapping[str, Any]) -> st.SearchStrategy[int]:
    step = schema.get("multipleOf", 1)
    low = schema.get("minimum", schema.get("exclusiveMinimum", -(2**53) - 1) + 1)
    high = schema.get("maximum", schema.get("exclusiveMaximum", 2**53 + 1) - 1)
    excluded = schema.get("not", {}).get("enum", ())
    return st.integers(-(-low // step), high // step).map(lambda n: n * step).filter(lambda n: n not in excluded)


def _strings(schema: Mapping[str, Any]) -> st.SearchStrategy[str]:
    if "x-text" in schema:
        kind = "number" if schema["x-text"] == "decimal" else schema["x-text"]
        return accepted_by({**schema, "type": kind}, {}).map(_spelled)
    if "x-now_op" in schema:
        return st.just("1999-12-31T00:00:00Z")
    if "format" in schema:
        return FORMATS[schema["format"]]
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True)
    return st.text(min_size=schema.get("minLength", 0), max_size=schema.get("maxLength"))


def _spelled(number: float) -> str:
    """A number as decimals are written."""
    return str(Decimal(str(number)))


def _arrays(schema: Mapping[str, Any], of: Any) -> st.SearchStrategy[list[Any]]:
    if "prefixItems" in schema:
        return st.tuples(*map(of, schema["prefixItems"])).map(list)
    return st.lists(
        of(schema.get("items", True)),
        min_size=schema.get("minItems", 0),
        max_size=schema.get("maxItems", 4),
        unique_by=repr if schema.get("uniqueItems") else None,
    )


def _objects(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], of: Any, closed: bool
) -> st.SearchStrategy[dict[str, Any]]:
    properties = schema.get("properties", {})
    required = {name: of(properties[name]) for name in schema.get("required", ())}
    optional = {name: of(each) for name, each in properties.items() if name not in required}
    listed = st.fixed_dictionaries(required, optional=optional)
    further = schema.get("additionalProperties", not closed or not properties)
    if further is False:
        return listed
    named = schema.get("x-names", schema.get("propertyNames"))
    names = st.text(max_size=3) if named is None else of({"type": "string", **as_text(named, definitions)})
    others = st.dictionaries(names.filter(lambda each: each not in properties), of(further), max_size=2)
    return st.builds(lambda one, other: {**other, **one}, listed, others)
