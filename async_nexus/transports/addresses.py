"""Where an engine is found, and how that is said without giving its credentials away."""

import os
from urllib.parse import urlsplit


def find_address(given: str | None, variable: str, default: str) -> str:
    """Return the URL that was given, else that of an environment variable, where credentials belong, else `default`."""
    return given or os.environ.get(variable) or default


def show_address(url: str) -> str:
    """Write a URL for messages and logs: scheme, host and port; neither credentials nor parameters."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "?", parts.port
    except ValueError:
        return "an address that cannot be read"
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + ("" if port is None else f":{port}")
