"""The error tree, what the errors carry and what their texts say."""

import copy
import pickle
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from async_nexus import errors
from async_nexus.errors import AsyncNexusError, InvalidPayload, UnhandledEvent, raise_together
from async_nexus.events import Event


class Teapot(BaseModel):
    temp: int
    brand: str


def invalid_payload(payload: object) -> InvalidPayload:
    """Let a payload fail, and make the error of it."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Teapot).validate_python(payload)
    return InvalidPayload(Event(7, 99, 0, payload), "Teapot", caught.value.errors(include_url=False))


TREE = {
    "UnhandledEvent": ("AsyncNexusError",),
    "InvalidPayload": ("AsyncNexusError", "ValueError"),
    "InvalidHandler": ("AsyncNexusError", "TypeError"),
    "SchemaConflict": ("AsyncNexusError", "TypeError"),
    "HandlerConflict": ("AsyncNexusError", "LookupError"),
    "NoMoreEvents": ("AsyncNexusError",),
    "MultipleStart": ("AsyncNexusError",),
    "Overflow": ("AsyncNexusError",),
    "TransportError": ("AsyncNexusError",),
    "TransportUnavailable": ("TransportError",),
    "Dropped": ("AsyncNexusError",),
    "BadCall": ("AsyncNexusError",),
    "MisconfiguredEventProducer": ("BadCall",),
    "MisconfiguredEventConsumer": ("BadCall",),
    "NotStarted": ("BadCall",),
    "LoopAlreadyStarted": ("BadCall",),
    "LoopStopped": ("BadCall",),
    "Deadlock": ("BadCall",),
}


@pytest.mark.parametrize("name, bases", TREE.items())
def test_the_tree(name: str, bases: tuple[str, ...]) -> None:
    """Errors: each error derives from what the tree says, built-in kinds included."""
    assert tuple(base.__name__ for base in getattr(errors, name).__bases__) == bases


def test_the_tree_is_whole() -> None:
    """Errors: there is no error beside those of the tree, and the module's docstring draws each."""
    defined = {
        name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, AsyncNexusError)
    }
    assert defined == {"AsyncNexusError", *TREE}
    assert all(f" {name}" in (errors.__doc__ or "") for name in TREE)


def test_the_package_exports_each_error() -> None:
    """Errors: what may be raised can be caught by a name of the package."""
    import async_nexus

    assert all(getattr(async_nexus, name) is getattr(errors, name) for name in TREE)


def test_an_unhandled_event_carries_it() -> None:
    """D1: `UnhandledEvent.event` is the event, and the text names it and says what to do."""
    event = Event(7, "brew", 0, "secret")
    error = UnhandledEvent(event)
    assert error.event is event
    assert "event 7 of type 'brew'" in str(error)
    assert "`nexus.on('brew')`" in str(error)
    assert "secret" not in str(error)


def test_an_invalid_payload_carries_the_event() -> None:
    """V2: `InvalidPayload` carries the event as it was given, and the name of the schema."""
    error = invalid_payload({"temp": "hot"})
    assert error.event.payload == {"temp": "hot"}
    assert error.schema == "Teapot"


def test_an_invalid_payload_has_pydantics_details() -> None:
    """V2: `errors()` is what pydantic's own has."""
    error = invalid_payload({"temp": "hot"})
    assert [(each["loc"], each["type"]) for each in error.errors()] == [
        (("temp",), "int_parsing"),
        (("brand",), "missing"),
    ]


def test_the_details_are_the_callers_own() -> None:
    """V2: changing the list that `errors()` returned changes no error."""
    error = invalid_payload({})
    error.errors().clear()
    assert len(error.errors()) == 2


def test_an_invalid_payload_names_each_bad_field() -> None:
    """V2: the text names the event's id and type, the schema and each bad field, but shows no value."""
    text = str(invalid_payload({"temp": "top secret"}))
    assert text.startswith("event 7 of type 99: its payload is no Teapot: ")
    assert "temp: Input should be a valid integer" in text
    assert "(given str)" in text
    assert "brand: Field required" in text
    assert "secret" not in text


def test_a_payload_that_is_wrong_as_a_whole() -> None:
    """V2: where no field is to blame, the text says `payload`."""
    assert "is no Teapot: payload: Input should be" in str(invalid_payload(3))


@pytest.mark.parametrize("error", [UnhandledEvent(Event(7, 99, 0, 1)), invalid_payload({"temp": "hot"})], ids=str)
@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))], ids=["copy", "pickle"])
def test_errors_can_be_copied(error: Any, again: Any) -> None:
    """Errors that carry something keep it when they are copied or sent to another process."""
    copied = again(error)
    assert type(copied) is type(error)
    assert str(copied) == str(error)
    assert copied.event == error.event


def test_raising_no_errors_together() -> None:
    """T3: where nothing was raised, nothing is."""
    raise_together([], "handlers failed")


def test_raising_one_error_together() -> None:
    """T3: a single error is raised as itself."""
    error = KeyError("x")
    with pytest.raises(KeyError) as caught:
        raise_together([error], "handlers failed")
    assert caught.value is error


def test_raising_several_errors_together() -> None:
    """T3: several are one flat group, in which a group that was raised stays one member."""
    group = ExceptionGroup("mine", [ValueError(1), ValueError(2)])
    first = KeyError("x")
    with pytest.raises(ExceptionGroup, match="2 handlers failed") as caught:
        raise_together([first, group], "handlers failed")
    assert caught.value.exceptions == (first, group)


def test_base_exceptions_stay_what_they_are() -> None:
    """T3: a group with a `BaseException` in it is no `ExceptionGroup`, so `except Exception` lets it pass."""
    with pytest.raises(BaseExceptionGroup) as caught:
        raise_together([KeyError(), KeyboardInterrupt()], "failed")
    assert not isinstance(caught.value, Exception)
