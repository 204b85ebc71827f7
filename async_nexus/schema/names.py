"""Names of event types in documents: injective, and made of the characters that AsyncAPI allows."""

import re

from ..claims import Keys
from ..events import format_event_type


def component_name(kind: str, keys: Keys) -> str:
    """Name a part of an event type's description: `event.99`, `event.brew`, `events.100-199` for a range.

    What is no letter, digit, dot, hyphen or underscore is written as `_x` and its code; `_x` itself likewise.
    """
    if isinstance(keys, range):
        step = f"-by-{keys.step}" if keys.step > 1 else ""
        return f"{kind}s.{keys[0]}-{keys[-1]}{step}"
    return f"{kind}.{safe(format_event_type(keys))}"


def keys_text(keys: Keys) -> str:
    """Write a key (E3), or both ends of a range, as messages and lock files show it."""
    if isinstance(keys, range):
        step = f" by {keys.step}" if keys.step > 1 else ""
        return f"{keys[0]} to {keys[-1]}{step}"
    return format_event_type(keys)


def safe(text: str) -> str:
    """Write any text with the characters of a component name, such that no two texts become one."""
    return re.sub(r"_(?=x)|[^A-Za-z0-9._-]", lambda found: f"_x{ord(found[0]):x}_", text)
