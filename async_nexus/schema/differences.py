"""Whether a reader accepts all that a writer writes, decided on their JSON Schemas.

Writers are closed, they write the fields that they list and no others; readers are open. What cannot be decided
is called unclear, never passed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeAlias, cast

from . import bounds, second_opinion
from .instances import accepts, show_value
from .spelling import SILENT, resolve, spelled

Schema: TypeAlias = Mapping[str, Any]

TYPES: Final = ("array", "boolean", "integer", "null", "number", "object", "string")


class Verdict(StrEnum):
    """What a difference means."""

    BREAKING = "breaking"
    UNCLEAR = "unclear"


class Difference(NamedTuple):
    """Something that a writer may write and its reader does not accept; `field` is a path such as `payload.temp`.

    `undecided` has the two schemas of what is unclear: its message says the same of whatever could not be decided.
    """

    field: str
    rule: str
    verdict: Verdict
    message: str
    undecided: tuple[str, str] | None = None


Differences: TypeAlias = list[Difference]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Compares schemas of one writer and one reader, each with its own definitions."""

    writer_definitions: Schema
    reader_definitions: Schema
    assumed: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])

    def compare(self, writer: Any, reader: Any, path: str) -> Differences:
        """List where the reader does not accept what the writer writes; nothing if it accepts all of it."""
        written, read = self.written(writer), self.read(reader)
        # Recursive models: what is being compared already is taken to fit, as long as nothing speaks against it.
        pair = (id(written), id(read))
        if pair in self.assumed:
            return []
        self.assumed.add(pair)
        try:
            return self._compare(written, read, path)
        finally:
            self.assumed.discard(pair)

    def written(self, schema: Any) -> Schema:
        """Resolve a writer's schema."""
        return resolve(schema, self.writer_definitions)

    def read(self, schema: Any) -> Schema:
        """Resolve a reader's schema."""
        return resolve(schema, self.reader_definitions)

    def _compare(self, writer: Schema, reader: Schema, path: str) -> Differences:
        if writer.get("not") == {} or not _constrains(reader):
            return []
        if "allOf" in reader:
            rest = {word: value for word, value in reader.items() if word != "allOf"}
            return [each for part in (*reader["allOf"], rest) for each in self.compare(writer, part, path)]
        members = _alternatives(writer)
        if members is not None:
            return [each for member in members for each in self.compare(member, reader, path)]
        values = _values(writer)
        if values is not None:
            return self._compare_values(writer, values, reader, path)
        if "anyOf" in reader or "oneOf" in reader:
            return self._compare_union(writer, reader, path)
        if "allOf" in writer:
            fitting = any(not self.compare(part, reader, path) for part in writer["allOf"])
            return [] if fitting else self.unclear(writer, reader, path, "all-of", "a combination of schemas")
        return self._compare_plain(writer, reader, path)

    def _compare_values(self, writer: Schema, values: list[Any], reader: Schema, path: str) -> Differences:
        verdicts = [(value, accepts(value, reader, self.reader_definitions)) for value in values]
        refused = [show_value(value) for value, verdict in verdicts if verdict is False]
        if refused:
            message = f"may be {', '.join(refused)}, which is not read any more"
            rule = "values" if _values(reader) is not None or len(refused) < len(values) else "type"
            return [Difference(path, rule, Verdict.BREAKING, message)]
        if any(verdict is None for _, verdict in verdicts):
            return self.unclear(writer, reader, path, "values", "fixed values that cannot be judged")
        return []

    def _compare_union(self, writer: Schema, reader: Schema, path: str) -> Differences:
        """Look for the member that takes what is written; of a `oneOf`, no other may take it as well."""
        word = "anyOf" if "anyOf" in reader else "oneOf"
        rest = {key: value for key, value in reader.items() if key not in (word, "discriminator")}
        tags = _tags(reader)
        if tags:  # a member is chosen by its tag before there is a default, so nothing is read without it
            rest["required"] = sorted(tags.union(rest.get("required", ())))
        outer = self.compare(writer, rest, path)
        members = [self.read(member) for member in reader[word]]
        candidates = [member for member in members if not self._apart(writer, member, tags)]
        found = [self.compare(writer, member, path) for member in candidates]
        if [] in found and (word == "anyOf" or len(candidates) == 1):
            return outer
        allowed = {each for member in members for each in types_of(member)}
        if not all(bounds.types_meet({each}, allowed) for each in types_of(writer)):
            message = f"may be {_show_types(types_of(writer))}, which is read as {_show_types(allowed)}"
            return [*outer, Difference(path, "type", Verdict.BREAKING, message)]
        if not candidates:
            message = "may be a member of a union that the reader does not know"
            return [*outer, Difference(path, "union", Verdict.BREAKING, message)]
        if len(candidates) == 1:
            return [*outer, *found[0]]
        return [*outer, *self.unclear(writer, reader, path, "union", "any of several alternatives")]

    def _apart(self, writer: Schema, member: Schema, tags: set[str]) -> bool:
        """Whether nothing written is of the member's type or carries its tag."""
        if not bounds.types_meet(types_of(writer), types_of(member)):
            return True
        inner = member.get("oneOf", member.get("anyOf"))
        if inner is not None:
            return all(self._apart(writer, self.read(each), tags) for each in inner)
        written, read = writer.get("properties", {}), member.get("properties", {})
        for name in set(written) & set(read) & {*writer.get("required", ()), *tags}:
            values = _values(self.written(written[name]))
            if values is not None and all(
                accepts(value, read[name], self.reader_definitions) is False for value in values
            ):
                return True
        return False

    def _compare_plain(self, writer: Schema, reader: Schema, path: str) -> Differences:
        allowed = types_of(reader)
        written = types_of(writer)
        foreign = {each for each in written if not bounds.types_meet({each}, allowed)}
        narrowed = {"number"} if "number" in written and "number" not in allowed else set[str]()
        if foreign | narrowed:
            message = f"may be {_show_types(foreign | narrowed)}, which is read as {_show_types(allowed)}"
            return [Difference(path, "type", Verdict.BREAKING, message)]
        if _values(reader) is not None:
            shown = ", ".join(show_value(value) for value in _values(reader) or ())
            message = f"may be any {_show_types(written)}, of which {shown} is read"
            return [Difference(path, "values", Verdict.BREAKING, message)]
        found: Differences = []
        for each in sorted(written):
            if each in ("integer", "number", "string"):
                found += self._compare_scalars(writer, reader, path, each)
            elif each == "array":
                found += self._compare_arrays(writer, reader, path)
            elif each == "object":
                found += self._compare_objects(writer, reader, path)
        unknown = [word for word in reader if word not in KNOWN and reader[word] != writer.get(word)]
        if unknown:
            found += self.unclear(writer, reader, path, "unknown", f"the schema words {', '.join(sorted(unknown))}")
        return found

    def _compare_scalars(self, writer: Schema, reader: Schema, path: str, kind: str) -> Differences:
        compare = bounds.compare_strings if kind == "string" else bounds.compare_numbers
        found: Differences = []
        for rule, is_certain, message in compare(writer, reader, kind):
            if is_certain:
                found.append(Difference(path, rule, Verdict.BREAKING, message))
            else:
                found += self.unclear(writer, reader, path, rule, message)
        return found

    def _compare_arrays(self, writer: Schema, reader: Schema, path: str) -> Differences:
        found: Differences = [
            Difference(path, "constraint", Verdict.BREAKING, message)
            for message in bounds.compare_lengths(writer, reader, "minItems", "maxItems", "items")
        ]
        if reader.get("uniqueItems") and not writer.get("uniqueItems") and writer.get("maxItems", 2) > 1:
            found.append(Difference(path, "constraint", Verdict.BREAKING, "may hold an item twice, which is not read"))
        for index in range(max(len(writer.get("prefixItems", ())), len(reader.get("prefixItems", ())))):
            if index < writer.get("maxItems", index + 1):
                found += self.compare(_item(writer, index), _item(reader, index), f"{path}[{index}]")
        last = max(len(writer.get("prefixItems", ())), len(reader.get("prefixItems", ())))
        if writer.get("maxItems", last + 1) > last:
            found += self.compare(writer.get("items", True), reader.get("items", True), f"{path}[]")
        return found

    def _compare_objects(self, writer: Schema, reader: Schema, path: str) -> Differences:
        written: Schema = writer.get("properties", {})
        always: set[str] = set(writer.get("required", ()))
        read: Schema = reader.get("properties", {})
        found: Differences = []
        for name in sorted(set(reader.get("required", ())) - always):
            rule, state = ("required", "may be absent") if name in written else ("field-added", "is not written")
            found.append(Difference(_join(path, name), rule, Verdict.BREAKING, f"{state} but is required"))
        rest = reader.get("additionalProperties", True)
        for name, schema in written.items():
            if name in read:
                found += self.compare(schema, read[name], _join(path, name))
            elif rest is False and not reader.get("patternProperties"):
                message = "may be written, but the reader forbids fields that it does not know"
                found.append(Difference(_join(path, name), "field-forbidden", Verdict.BREAKING, message))
            elif rest is not False:
                found += self.compare(schema, rest, _join(path, name))
        return [*found, *self._compare_further_fields(writer, reader, path)]

    def _compare_further_fields(self, writer: Schema, reader: Schema, path: str) -> Differences:
        """Compare fields that have no name in the writer's schema: the items of a `dict`, extra fields."""
        found: Differences = [
            Difference(path, "constraint", Verdict.BREAKING, message)
            for message in bounds.compare_lengths(writer, reader, "minProperties", "maxProperties", "fields")
        ]
        written, read = writer.get("patternProperties", {}), reader.get("patternProperties", {})
        new = set(reader.get("properties", {})) - set(writer.get("properties", {}))
        if not read:
            found += [each for schema in written.values() for each in self._compare_open(schema, reader, path, new)]
        elif written.keys() == read.keys():
            found += [each for name in read for each in self.compare(written[name], read[name], f"{path}{{}}")]
        else:
            return [*found, *self.unclear(writer, reader, path, "field-names", "names that follow another pattern")]
        further = is_open(writer)
        if further is False:
            return found
        if "propertyNames" in reader:
            names = writer.get("propertyNames", {})
            found += self.compare({"type": "string", **names}, reader["propertyNames"], f"{path}{{}}")
        return [*found, *self._compare_open(further, reader, path, new)]

    def _compare_open(self, further: Any, reader: Schema, path: str, new: Iterable[str]) -> Differences:
        rest = reader.get("additionalProperties", True)
        if rest is False:
            message = "may hold fields of any name, but the reader forbids those that it does not know"
            return [Difference(path, "field-forbidden", Verdict.BREAKING, message)]
        found = self.compare(further, rest, f"{path}{{}}")
        for name in sorted(new):
            schema = reader["properties"][name]
            if self.compare(further, schema, _join(path, name)):
                message = "may be an extra field of any type, which the reader now knows under this name"
                found.append(self._undecided(further, schema, _join(path, name), "extra-field", message))
        return found

    def unclear(self, writer: Schema, reader: Schema, path: str, rule: str, what: str) -> Differences:
        """Report what the rules here cannot decide, unless jsoncompat can."""
        if second_opinion.fits(writer, self.writer_definitions, reader, self.reader_definitions):
            return []
        message = f"it cannot be told whether it is still read: {what}"
        return [self._undecided(writer, reader, path, rule, message)]

    def _undecided(self, writer: Any, reader: Any, path: str, rule: str, message: str) -> Difference:
        undecided = spelled(writer, self.writer_definitions), spelled(reader, self.reader_definitions)
        return Difference(path, rule, Verdict.UNCLEAR, message, undecided)


KNOWN: Final = frozenset(
    {
        *("type", "enum", "const", "default", "discriminator", "$defs", "$comment", "format", "pattern", "minLength"),
        *("maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "items"),
        *("prefixItems", "minItems", "maxItems", "uniqueItems", "properties", "required", "additionalProperties"),
        *("patternProperties", "propertyNames", "minProperties", "maxProperties", "anyOf", "oneOf", "allOf"),
        *("title", "description", "examples", "deprecated", "readOnly", "writeOnly"),
    }
)
"""The words whose meaning is decided here; of any other, a reader's is unclear unless the writer has the same."""


def is_open(writer: Schema) -> Any:
    """Return the schema of fields that a writer does not list; `False` where it writes none such."""
    return writer.get("additionalProperties", "properties" not in writer and "patternProperties" not in writer)


def types_of(schema: Schema) -> set[str]:
    """Return the JSON types that a schema allows."""
    given = schema.get("type")
    if given is None:
        values = _values(schema)
        return set(TYPES) if values is None else {bounds.type_of(value) for value in values}
    return {given} if isinstance(given, str) else set(given)


def _tags(reader: Schema) -> set[str]:
    """Return the field by which a reader tells the members of a union apart, if there is one."""
    discriminator: Schema = reader.get("discriminator", {})
    return {discriminator["propertyName"]} if "propertyName" in discriminator else set()


def _constrains(reader: Schema) -> bool:
    return any(word not in SILENT for word in reader)


def _alternatives(writer: Schema) -> list[Any] | None:
    """List the members of a writer's union, each with what is said beside it; nothing where it is no union."""
    for word in ("anyOf", "oneOf"):
        if word in writer:
            rest = {key: value for key, value in writer.items() if key != word and key not in SILENT}
            return [{"allOf": [rest, member]} if rest else member for member in writer[word]]
    if isinstance(writer.get("type"), list):
        return [{**writer, "type": each} for each in writer["type"]]
    return None


def _values(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    if "enum" in schema:
        return cast("list[Any]", schema["enum"])
    if schema.get("type") == "boolean":
        return [False, True]
    return [None] if schema.get("type") == "null" else None


def _item(schema: Schema, index: int) -> Any:
    prefix: list[Any] = schema.get("prefixItems", [])
    return prefix[index] if index < len(prefix) else schema.get("items", True)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _show_types(types: set[str]) -> str:
    return "anything" if set(TYPES) - {"integer"} <= types else " or ".join(sorted(types))
