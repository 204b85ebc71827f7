"""A nexus describes itself: JSON Schema, AsyncAPI, CloudEvents, the lock file and what may be changed."""

from .asyncapi import asyncapi
from .bundle import json_schema
from .cloudevents import cloudevents
from .emissions import Emission, Emitted, emitted_by_handler, emitted_by_source
from .writing import to_json, to_yaml

__all__ = [
    "Emission",
    "Emitted",
    "asyncapi",
    "cloudevents",
    "emitted_by_handler",
    "emitted_by_source",
    "json_schema",
    "to_json",
    "to_yaml",
]
