"""A nexus describes itself: JSON Schema, AsyncAPI, CloudEvents, the lock file and what may be changed."""

from .asyncapi import asyncapi
from .bundle import json_schema
from .cloudevents import cloudevents
from .compatibility import Finding, compare
from .differences import Verdict
from .emissions import Emission, Emitted, emitted_by_handler, emitted_by_source
from .lock import lock, lock_text, read_lock
from .writing import to_json, to_yaml

__all__ = [
    "Emission",
    "Emitted",
    "Finding",
    "Verdict",
    "asyncapi",
    "cloudevents",
    "compare",
    "emitted_by_handler",
    "emitted_by_source",
    "json_schema",
    "lock",
    "lock_text",
    "read_lock",
    "to_json",
    "to_yaml",
]
