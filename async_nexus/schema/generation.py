"""JSON Schemas of event types as pydantic makes them, with an envelope for each and shared definitions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final, Literal, TypeAlias, cast

from pydantic import TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from ..claims import Keys
from ..specs import adapt_payload
from .defaults import order_sets
from .described import Described
from .names import keys_text

Schema: TypeAlias = dict[str, Any]
Mode: TypeAlias = Literal["validation", "serialization"]
Part: TypeAlias = tuple[int, Literal["envelope", "payload"]]

LARGEST_ENUM: Final = 1000
"""How many keys are listed one by one where a range has no shorter description."""


class TaggedSchema(GenerateJsonSchema):
    """Describes a type as pydantic does, and says that the members of a discriminated union need their tag."""

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        """Require the tag beside the members, which may have a default for it when they are read alone."""
        described = super().tagged_union_schema(schema)
        if self.mode == "validation" and "discriminator" in described:
            described["required"] = [described["discriminator"]["propertyName"]]
        return described


@dataclass(frozen=True, slots=True)
class Generated:
    """The schemas of one event type: its envelope, without the payload's schema, and that."""

    described: Described
    envelope: Schema
    payload: Schema


def generate(
    types: Sequence[Described],
    modes: Sequence[Mode],
    ref_template: str,
    generator: type[GenerateJsonSchema] = TaggedSchema,
) -> tuple[dict[Mode, list[Generated]], dict[str, Schema]]:
    """Make the schemas of event types in some modes, and the definitions that they share.

    Raises `TypeError` for a type that JSON Schema cannot describe, be it for a number, naming the event type.
    """
    inputs = [*_inputs(types, modes)]
    try:
        schemas, shared = TypeAdapter.json_schemas(inputs, ref_template=ref_template, schema_generator=generator)
    except PydanticInvalidForJsonSchema as error:
        raise TypeError(_culprit(types, inputs, error)) from error
    definitions = cast("dict[str, Schema]", shared.get("$defs", {}))
    by_ref = {ref_template.format(model=name): schema for name, schema in definitions.items()}
    generated: dict[Mode, list[Generated]] = {
        mode: [
            Generated(
                each,
                order_sets(_envelope(each, _target(schemas[(index, "envelope"), mode], by_ref)), by_ref),
                order_sets(schemas[(index, "payload"), mode], by_ref),
            )
            for index, each in enumerate(types)
        ]
        for mode in modes
    }
    each_one = [one for each in generated.values() for one in each]
    roots = [schema for one in each_one for schema in (one.envelope, one.payload)]
    if any(_infinite([roots, definitions], "")):
        for one in each_one:
            _check_numbers(one, definitions, by_ref)
    shared_schemas = _reachable(roots, definitions, by_ref)
    return generated, {name: order_sets(schema, by_ref) for name, schema in shared_schemas.items()}


def _inputs(types: Sequence[Described], modes: Sequence[Mode]) -> Iterator[tuple[Part, Mode, TypeAdapter[Any]]]:
    for index, each in enumerate(types):
        payload, envelope = adapt_payload(each.payload), TypeAdapter[Any](each.model)
        for mode in modes:
            yield (index, "payload"), mode, payload
            yield (index, "envelope"), mode, envelope


def _culprit(
    types: Sequence[Described],
    inputs: Iterable[tuple[Part, Mode, TypeAdapter[Any]]],
    error: PydanticInvalidForJsonSchema,
) -> str:
    for (index, _), mode, adapter in inputs:
        try:
            adapter.json_schema(mode=mode)
        except PydanticInvalidForJsonSchema as own:
            return f"event type {keys_text(types[index].keys)} ({types[index].title}) has no JSON Schema: {own.message}"
    return error.message


def _check_numbers(one: Generated, definitions: Mapping[str, Schema], by_ref: Mapping[str, Schema]) -> None:
    """Raise `TypeError` for a default or example that JSON has no number for."""
    named = _reachable([one.envelope, one.payload], definitions, by_ref)
    for schema in (one.envelope, one.payload, *named.values()):
        for where, number in _infinite(schema, schema.get("title", "the payload")):
            described = one.described
            raise TypeError(
                f"event type {keys_text(described.keys)} ({described.title}) has no JSON Schema: {where} is {number}, "
                "which JSON cannot hold: give a finite number, or none"
            )


def _infinite(value: Any, where: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, float) and not isfinite(value):
        yield where, value
    elif isinstance(value, dict):
        for name, inner in cast("dict[str, Any]", value).items():
            yield from _infinite(inner, f"{where}.{name}")
    elif isinstance(value, list):
        for inner in value:  # pyright: ignore[reportUnknownVariableType] # of any
            yield from _infinite(inner, where)


def _target(schema: Mapping[str, Any], by_ref: Mapping[str, Schema]) -> Schema:
    while "$ref" in schema:
        schema = by_ref[schema["$ref"]]
    return dict(schema)


def _envelope(each: Described, schema: Schema) -> Schema:
    """Make a model's schema one of this event type: its `type` is written out, its payload left to be filled in."""
    properties: Schema = {**schema["properties"], "type": type_schema(each)}
    del properties["payload"]
    head: Schema = {"title": each.title if each.event_class is None else schema.get("title", each.title)}
    if each.text:
        head["description"] = each.text
    required = [name for name in schema.get("required", ()) if name != "type"]
    if not each.is_read_as_class and "priority" not in required:
        required.append("priority")
    rest = {name: value for name, value in schema.items() if name not in ("title", "description")}
    return {**head, "type": "object", **rest, "properties": properties, "required": [*required, "type"]}


def with_payload(one: Generated, payload: Schema) -> Schema:
    """Return an envelope with its payload's schema in place."""
    return {**one.envelope, "properties": {**one.envelope["properties"], "payload": payload}}


def type_schema(each: Described) -> Schema:
    """Describe which values an event's `type` has."""
    if not isinstance(each.keys, range):
        return {"type": "integer" if isinstance(each.keys, int) else "string", "const": each.keys}
    others = [_other(other) for other in each.others]
    singles = [other["const"] for other in others if "const" in other]
    wholes = [other for other in others if "const" not in other]
    excluded = [*([{"enum": singles}] if singles else []), *wholes]
    schema = range_schema(each.keys)
    return {**schema, "not": excluded[0] if len(excluded) == 1 else {"anyOf": excluded}} if excluded else schema


def _other(keys: Keys) -> Schema:
    return range_schema(keys) if isinstance(keys, range) else {"const": keys}


def range_schema(keys: range) -> Schema:
    """Describe the members of a range.

    JSON Schema counts steps from zero only. The members of a range that begins elsewhere are listed, unless they
    are many.
    """
    ends: Schema = {"type": "integer", "minimum": keys[0], "maximum": keys[-1]}
    if keys.step == 1:
        return ends
    if keys[0] % keys.step == 0:
        return {**ends, "multipleOf": keys.step}
    return {**ends, "enum": list(keys)} if len(keys) <= LARGEST_ENUM else ends


def references(schema: Any) -> Iterator[str]:
    """List every `$ref` in a schema."""
    if isinstance(schema, dict):
        for name, value in cast("dict[str, Any]", schema).items():
            if name == "$ref" and isinstance(value, str):
                yield value
            else:
                yield from references(value)
    elif isinstance(schema, list):
        for value in schema:  # pyright: ignore[reportUnknownVariableType] # of any
            yield from references(value)


def _reachable(
    roots: Iterable[Schema], definitions: Mapping[str, Schema], by_ref: Mapping[str, Schema]
) -> dict[str, Schema]:
    """Leave out the definitions that only the models of envelopes used."""
    seen: set[int] = set()
    waiting = [*roots]
    while waiting:
        for reference in references(waiting.pop()):
            target = by_ref.get(reference)
            if target is not None and id(target) not in seen:
                seen.add(id(target))
                waiting.append(target)
    return {name: schema for name, schema in sorted(definitions.items()) if id(schema) in seen}
