"""Documents as text: the same document gives the same bytes."""

import json
from collections.abc import Mapping
from typing import Any


def to_json(document: Mapping[str, Any]) -> str:
    """Write a document as JSON, in its own order, ending in a newline."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def to_yaml(document: Mapping[str, Any]) -> str:
    """Write a document as YAML, in its own order. Raises `ImportError` without the extra `cli`."""
    try:
        import yaml
    except ImportError as error:
        raise ImportError("YAML needs PyYAML: pip install 'async-nexus[cli]'") from error

    # Written in C where PyYAML was built so, ten times as fast.
    base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    dumper = type("Dumper", (base,), {"ignore_aliases": _always})
    # Lines are not broken: the two dumpers would not agree on where.
    return yaml.dump(dict(document), Dumper=dumper, sort_keys=False, allow_unicode=True, width=2**30)


def _always(dumper: object, value: object) -> bool:
    """Write out each time what is shared in memory, for tools that know no aliases."""
    return True
