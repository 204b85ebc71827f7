"""Schemas as to what they mean: through references, without prose and names."""

import json
from collections.abc import Mapping
from typing import Any, Final, TypeAlias, cast

from .dialect import rewrite

Schema: TypeAlias = Mapping[str, Any]

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
