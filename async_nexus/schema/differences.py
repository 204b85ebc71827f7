"""Whether a reader accepts all that a writer writes, decided on their JSON Schemas.

Writers are closed, they write the fields that they list and no others; readers are open. What cannot be decided
is called unclear, never passed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias

from . import bounds, second_opinion
from .field_names import as_text, names_of
from .instances import accepts, show_value
from .meaning import (
    KNOWN,
    TYPES,
    alternatives,
    constrains,
    is_open,
    item_at,
    resolve,
    spelled,
    tags_of,
    types_of,
    values_of,
)

Schema: TypeAlias = Mapping[str, Any]


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
        if writer.get("not") == {} or not constrains(reader):
            return []
        if "allOf" in reader:
            rest = {word: value for word, value in reader.items() if word != "allOf"}
            return [each for part in (*reader["allOf"], rest) for each in self.compare(writer, part, path)]
        members = alternatives(writer)
        if members is not None:
            return [each for member in members for each in self.compare(member, reader, path)]
        values = values_of(writer)
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
            rule = "values" if values_of(reader) is not None or len(refused) < len(values) else "type"
            return [Difference(path, rule, Verdict.BREAKING, message)]
        if any(verdict is None for _, verdict in verdicts):
            return self.unclear(writer, reader, path, "values", "fixed values that cannot be judged")
        return []

    def _compare_union(self, writer: Schema, reader: Schema, path: str) -> Differences:
        """Look for the member that takes what is written; of a `oneOf`, no other may take it as well."""
        word = "anyOf" if "anyOf" in reader else "oneOf"
        rest = {key: value for key, value in reader.items() if key not in (word, "discriminator")}
        tags = tags_of(reader)
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
            values = values_of(self.written(written[name]))
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
        if values_of(reader) is not None:
            shown = ", ".join(show_value(value) for value in values_of(reader) or ())
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
        # A set is read from items that come twice, but they count once.
        is_counted = reader.get("uniqueItems") and reader.get("minItems", 0) > 1
        if is_counted and not writer.get("uniqueItems") and writer.get("maxItems", 2) > 1:
            found.append(Difference(path, "constraint", Verdict.BREAKING, "may hold an item twice, which counts once"))
        for index in range(max(len(writer.get("prefixItems", ())), len(reader.get("prefixItems", ())))):
            if index < writer.get("maxItems", index + 1):
                found += self.compare(item_at(writer, index), item_at(reader, index), f"{path}[{index}]")
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
                continue
            found += self._compare_name(name, reader, path)
            if rest is False and not reader.get("patternProperties"):
                message = "may be written, but the reader forbids fields that it does not know"
                found.append(Difference(_join(path, name), "field-forbidden", Verdict.BREAKING, message))
            elif rest is not False:
                found += self.compare(schema, rest, _join(path, name))
        return [*found, *self._compare_further_fields(writer, reader, path)]

    def _compare_name(self, name: str, reader: Schema, path: str) -> Differences:
        """Look whether the reader takes a field of this name, which it does not list."""
        if names_of(reader) is None:
            return []
        names = as_text(names_of(reader), self.reader_definitions)
        taken = accepts(name, names, self.reader_definitions)
        if taken is None:
            return self.unclear({"const": name}, names, _join(path, name), "field-names", "names of a certain form")
        message = "may be written, but the reader takes no field of this name"
        return [] if taken else [Difference(_join(path, name), "field-forbidden", Verdict.BREAKING, message)]

    def _compare_further_fields(self, writer: Schema, reader: Schema, path: str) -> Differences:
        """Compare fields that have no name in the writer's schema: the items of a `dict`, extra fields."""
        found: Differences = [
            Difference(path, "constraint", Verdict.BREAKING, message)
            for message in bounds.compare_lengths(_counted(writer), reader, "minProperties", "maxProperties", "fields")
        ]
        written, read = writer.get("patternProperties", {}), reader.get("patternProperties", {})
        further = is_open(writer)
        if names_of(reader) is not None and (written or further is not False):
            written_names = as_text(names_of(writer) or {}, self.writer_definitions)
            read_names = as_text(names_of(reader), self.reader_definitions)
            found += self.compare(written_names, read_names, f"{path}{{}}")
        new = set(reader.get("properties", {})) - set(writer.get("properties", {}))
        if not read:
            found += [each for schema in written.values() for each in self._compare_open(schema, reader, path, new)]
        elif written.keys() == read.keys():
            found += [each for name in read for each in self.compare(written[name], read[name], f"{path}{{}}")]
        else:
            return [*found, *self.unclear(writer, reader, path, "field-names", "names that follow another pattern")]
        if further is False:
            return found
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


def _counted(writer: Schema) -> Schema:
    """Say how many fields an object has at least, and at most where it has no others than those that are listed."""
    least = max(writer.get("minProperties", 0), len(writer.get("required", ())))
    most = (
        {}
        if is_open(writer) is not False or "patternProperties" in writer
        else {"maxProperties": len(writer.get("properties", ()))}
    )
    return {**most, **writer, "minProperties": least}


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _show_types(types: set[str]) -> str:
    return "anything" if set(TYPES) - {"integer"} <= types else " or ".join(sorted(types))
