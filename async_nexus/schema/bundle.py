"""The JSON Schema 2020-12 bundle of a nexus: an envelope and a payload schema per event type."""

from typing import Any, Final

from ..nexus import AsyncEventNexus
from .described import describe
from .generation import Schema, generate, with_payload
from .names import component_name

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def json_schema(nexus: AsyncEventNexus[Any]) -> Schema:
    """Describe the JSON of a nexus's events: its root is one of the envelopes, `$defs` holds all schemas.

    A payload is called `payload.99` after its key, an envelope `event.99`; for a range of keys
    `payloads.100-199` and `events.100-199`. Raises `TypeError` for a type that JSON Schema cannot describe.
    """
    generated, shared = generate(describe(nexus), ["validation"], "#/$defs/{model}")
    payloads: Schema = {}
    envelopes: Schema = {}
    for one in generated["validation"]:
        payload = component_name("payload", one.described.keys)
        payloads[payload] = one.payload
        envelopes[component_name("event", one.described.keys)] = with_payload(one, {"$ref": f"#/$defs/{payload}"})
    # A `oneOf` has at least one member; where nothing is described, nothing is accepted.
    root: Schema = {"oneOf": [{"$ref": f"#/$defs/{name}"} for name in envelopes]} if envelopes else {"not": {}}
    return {"$schema": DIALECT, "title": "Events", **root, "$defs": {**envelopes, **payloads, **shared}}
