"""What a schema says: through references, and without prose."""

import json
from collections.abc import Mapping
from typing import Any, Final, TypeAlias, cast

from . import bounds
from .dialect import rewrite

Schema: TypeAlias = Mapping[str, Any]

TYPES: Final = ("array", "boolean", "integer", "null", "number", "object", "string")

KNOWN: Final = frozenset(
    {
        *("type", "enum", "const", "default", "discriminator", "$defs", "$comment", "format", "pattern", "minLength"),
        *("maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "items"),
        *("prefixItems", "minItems", "maxItems", "uniqueItems", "properties", "required", "additionalProperties"),
        *("patternProperties", "propertyNames", "minProperties", "maxProperties", "anyOf", "oneOf", "allOf"),
        *("x-names", "x-text", "x-digits", "x-places", "x-whole", "x-infinite"),
        *("title", "description", "examples", "deprecated", "readOnly", "writeOnly"),
    }
)
"""The words whose meaning is decided here; of any other, a reader's is unclear unless the writer has the same."""

SILENT: Final = frozenset(
    {"default", "discriminator", "$defs", "$comment", "title", "description", "examples", "deprecated"}
    | {"readOnly", "writeOnly"}
)
"""The words that say nothing about which values are accepted."""


def resolve(schema: Any, definitions: Schema) -> Schema:
    """Follow references; `True` becomes the schema of anything and `False` that of nothing."""
    if isinstance(schema, bool):
        return {} if schema else {"not": {}}
    while "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        beside = {word: value for word, value in schema.items() if word != "$ref" and word not in SILENT}
        if beside:
            return {"allOf": [definitions[name], beside]}
        schema = definitions[name]
    return cast("Schema", schema)


def is_open(writer: Schema) -> Any:
    """Return the schema of fields that a writer does not list; `False` where it writes none such."""
    return writer.get("additionalProperties", "properties" not in writer and "patternProperties" not in writer)


def types_of(schema: Schema) -> set[str]:
    """Return the JSON types that a schema allows."""
    given = schema.get("type")
    if given is None:
        values = values_of(schema)
        return set(TYPES) if values is None else {bounds.type_of(value) for value in values}
    return {given} if isinstance(given, str) else set(given)


def tags_of(reader: Schema) -> set[str]:
    """Return the field by which a reader tells the members of a union apart, if there is one."""
    discriminator: Schema = reader.get("discriminator", {})
    return {discriminator["propertyName"]} if "propertyName" in discriminator else set()


def constrains(reader: Schema) -> bool:
    """Whether a schema says anything about which values are accepted."""
    return any(word not in SILENT for word in reader)


def alternatives(writer: Schema) -> list[Any] | None:
    """List the members of a writer's union, each with what is said beside it; nothing where it is no union."""
    for word in ("anyOf", "oneOf"):
        if word in writer:
            rest = {key: value for key, value in writer.items() if key != word and key not in SILENT}
            return [{"allOf": [rest, member]} if rest else member for member in writer[word]]
    if isinstance(writer.get("type"), list):
        return [{**writer, "type": each} for each in writer["type"]]
    return None


def values_of(schema: Schema) -> list[Any] | None:
    """List the values of a schema that lists them, or has two or one."""
    if "const" in schema:
        return [schema["const"]]
    if "enum" in schema:
        return cast("list[Any]", schema["enum"])
    if schema.get("type") == "boolean":
        return [False, True]
    return [None] if schema.get("type") == "null" else None


def item_at(schema: Schema, index: int) -> Any:
    """Return the schema of an array's item."""
    prefix: list[Any] = schema.get("prefixItems", [])
    return prefix[index] if index < len(prefix) else schema.get("items", True)


def spelled(schema: Any, definitions: Schema) -> str:
    """Write a schema and all that it refers to: what says the same is the same text.

    Definitions are numbered as they are met, since a model may be renamed.
    """
    numbers: dict[str, int] = {}
    waiting: list[Any] = [schema]
    parts: list[Any] = []
    while waiting:
        known = len(numbers)
        parts.append(_numbered(rewrite(waiting.pop(0), _meaning), numbers))
        waiting += [definitions[name.removeprefix("#/$defs/")] for name in [*numbers][known:]]
    return json.dumps(parts)


def _meaning(schema: dict[str, Any]) -> dict[str, Any]:
    return {word: value for word, value in schema.items() if word not in SILENT}


def _numbered(value: Any, numbers: dict[str, int]) -> Any:
    if isinstance(value, list):
        return [_numbered(each, numbers) for each in value]  # pyright: ignore[reportUnknownVariableType] # of any
    if not isinstance(value, dict):
        return value
    return {
        word: numbers.setdefault(each, len(numbers))
        if word == "$ref" and isinstance(each, str)
        else _numbered(each, numbers)
        for word, each in sorted(cast("Schema", value).items())
    }
