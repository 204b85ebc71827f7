"""The lock file: what the events of a nexus are, for later versions to be compared with."""

import json
from collections.abc import Mapping
from typing import Any, Final, cast

from ..nexus import AsyncEventNexus
from .described import Described, describe
from .dialect import rewrite
from .finer import WORDS, FinerSchema
from .generation import Generated, Schema, generate, with_payload
from .lock_form import check_form
from .names import keys_text

FORMAT: Final = 1
"""The version of the lock file's own form."""

ANNOTATIONS: Final = frozenset({"title", "description", "examples", "deprecated", "readOnly", "writeOnly"})
"""Words of a schema that say nothing about which values it accepts."""


def lock(nexus: AsyncEventNexus[Any]) -> Schema:
    """Write down both schemas of each event type: how events are read (validation) and written (serialization).

    Raises `TypeError` for a type that JSON Schema cannot describe.
    """
    generated, shared = generate(describe(nexus), ["validation", "serialization"], "#/$defs/{model}", FinerSchema)
    events: Schema = {}
    ranges: list[Schema] = []
    for reader, writer in zip(generated["validation"], generated["serialization"], strict=True):
        described = reader.described
        entry = {"name": _name(described), "validation": _contract(reader), "serialization": _contract(writer)}
        if isinstance(described.keys, range):
            keys = described.keys
            ranges.append({"first": keys[0], "last": keys[-1], "step": keys.step, **entry})
        else:
            events[keys_text(described.keys)] = entry
    definitions = {name: rewrite(schema, _bare) for name, schema in shared.items()}
    return {"async_nexus_lock": FORMAT, "words": [*WORDS], "events": events, "ranges": ranges, "$defs": definitions}


def lock_text(document: Mapping[str, Any]) -> str:
    """Write a lock as text: the same contract gives the same bytes."""
    return json.dumps(document, indent=2, sort_keys=True, allow_nan=False) + "\n"


def read_lock(text: str | bytes) -> Schema:
    """Read what `lock_text` wrote. Raises `ValueError` for anything else."""
    document = json.loads(text)
    check_lock(document)
    check_form(document)
    return cast(Schema, document)


def check_lock(document: object) -> None:
    """Raise `ValueError` for what is not a lock of the form that this version writes."""
    if not isinstance(document, dict) or "async_nexus_lock" not in document:
        raise ValueError("this is no lock file: `async-nexus lock` writes one")
    if document["async_nexus_lock"] != FORMAT:
        raise ValueError(
            f"the lock file has format {document['async_nexus_lock']!r}, this version reads {FORMAT}: write it anew"
        )


def _name(described: Described) -> str:
    """Name an event type as findings do: by its class or, where it has none, by its key."""
    return keys_text(described.keys) if described.event_class is None else described.event_class.__name__


def _contract(one: Generated) -> Schema:
    return cast(Schema, rewrite(with_payload(one, one.payload), _bare))


def _bare(schema: Schema) -> Schema:
    """Leave out what is there for people, and the order in which fields were written."""
    bare = {word: value for word, value in schema.items() if word not in ANNOTATIONS}
    return {**bare, "required": sorted(bare["required"])} if "required" in bare else bare
