"""jsoncompat, asked about what the rules here leave open, as far as it can be trusted.

It ignores formats and does not enforce patterns, so it is not asked where there are any. Its "no" is no proof
(it calls a member added to a discriminated union incompatible), its "yes" is.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from .dialect import rewrite
from .finer import WORDS
from .generation import references

# What jsoncompat decides wrongly, or is not known to decide rightly.
UNTRUSTED: Final = ("pattern", "format", "patternProperties", "contentMediaType", "contentEncoding", *WORDS)


def fits(
    writer: Mapping[str, Any],
    writer_definitions: Mapping[str, Any],
    reader: Mapping[str, Any],
    reader_definitions: Mapping[str, Any],
) -> bool:
    """Whether jsoncompat, if it is installed, finds that a reader accepts all that a closed writer writes."""
    try:
        from jsoncompat import check_compat
    except ImportError:
        return False
    written = json.dumps(_whole(rewrite(dict(writer), _closed), writer_definitions, closed=True))
    read = json.dumps(_whole(dict(reader), reader_definitions, closed=False))
    if any(f'"{word}":' in text for word in UNTRUSTED for text in (written, read)):
        return False
    try:
        return check_compat(written, read, "deserializer")
    except ValueError:
        return False


def _whole(schema: dict[str, Any], definitions: Mapping[str, Any], *, closed: bool) -> dict[str, Any]:
    """Put the definitions that a schema needs beside it, and no others."""
    needed: dict[str, Any] = {}
    waiting: list[Any] = [schema]
    while waiting:
        for reference in references(waiting.pop()):
            name = reference.removeprefix("#/$defs/")
            if name not in needed:
                needed[name] = rewrite(definitions[name], _closed) if closed else definitions[name]
                waiting.append(definitions[name])
    return {**schema, "$defs": needed}


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    return {"additionalProperties": False, **schema} if "properties" in schema else schema
