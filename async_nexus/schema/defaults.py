"""Default values and examples in schemas: those of sets, whose order differs from run to run, in one order."""

import json
from collections.abc import Mapping
from typing import Any, cast

from .dialect import rewrite

Schema = dict[str, Any]


def order_sets(schema: Schema, by_ref: Mapping[str, Schema]) -> Schema:
    """Write sets in defaults and examples in the order of their members' JSON; `by_ref` resolves references."""

    def change(each: Schema) -> Schema:
        changed = dict(each)
        if "default" in changed:
            changed["default"] = _ordered(changed["default"], each, by_ref)
        if isinstance(changed.get("examples"), list):
            changed["examples"] = [_ordered(example, each, by_ref) for example in changed["examples"]]
        return changed

    return cast(Schema, rewrite(schema, change))


def _ordered(value: Any, schema: Any, by_ref: Mapping[str, Schema]) -> Any:
    """Order the sets within a value, which are the arrays of unique items in its schema."""
    if not isinstance(value, list | dict) or not isinstance(schema, dict):
        return cast(Any, value)
    said = cast(Schema, schema)
    if "$ref" in said:
        value = _ordered(value, by_ref.get(said["$ref"]), by_ref)
    for word in ("anyOf", "oneOf", "allOf"):
        for member in said.get(word, ()):
            value = _ordered(value, member, by_ref)
    if isinstance(value, dict):
        fields, rest = said.get("properties", {}), said.get("additionalProperties")
        items = cast(Schema, value).items()
        return {name: _ordered(each, fields.get(name, rest), by_ref) for name, each in items}
    return _ordered_list(cast("list[Any]", value), said, by_ref)


def _ordered_list(value: list[Any], schema: Schema, by_ref: Mapping[str, Schema]) -> list[Any]:
    prefix = schema.get("prefixItems", [])
    schemas = [*prefix, *[schema.get("items")] * (len(value) - len(prefix))]
    members = [_ordered(each, inner, by_ref) for each, inner in zip(value, schemas, strict=False)]
    return sorted(members, key=json.dumps) if schema.get("uniqueItems") else members
