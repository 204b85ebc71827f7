"""What the names of an object's fields are: texts, whatever they are read as."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from .instances import show_value
from .meaning import resolve

Schema: TypeAlias = Mapping[str, Any]


def names_of(schema: Schema) -> Any:
    """Return the schema of what names are read as; `None` where any will do."""
    return schema.get("x-names", schema.get("propertyNames"))


def as_text(schema: Any, definitions: Schema) -> Schema:
    """Describe the texts by which JSON writes values of a schema, where it names fields."""
    resolved = resolve(schema, definitions)
    for word in ("anyOf", "oneOf"):
        if word in resolved:
            return {word: [as_text(member, definitions) for member in resolved[word]]}
    values = [resolved["const"]] if "const" in resolved else resolved.get("enum")
    kind = resolved.get("type")
    if kind == "boolean":
        values = [False, True]
    if values is not None:
        return {"enum": [value if isinstance(value, str) else show_value(value) for value in values]}
    if kind in ("integer", "number"):
        return {**resolved, "type": "string", "x-text": kind}
    return {"type": "string", **resolved}
