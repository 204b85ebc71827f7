"""Schemas of JSON Schema 2020-12 in the dialect of AsyncAPI, which extends draft 07."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias, cast

# Where schemas are within a schema: one, a list of them, or some by name.
ONE: Final = frozenset(
    {"items", "additionalProperties", "propertyNames", "contains", "not", "if", "then", "else", "x-names"}
)
MANY: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
NAMED: Final = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs"})

Change: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]


def rewrite(schema: Any, change: Change) -> Any:
    """Change a schema and all schemas within it, from the inside out; what is no schema stays as it is."""
    if not isinstance(schema, dict):
        return schema
    return change(dict(_rewritten(cast("dict[str, Any]", schema), change)))


def _rewritten(schema: Mapping[str, Any], change: Change) -> Iterator[tuple[str, Any]]:
    for word, value in schema.items():
        if word in MANY:
            yield word, [rewrite(each, change) for each in value]
        elif word in NAMED:
            yield word, {name: rewrite(each, change) for name, each in value.items()}
        else:
            yield word, rewrite(value, change) if word in ONE else value


def as_asyncapi(schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Say in draft 07 what pydantic says in 2020-12: fixed items, and a discriminator, which is a name there."""
    return {name: rewrite(schema, _to_draft_07) for name, schema in schemas.items()}


def _to_draft_07(schema: dict[str, Any]) -> dict[str, Any]:
    changed = dict(schema)
    if isinstance(changed.get("discriminator"), dict):
        changed["discriminator"] = changed["discriminator"]["propertyName"]
    if "prefixItems" in changed:
        rest = changed.pop("items", None)
        changed["items"] = changed.pop("prefixItems")
        if rest is not None:
            changed["additionalItems"] = rest
    return changed
