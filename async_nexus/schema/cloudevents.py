"""The JSON Schema of a nexus's events in the structured form of CloudEvents 1.0.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md: an event's `type` is its
key as text (rule E3), its `id` in digits, its payload `data`, its priority an extension attribute.
"""

from typing import Any, Final

from ..events import format_event_type
from ..nexus import AsyncEventNexus
from .bundle import DIALECT
from .described import Described, describe
from .generation import LARGEST_ENUM, Schema, generate
from .names import component_name

INTEGER: Final = "^(0|-?[1-9][0-9]*)$"


def cloudevents(nexus: AsyncEventNexus[Any]) -> Schema:
    """Describe the JSON of a nexus's events as CloudEvents, named in `$defs` as those of `json_schema` are.

    Raises `TypeError` for a type that JSON Schema cannot describe.
    """
    generated, shared = generate(describe(nexus), ["validation"], "#/$defs/{model}")
    payloads: Schema = {}
    envelopes: Schema = {}
    for one in generated["validation"]:
        payload = component_name("payload", one.described.keys)
        payloads[payload] = one.payload
        envelopes[component_name("event", one.described.keys)] = _envelope(one.described, f"#/$defs/{payload}")
    root: Schema = {"oneOf": [{"$ref": f"#/$defs/{name}"} for name in envelopes]} if envelopes else {"not": {}}
    return {"$schema": DIALECT, "title": "CloudEvents", **root, "$defs": {**envelopes, **payloads, **shared}}


def _envelope(described: Described, payload: str) -> Schema:
    return {
        "title": described.title,
        **({"description": described.text} if described.text else {}),
        "type": "object",
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "pattern": INTEGER},
            "source": {"type": "string", "format": "uri-reference", "minLength": 1},
            "type": _type(described),
            "datacontenttype": {"type": "string", "const": "application/json", "default": "application/json"},
            "dataschema": {"type": "string", "format": "uri", "minLength": 1},
            "subject": {"type": "string", "minLength": 1},
            "time": {"type": "string", "format": "date-time"},
            # What a CloudEvents Integer holds.
            "priority": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1, "default": 0},
            "data": {"$ref": payload},
        },
        "required": ["specversion", "id", "source", "type", "data"],
    }


def _type(described: Described) -> Schema:
    if not isinstance(described.keys, range):
        return {"type": "string", "const": format_event_type(described.keys)}
    others = [format_event_type(key) for key in described.others if not isinstance(key, range)]
    excluded = {"not": {"enum": others}} if others else {}
    if len(described.keys) > LARGEST_ENUM:  # too many to list, and JSON Schema has no bounds of digits
        return {"type": "string", "pattern": INTEGER, **excluded}
    overlapping = [keys for keys in described.others if isinstance(keys, range)]
    members = [key for key in described.keys if not any(key in keys for keys in overlapping)]
    return {"type": "string", "enum": [format_event_type(key) for key in members], **excluded}
