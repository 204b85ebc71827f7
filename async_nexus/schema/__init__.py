"""A nexus describes itself: JSON Schema, AsyncAPI, CloudEvents, the lock file and what may be changed."""

from .emissions import Emission, Emitted, emitted_by_handler, emitted_by_source

__all__ = ["Emission", "Emitted", "emitted_by_handler", "emitted_by_source"]
