"""The AsyncAPI document: accepted by the official parser, with every reference resolved, and complete."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from async_nexus import (
    AsyncEventBoundary,
    AsyncEventNexus,
    Event,
    EventQueue,
    FailedEvent,
    NamedEvent,
    SimpleEventConverter,
    Timer,
)
from async_nexus.schema import asyncapi, to_json
from async_nexus.schema.generation import references

HERE = Path(__file__).parent / "asyncapi"
# Where `make asyncapi` installs the parser.
INSTALLED = Path(os.environ.get("ASYNCAPI_PARSER", HERE.parents[2] / ".venv" / "asyncapi"))


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]
    pair: tuple[int, str]


class Teapot(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]


class TeapotEvent(NamedEvent[Teapot], type=99):
    """Tea is ready."""


class Treacle(NamedEvent[int]): ...


class Spoon(NamedEvent[str]): ...


class Kettle(SimpleEventConverter[TeapotEvent | Treacle]):
    async def obtain_event(self) -> TeapotEvent | Treacle:
        raise NotImplementedError


def drink(event: TeapotEvent, queue: EventQueue[Spoon]) -> None:
    """Drink it.

    Slowly.
    """


def stir(event: Event[int]) -> None:
    """Stir."""


def kitchen() -> AsyncEventNexus[Any]:
    """A nexus that uses everything that a document shows."""
    nexus = AsyncEventNexus[Any](multiple=True)
    nexus.add_handler(TeapotEvent, drink)
    nexus.add_handler((100, 199), stir)
    nexus.add_handler("a b/{c}?", lambda event: None)
    nexus.add_handler("a b/{c}?", lambda event: None)
    nexus.add_handler(-1, lambda event: None)
    nexus.add_filter(lambda event: False)
    nexus.add_handler(Spoon, AsyncEventBoundary())
    nexus.register(Kettle())
    nexus.register(Timer(1, event_type=150, event_factory=nexus))
    nexus.register(AsyncEventBoundary[Spoon]())
    return nexus


SERVERS: dict[str, str | dict[str, Any]] = {
    "local": "nats://user:secret@localhost:4222/a",
    "far": {"host": "example.org", "protocol": "amqp"},
}
DOCUMENT = asyncapi(kitchen(), title="Kitchen", servers=SERVERS, tags=["tea", {"name": "pots"}])

Check = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture(scope="session")
def official() -> Check:
    """The official parser; where it cannot run, the test says so, and in CI it fails."""
    node = shutil.which("node")
    if node is None or not (INSTALLED / "node_modules" / "@asyncapi" / "parser").is_dir():
        reason = f"NOT CHECKED by @asyncapi/parser, since {'it' if node else 'node'} is missing: run `make asyncapi`"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)

    def check(document: dict[str, Any]) -> dict[str, Any]:
        done = subprocess.run(
            [node, str(HERE / "check.js")],
            env=os.environ | {"NODE_PATH": str(INSTALLED / "node_modules")},
            input=to_json(document),
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=True,
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return check


@pytest.mark.parametrize("version", ["3.0.0", "3.1.0"])
def test_the_official_parser_accepts_it(official: Check, version: Any) -> None:
    """@asyncapi/parser reads the document and has nothing against it."""
    document = asyncapi(kitchen(), version, title="Kitchen", servers=SERVERS, tags=["tea"])
    assert official(document) == {"parsed": True, "findings": []}


def test_the_official_parser_accepts_an_empty_nexus(official: Check) -> None:
    """A nexus without events is an application without channels."""
    assert official(asyncapi(AsyncEventNexus())) == {"parsed": True, "findings": []}


def test_the_official_parser_would_complain(official: Check) -> None:
    """The check sees a reference that dangles."""
    wrong = {**DOCUMENT, "channels": {}}
    assert official(wrong)["findings"] != []


def resolve(document: Any, reference: str) -> Any:
    """Follow a JSON pointer."""
    for part in reference.removeprefix("#/").split("/"):
        document = document[part.replace("~1", "/").replace("~0", "~")]
    return document


def test_no_reference_dangles() -> None:
    """Every `$ref` is resolved, which most validators do not do."""
    found = list(references(DOCUMENT))
    assert found
    assert all(isinstance(resolve(DOCUMENT, each), dict) for each in found)


def test_a_message_and_channel_per_event_type_and_range() -> None:
    """The payload of a message is the event's envelope; the address of a channel is the key as text."""
    addresses = {name: channel["address"] for name, channel in DOCUMENT["channels"].items()}
    assert addresses == {
        "event.99": "99",
        "event.Spoon": "Spoon",
        "event.Treacle": "Treacle",
        "event.a_x20_b_x2f__x7b_c_x7d__x3f_": None,
        "events.100-199": None,
    }
    assert DOCUMENT["components"]["messages"].keys() == addresses.keys()
    message = DOCUMENT["components"]["messages"]["event.99"]
    assert (message["name"], message["title"], message["description"]) == ("99", "TeapotEvent", "Tea is ready.")
    assert resolve(DOCUMENT, message["payload"]["$ref"])["properties"]["type"] == {"type": "integer", "const": 99}


def test_handlers_receive_and_emitters_send() -> None:
    """Filters and the default handler have no operation; a timer sends into the range that holds its key."""
    operations = {
        name: (each["action"], each["channel"]["$ref"].rpartition("/")[2], each["title"])
        for name, each in DOCUMENT["operations"].items()
    }
    odd = "a_x20_b_x2f__x7b_c_x7d__x3f_"
    assert operations == {
        "receive.99.drink": ("receive", "event.99", "drink"),
        f"receive.{odd}.kitchen.lambda": ("receive", f"event.{odd}", "kitchen.<locals>.<lambda>"),
        f"receive.{odd}.kitchen.lambda-2": ("receive", f"event.{odd}", "kitchen.<locals>.<lambda>"),
        "receive.Spoon.AsyncEventBoundary": ("receive", "event.Spoon", "AsyncEventBoundary"),
        "receive.100-199.stir": ("receive", "events.100-199", "stir"),
        "send.99.Kettle": ("send", "event.99", "Kettle"),
        "send.Treacle.Kettle": ("send", "event.Treacle", "Kettle"),
        "send.100-199.Timer": ("send", "events.100-199", "Timer"),
        "send.Spoon.AsyncEventBoundary": ("send", "event.Spoon", "AsyncEventBoundary"),
        "send.Spoon.drink": ("send", "event.Spoon", "drink"),
    }
    assert DOCUMENT["operations"]["receive.99.drink"]["summary"] == "Drink it."


def test_error_handlers_send() -> None:
    """What they put is described, and sent by them."""

    def mend(failed: FailedEvent, queue: EventQueue[Spoon]) -> None: ...

    nexus = AsyncEventNexus()
    nexus.on_error(ValueError, OSError)(mend)
    document = asyncapi(nexus)
    assert [(each["action"], each["title"]) for each in document["operations"].values()] == [
        ("send", mend.__qualname__)
    ]
    assert list(document["channels"]) == ["event.Spoon"]


def test_schemas_are_in_the_dialect_of_asyncapi() -> None:
    """A discriminator is a property's name, and fixed items are `items`, as in draft 07."""
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["Teapot"]["properties"]["pet"]["discriminator"] == "kind"
    assert schemas["Dog"]["properties"]["pair"]["items"] == [{"type": "integer"}, {"type": "string"}]
    assert "prefixItems" not in to_json(DOCUMENT)


def test_servers_and_tags() -> None:
    """A server is an object or a URL, whose password is left out; a tag an object or a name."""
    assert DOCUMENT["servers"] == {
        "local": {"host": "localhost:4222", "protocol": "nats", "pathname": "/a"},
        "far": {"host": "example.org", "protocol": "amqp"},
    }
    assert DOCUMENT["info"] == {"title": "Kitchen", "version": "1.0.0", "tags": [{"name": "tea"}, {"name": "pots"}]}


def test_a_server_has_a_protocol() -> None:
    """A bare host name is refused."""
    with pytest.raises(ValueError, match="nats://"):
        asyncapi(AsyncEventNexus(), servers={"a": "localhost"})
