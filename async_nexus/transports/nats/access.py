"""Where NATS is, and what it is shown to be let in."""

import os
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from ..addresses import find_address

_DEFAULT: Final = "nats://127.0.0.1:4222"
_PORT: Final = 4222


@dataclass(frozen=True, slots=True)
class Secrets:
    """A name and its password, or a token, or the path of a file of credentials, or nothing at all."""

    user: str | None = None
    password: str | None = None
    token: str | None = None
    file: str | None = None

    def __bool__(self) -> bool:
        return self != Secrets()


@dataclass(frozen=True, slots=True)
class Access:
    """The servers of one cluster, by addresses that hold no credentials. With `tls` no other connection will do."""

    servers: tuple[str, ...]
    secrets: Secrets = field(repr=False)
    tls: ssl.SSLContext | None = field(repr=False)

    def __str__(self) -> str:
        return ", ".join(self.servers)


def find_access(
    url: str | Sequence[str] | None, user_credentials: str | Path | None, tls: ssl.SSLContext | None
) -> Access:
    """Find them in what was given, else in the environment. Raises `ValueError`, whose text shows no credentials."""
    given = url if url is None or isinstance(url, str) else ",".join(url)
    parts = [_read_url(each.strip()) for each in find_address(given, "NATS_URL", _DEFAULT).split(",")]
    in_urls = {secrets for each in parts if (secrets := _secrets_in(each))}
    if len(in_urls) > 1:
        raise ValueError("the addresses of NATS name different credentials: give the servers of one cluster the same")
    file = Secrets(file=os.fspath(user_credentials)) if user_credentials else None
    if tls is None and any(each.scheme == "tls" for each in parts):
        tls = ssl.create_default_context()
    secrets = file or next(iter(in_urls), None) or next(_secrets_in_environment(), Secrets())
    return Access(tuple(map(_without_secrets, parts)), secrets, tls)


def _read_url(url: str) -> SplitResult:
    try:
        parts = urlsplit((url if "://" in url else f"nats://{url}").removesuffix("/"))
        if parts.scheme in ("nats", "tls") and parts.hostname and parts.port != 0 and not any(parts[2:]):
            return parts
    except ValueError:
        pass
    # From none, and without the address: both may show a part of a password.
    raise ValueError(
        "an address of NATS cannot be read: expected nats://host:port or tls://host:port, several with commas between; "
        "what is no letter or digit in credentials is percent-encoded"
    ) from None


def _secrets_in(parts: SplitResult) -> Secrets:
    user, password = (None if each is None else unquote(each) for each in (parts.username, parts.password))
    return Secrets(token=user or None) if password is None else Secrets(user, password)


def _secrets_in_environment() -> Iterator[Secrets]:
    """Yield what is there, the strongest first, by the names that NATS's own command has for it."""
    get = os.environ.get
    if file := get("NATS_CREDS"):
        yield Secrets(file=file)
    if user := get("NATS_USER"):
        yield Secrets(user, get("NATS_PASSWORD", ""))
    if token := get("NATS_TOKEN"):
        yield Secrets(token=token)


def _without_secrets(parts: SplitResult) -> str:
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{parts.port or _PORT}"
