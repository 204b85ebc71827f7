"""The AsyncAPI 3 document of a nexus: channels and messages per event type, operations of handlers and sources."""

import inspect
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias, cast
from urllib.parse import urlsplit

from ..handlers import Handler, name_of
from ..nexus import AsyncEventNexus
from ..routes import Target
from .described import Described, describe, locate
from .dialect import as_asyncapi
from .emissions import Emission, emitted_by_handler, emitted_by_source
from .generation import Generated, Schema, generate, with_payload
from .names import component_name, keys_text, safe

Version: TypeAlias = Literal["3.0.0", "3.1.0"]
JSON_TYPE: Final = "application/json"
SCHEMAS: Final = "#/components/schemas/"


def asyncapi(
    nexus: AsyncEventNexus[Any],
    version: Version = "3.0.0",
    *,
    title: str = "Events",
    application_version: str = "1.0.0",
    description: str | None = None,
    servers: Mapping[str, str | Mapping[str, Any]] | None = None,
    tags: Iterable[str | Mapping[str, Any]] = (),
) -> Schema:
    """Describe a nexus as an application that receives what it handles and sends what it emits.

    `servers` are Server Objects or URLs (`nats://localhost:4222`) by name, `tags` Tag Objects or names.
    Filters and the default handler have no operation, error handlers `send` only. Raises `TypeError` for a type
    that JSON Schema cannot describe, `ValueError` for a URL without protocol or host.
    """
    types = describe(nexus)
    generated, shared = generate(types, ["validation"], SCHEMAS + "{model}")
    each = generated["validation"]
    info: Schema = {"title": title, "version": application_version}
    if description:
        info["description"] = description
    if tags:
        info["tags"] = [{"name": tag} if isinstance(tag, str) else dict(tag) for tag in tags]
    document: Schema = {"asyncapi": version, "info": info}
    if servers:
        document["servers"] = {name: _server(server) for name, server in servers.items()}
    return {
        **document,
        "defaultContentType": JSON_TYPE,
        "channels": {_channel_name(one.described): _channel(one.described) for one in each},
        "operations": dict(_numbered(_operations(nexus, types))),
        "components": {
            "messages": {_channel_name(one.described): _message(one) for one in each},
            "schemas": as_asyncapi(dict(_schemas(each)) | shared),
        },
    }


def _server(server: str | Mapping[str, Any]) -> Schema:
    if not isinstance(server, str):
        return dict(server)
    parts = urlsplit(server)
    host = parts.netloc.rpartition("@")[2]  # a password has no place in a document
    if not parts.scheme or not host:
        raise ValueError(f"a server is a URL such as nats://localhost:4222, not {server!r}")
    path = {"pathname": parts.path} if parts.path.strip("/") else {}
    return {"host": host, "protocol": parts.scheme, **path}


def _channel_name(described: Described) -> str:
    return component_name("event", described.keys)


def _channel(described: Described) -> Schema:
    name = _channel_name(described)
    text = {"description": described.text} if described.text else {}
    messages = {name: {"$ref": f"#/components/messages/{name}"}}
    return {"address": _address(described), "title": described.title, **text, "messages": messages}


def _address(described: Described) -> str | None:
    """Write the key; a range has no one address, and neither has a key with marks that mean something there."""
    text = keys_text(described.keys)
    return None if isinstance(described.keys, range) or not text or set("{}?#") & set(text) else text


def _message(one: Generated) -> Schema:
    described = one.described
    text = {"description": described.text} if described.text else {}
    return {
        "name": keys_text(described.keys),
        "title": described.title,
        **text,
        "contentType": JSON_TYPE,
        "payload": {"$ref": SCHEMAS + component_name("event", described.keys)},
    }


def _schemas(each: Iterable[Generated]) -> Iterator[tuple[str, Schema]]:
    for one in each:
        payload = component_name("payload", one.described.keys)
        yield component_name("event", one.described.keys), with_payload(one, {"$ref": SCHEMAS + payload})
        yield payload, one.payload


def _operations(nexus: AsyncEventNexus[Any], types: tuple[Described, ...]) -> Iterator[tuple[str, Schema]]:
    """Make `receive` of every handler of a key or range, `send` of what sources, these and error handlers emit."""
    handlers = [(target, handler) for target, handler in nexus.handlers if target is not None]
    for target, handler in handlers:
        described = _of_target(types, target)
        text = inspect.getdoc(handler.given) if inspect.isroutine(handler.given) else None
        yield _operation("receive", described, handler.name, text)
    for source in nexus.sources:
        yield from _sends(types, name_of(source), emitted_by_source(source))
    for handler in _once(handler for _, handler in (*handlers, *nexus.error_handlers)):
        yield from _sends(types, handler.name, emitted_by_handler(handler))


def _once(handlers: Iterable[Handler]) -> Iterable[Handler]:
    return {id(handler.given): handler for handler in handlers}.values()


def _of_target(types: tuple[Described, ...], target: Target) -> Described:
    if isinstance(target, range):
        return next(each for each in types if each.keys == target)
    return cast(Described, locate(types, cast("int | str", target)))


def _sends(types: tuple[Described, ...], name: str, emission: Emission) -> Iterator[tuple[str, Schema]]:
    for key in emission.keys:
        yield _operation("send", cast(Described, locate(types, key)), name, None)


def _operation(
    action: Literal["send", "receive"], described: Described, name: str, text: str | None
) -> tuple[str, Schema]:
    channel = _channel_name(described)
    readable = safe(name.replace("<locals>.", "").replace("<lambda>", "lambda"))
    return f"{action}.{channel.partition('.')[2]}.{readable}", {
        "action": action,
        "title": name,
        **({"summary": text.partition("\n")[0]} if text else {}),
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{channel}"}],
    }


def _numbered(operations: Iterable[tuple[str, Schema]]) -> Iterator[tuple[str, Schema]]:
    """Tell operations of the same name apart: two handlers may be lambdas, two sources of one class."""
    seen: set[str] = set()
    for name, operation in operations:
        free = next(each for each in _attempts(name) if each not in seen)
        seen.add(free)
        yield free, operation


def _attempts(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}-{count}" for count in itertools.count(2))
