"""What pydantic checks and JSON Schema has no word for, in words of our own: for lock files, which compare schemas."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from .dialect import rewrite

NUMERIC: Final = ("multiple_of", "le", "ge", "lt", "gt")
TEMPORAL: Final = ("tz_constraint", "now_op", "le", "ge", "lt", "gt")
URL: Final = ("allowed_schemes", "host_required")
WORDS: Final = (
    *("x-names", "x-text", "x-digits", "x-places", "x-whole", "x-infinite"),
    *(f"x-{word}" for word in (*TEMPORAL, *URL)),
)
"""Ours: what the names of an object's fields are read as, what a text spells, how many digits it may have, ….

What a time or an address keeps to is compared as a whole, by those that do not know such a word.
"""


class FinerSchema(GenerateJsonSchema):
    """Describes a type as pydantic does, and says in `WORDS` what that leaves out."""

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        """Say that the text spells a number, and what both that and a number keep to."""
        bounds: dict[str, Any] = {word: float(bound) for word, bound in _given(schema, NUMERIC)}
        described = super().decimal_schema(schema)
        digits, places = schema.get("max_digits"), schema.get("decimal_places")
        whole = None if digits is None or places is None else max(digits - places, 0)
        limits = {"x-digits": digits, "x-places": places, "x-whole": whole}
        kept = {word: limit for word, limit in limits.items() if limit is not None}
        for member in described.get("anyOf", (described,)):
            member.update(kept)
            if member.get("type") == "string":
                numeric = self.float_schema(core_schema.float_schema(**bounds))
                member.update({**numeric, **member, "x-text": "decimal"})
                if schema.get("allow_inf_nan"):
                    member["x-infinite"] = True
        return described

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """Say what keys are read as."""
        return self._with_names(super().dict_schema(schema), schema)

    def frozendict_schema(self, schema: Any) -> JsonSchemaValue:
        """Say what keys are read as."""
        return self._with_names(super().frozendict_schema(schema), schema)

    def ordered_dict_schema(self, schema: Any) -> JsonSchemaValue:
        """Say what keys are read as."""
        return self._with_names(super().ordered_dict_schema(schema), schema)

    def counter_schema(self, schema: Any) -> JsonSchemaValue:
        """Say what keys are read as."""
        return self._with_names(super().counter_schema(schema), schema)

    def _with_names(self, described: JsonSchemaValue, schema: core_schema.DictSchema) -> JsonSchemaValue:
        names = self.generate_inner(schema["keys_schema"]) if "keys_schema" in schema else {}
        names = {word: value for word, value in names.items() if word != "title"}
        if "propertyNames" in described or names in ({}, {"type": "string"}):
            return described
        return {**described, "x-names": names}

    def date_schema(self, schema: core_schema.DateSchema) -> JsonSchemaValue:
        """Say which dates are taken."""
        return _with_words(super().date_schema(schema), schema, TEMPORAL)

    def time_schema(self, schema: core_schema.TimeSchema) -> JsonSchemaValue:
        """Say which times are taken."""
        return _with_words(super().time_schema(schema), schema, TEMPORAL)

    def datetime_schema(self, schema: core_schema.DatetimeSchema) -> JsonSchemaValue:
        """Say which times are taken."""
        return _with_words(super().datetime_schema(schema), schema, TEMPORAL)

    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> JsonSchemaValue:
        """Say which spans are taken."""
        return _with_words(super().timedelta_schema(schema), schema, TEMPORAL)

    def url_schema(self, schema: core_schema.UrlSchema) -> JsonSchemaValue:
        """Say which addresses are taken."""
        return _with_words(super().url_schema(schema), schema, URL)

    def multi_host_url_schema(self, schema: core_schema.MultiHostUrlSchema) -> JsonSchemaValue:
        """Say which addresses are taken."""
        return _with_words(super().multi_host_url_schema(schema), schema, URL)


def _with_words(described: JsonSchemaValue, schema: Mapping[str, Any], words: Collection[str]) -> JsonSchemaValue:
    return {**described, **{f"x-{word}": str(value) for word, value in _given(schema, words)}}


def _given(schema: Mapping[str, Any], words: Collection[str]) -> Iterator[tuple[str, Any]]:
    return ((word, schema[word]) for word in words if schema.get(word) is not None)


def without(document: Mapping[str, Any], words: Collection[str]) -> dict[str, Any]:
    """Leave words out of all schemas of a lock: what the lock that it is compared with could not say."""

    def plain(schema: Any) -> Any:
        return rewrite(schema, lambda each: {word: value for word, value in each.items() if word not in words})

    def entry(given: Mapping[str, Any]) -> dict[str, Any]:
        return {**given, **{mode: plain(given[mode]) for mode in ("validation", "serialization")}}

    return {
        **document,
        "events": {key: entry(each) for key, each in document["events"].items()},
        "ranges": [entry(each) for each in document["ranges"]],
        "$defs": {name: plain(each) for name, each in document["$defs"].items()},
    }
