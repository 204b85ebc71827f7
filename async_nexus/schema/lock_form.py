"""Whether a document has the form of a lock file, as far as comparing it relies on that."""

from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn, TypeAlias, cast

from ..events import parse_event_type
from .dialect import MANY, NAMED, ONE

Test: TypeAlias = Callable[[Any], bool]


def _is_of(*kinds: type) -> Test:
    return lambda value: isinstance(value, kinds)


def _is_names(value: Any) -> bool:
    return _is_of(list)(value) and all(map(_is_of(str), value))


_WORDS: Final[dict[str, tuple[Test, str]]] = {
    "type": (lambda value: isinstance(value, str) or _is_names(value), "a string or a list of strings"),
    "required": (_is_names, "a list of strings"),
    "discriminator": (_is_of(dict), "an object"),
    "enum": (_is_of(list), "a list"),
    **dict.fromkeys(("pattern", "format", "$ref"), (_is_of(str), "a string")),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), (_is_of(int, float), "a number")),
    **dict.fromkeys(("multipleOf", "minLength", "maxLength"), (_is_of(int, float), "a number")),
    **dict.fromkeys(("x-digits", "x-places", "x-whole"), (_is_of(int), "a number")),
    **dict.fromkeys(("minItems", "maxItems", "minProperties", "maxProperties"), (_is_of(int, float), "a number")),
    **dict.fromkeys(MANY, (_is_of(list), "a list of schemas")),
    **dict.fromkeys(NAMED, (_is_of(dict), "an object of schemas")),
}
"""What the value of a word of a schema has to be."""


def check_form(lock: dict[str, Any]) -> None:
    """Raise `ValueError` for what is damaged, saying where."""
    if not _is_names(lock.get("words", [])):
        _refuse("words", "a list of strings", lock["words"])
    definitions = _member(lock, "$defs", dict, "")
    for name, schema in definitions.items():
        _check_schema(schema, definitions, f"$defs.{name}")
    for text, entry in _member(lock, "events", dict, "").items():
        parse_event_type(text)
        _check_entry(entry, definitions, f"events.{text}")
    for index, entry in enumerate(_member(lock, "ranges", list, "")):
        where = f"ranges.{index}"
        _check_entry(entry, definitions, where)
        first, last, step = (_member(entry, each, int, f"{where}.") for each in ("first", "last", "step"))
        if step < 1 or last < first:
            _refuse(where, "a range that holds a key", f"{first} to {last} by {step}")


def _check_entry(entry: Any, definitions: dict[str, Any], where: str) -> None:
    entry = _object(entry, where)
    _member(entry, "name", str, f"{where}.")
    for word in ("validation", "serialization"):
        schema = _member(entry, word, dict, f"{where}.")
        _member(schema, "properties", dict, f"{where}.{word}.")
        _member(schema, "required", list, f"{where}.{word}.")
        _check_schema(schema, definitions, f"{where}.{word}")


def _check_schema(schema: Any, definitions: dict[str, Any], where: str) -> None:
    if isinstance(schema, bool):
        return
    for word, value in _object(schema, where).items():
        is_right, expected = _WORDS.get(word, (_is_of(object), ""))
        if not is_right(value):
            _refuse(f"{where}.{word}", expected, value)
        if word == "$ref" and value.removeprefix("#/$defs/") not in definitions:
            _refuse(f"{where}.{word}", "the place of a schema below $defs", value)
        for name, inner in _schemas_in(word, value):
            _check_schema(inner, definitions, f"{where}.{word}{name}")


def _schemas_in(word: str, value: Any) -> Iterator[tuple[str, Any]]:
    if word in ONE:
        yield "", value
    elif word in MANY:
        yield from ((f".{index}", each) for index, each in enumerate(value))
    elif word in NAMED:
        yield from ((f".{name}", each) for name, each in value.items())


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        _refuse(where, "an object", value)
    return cast("dict[str, Any]", value)


def _member(document: dict[str, Any], name: str, kind: type, where: str) -> Any:
    value = document.get(name)
    if not isinstance(value, kind):
        _refuse(f"{where}{name}", {dict: "an object", list: "a list", str: "a string", int: "an integer"}[kind], value)
    return value


def _refuse(where: str, expected: str, found: object) -> NoReturn:
    raise ValueError(
        f"it is damaged: {where} is {expected}, not {found!r:.100}: write it anew, or take it from history"
    )
