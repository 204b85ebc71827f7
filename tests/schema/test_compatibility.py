"""The lock file and what is reported of a change: place, rule, verdict and message."""

import enum
import json
import sys
from decimal import Decimal
from itertools import chain
from typing import Annotated, Any, cast

import pytest
from contract_changes import FINE, MATRIX, declares, locked, pot, told_apart
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from json_values import accepted_by
from pydantic import AnyUrl, AwareDatetime, BaseModel, ConfigDict, Field, computed_field, create_model

from async_nexus import AsyncEventNexus, Event, NamedEvent
from async_nexus.schema import Finding, Verdict, compare, lock, lock_text, read_lock
from async_nexus.schema.finer import WORDS, without
from async_nexus.schema.second_opinion import fits


class Lid(BaseModel):
    weight: int


class Teapot(BaseModel):
    temp: int
    lids: list[Lid] = []


class HeavyLid(BaseModel):
    weight: int
    metal: str


class HeavyTeapot(BaseModel):
    temp: int
    lids: list[HeavyLid] = []


class TeapotEvent(NamedEvent[Teapot], type=99): ...


class HeavyTeapotEvent(NamedEvent[HeavyTeapot], type=99): ...


def lock_of(payload: Any) -> dict[str, Any]:
    """The lock of a nexus with one event type."""
    return locked(lambda nexus: nexus.declare(99, payload))


class Old(BaseModel):
    before: int


class New(BaseModel):
    after: int


def test_a_finding_names_event_field_and_rule() -> None:
    """The class of the event, the path to the field, what is wrong and who cannot read whom."""
    old = locked(lambda nexus: nexus.declare(TeapotEvent))
    new = locked(lambda nexus: nexus.declare(HeavyTeapotEvent))
    assert compare(old, new)[0] == Finding(
        event="TeapotEvent",
        field="payload.lids[].metal",
        rule="field-added",
        verdict=Verdict.BREAKING,
        direction="backward",
        message="TeapotEvent, payload.lids[].metal: is not written but is required "
        "(written by the old version, read by the new)",
    )


def test_an_event_without_class_is_named_by_its_key() -> None:
    """E3: the key as text, where there is no class."""
    old = locked(lambda nexus: nexus.declare("99", int))
    (finding,) = compare(old, locked(lambda nexus: None))
    assert (finding.event, finding.rule, finding.field) == ('"99"', "event-removed", "")


@pytest.mark.parametrize(
    "change, rule, field",
    [
        ("field added without default", "field-added", "payload.b"),
        ("default taken away", "required", "payload.a"),
        ("retyped", "type", "payload.temp"),
        ("enum shrunk", "values", "payload.temp"),
        ("discriminated member removed", "union", "payload.temp"),
        ("minimum raised", "constraint", "payload.temp"),
        ("pattern added", "pattern", "payload.temp"),
        ("text to date", "format", "payload.temp"),
        ("dict values narrowed", "type", "payload.temp{}"),
        ("tuple lengthened", "constraint", "payload.temp"),
        ("field removed where unknown ones are forbidden", "field-forbidden", "payload.b"),
        ("recursive model widened", None, None),
        ("event type removed", "event-removed", ""),
        ("key changed", "key-changed", ""),
        ("envelope field added", "field-added", "source"),
        ("range narrowed", "event-removed", ""),
    ],
)
def test_rules_and_fields(change: str, rule: str | None, field: str | None) -> None:
    """Each kind of change has its rule, at the field that was changed."""
    old, new, *_ = MATRIX[change]
    found = {(each.rule, each.field) for each in compare(locked(old), locked(new))}
    assert found == ({(rule, field)} if rule else set())


def test_directions_tell_who_cannot_read() -> None:
    """In the mode `full` a change may break both ways."""
    found = compare(lock_of(int), lock_of(str), "full")
    assert [each.direction for each in found] == ["backward", "forward"]


def test_a_field_that_is_not_written_any_more_was_removed() -> None:
    """What backward is a field added is forward, to the old version's readers, one removed."""
    _, found = compare(lock_of(Old), lock_of(New), "full")
    assert (found.rule, found.field, found.direction) == ("field-removed", "payload.before", "forward")


def test_an_unknown_mode_is_refused() -> None:
    """A mode that is misspelt does not pass as another."""
    mode: Any = "sideways"
    with pytest.raises(ValueError, match="sideways"):
        compare(lock_of(int), lock_of(int), mode)


class Circle(BaseModel):
    model_config = ConfigDict(extra="forbid")
    radius: int

    @computed_field  # type: ignore[prop-decorator] # pydantic's own way of writing it
    @property
    def area(self) -> int:
        return 3 * self.radius**2


def test_what_nobody_changed_is_not_reported() -> None:
    """A version that cannot read what it writes has not been broken by a change."""
    assert compare(lock_of(Circle), lock_of(Circle), "full") == []


class Corner(enum.Enum):
    LEFT = (0, 0)
    RIGHT = (0, 1)


def test_jsoncompat_decides_what_the_rules_leave_open() -> None:
    """A fixed list is read as a list of numbers, which takes validating whole values to see."""
    pytest.importorskip("jsoncompat")
    assert compare(lock_of(Corner), lock_of(list[int])) == []


def test_without_jsoncompat_it_stays_unclear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the extra is missing, the case is reported, not passed."""
    monkeypatch.setitem(sys.modules, "jsoncompat", None)
    assert [each.verdict for each in compare(lock_of(Corner), lock_of(list[int]))] == [Verdict.UNCLEAR]


def test_jsoncompat_sees_a_closed_writer() -> None:
    """It is told that a writer writes no other fields than it lists, also within definitions."""
    pytest.importorskip("jsoncompat")
    listed = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    strict = {**listed, "additionalProperties": False}
    assert fits({"$ref": "#/$defs/M"}, {"M": listed}, strict, {})
    assert not fits({"$ref": "#/$defs/M"}, {"M": {**listed, "additionalProperties": True}}, strict, {})


@pytest.mark.parametrize("word", ["pattern", "format"])
def test_jsoncompat_is_not_asked_about_what_it_ignores(word: str) -> None:
    """It would let a pattern or a format be added."""
    reader = Annotated[str, Field(json_schema_extra={word: "date", "contains": {}})]
    assert [each.rule for each in compare(lock_of(str), lock_of(reader))] == [word, "unknown"]


def test_a_lock_holds_both_schemas_of_each_key() -> None:
    """What is read requires less than what is written where a field is computed."""
    event = lock_of(Circle)["events"]["99"]
    definitions = lock_of(Circle)["$defs"]
    reads, writes = (event[mode]["properties"]["payload"]["$ref"] for mode in ("validation", "serialization"))
    assert "area" not in definitions[reads.rpartition("/")[2]]["properties"]
    assert "area" in definitions[writes.rpartition("/")[2]]["required"]


def test_a_lock_reads_as_it_was_written() -> None:
    """Reading gives what was written, and writing that again the same bytes."""
    document = lock_of(Teapot)
    text = lock_text(document)
    assert read_lock(text) == document
    assert lock_text(read_lock(text)) == text
    assert text.endswith("}\n")


def test_prose_is_not_locked() -> None:
    """A docstring may be mended without a new lock; a field that is called `title` stays."""
    plain = create_model("M", title=(int, ...))
    documented = create_model("M", __doc__="Prose.", title=(int, Field(description="prose", title="T", examples=[1])))
    assert lock_text(lock_of(plain)) == lock_text(lock_of(documented))
    assert "title" in lock_of(plain)["$defs"]["M"]["properties"]


def test_the_order_of_fields_is_not_locked() -> None:
    """Moving a field in its class needs no new lock."""
    one = create_model("M", a=(int, ...), b=(int, ...))
    other = create_model("M", b=(int, ...), a=(int, ...))
    assert lock_text(lock_of(one)) == lock_text(lock_of(other))


def test_registration_order_is_not_locked() -> None:
    """The order in which event types were declared does not change the text."""
    one = locked(declares((1, int), ("a", Teapot), TeapotEvent))
    other = locked(declares(TeapotEvent, ("a", Teapot), (1, int)))
    assert lock_text(one) == lock_text(other)


def test_what_was_unclear_before_does_not_hide_a_change() -> None:
    """Of a union that nothing can be told about, only what stayed the same is passed."""

    def choice(second: Any) -> Any:
        return told_apart(a=pot(a=(int, ...)), b=pot(b=(second, ...)))

    assert compare(lock_of(choice(str)), lock_of(choice(str))) == []
    found = compare(lock_of(choice(str)), lock_of(choice(int)))
    assert {(each.verdict, each.field) for each in found} == {(Verdict.UNCLEAR, "payload")}


@pytest.mark.parametrize(
    "payload",
    [
        Decimal,
        dict[int, Decimal],
        create_model("M", a=dict[Annotated[str, Field(pattern="^a")], int]),
        AwareDatetime,
        AnyUrl,
        Teapot,
    ],
)
def test_an_older_lock_has_fewer_words(payload: Any) -> None:
    """What it could not say is no change; what it did say is guarded."""
    new = lock_of(payload)
    old = {word: value for word, value in without(new, WORDS).items() if word != "words"}
    assert "x-" not in lock_text(old)
    assert compare(read_lock(lock_text(old)), new, "full") == []
    assert compare(old, lock_of(bool), "backward") != []


@pytest.mark.parametrize("text", ["{}", "[]", '{"async_nexus_lock": 99}', "{"])
def test_what_is_no_lock_is_refused(text: str) -> None:
    """Another file, or a lock of a later form, is not compared."""
    with pytest.raises(ValueError, match=r"lock|property name|line 1"):
        read_lock(text)


def test_long_ranges_are_compared_whole() -> None:
    """A range of a billion keys is read by one that covers it, and by nothing less."""

    def ranged(last: int) -> dict[str, Any]:
        nexus = AsyncEventNexus()
        nexus.add_handler((0, last), lambda event: None)
        return lock(nexus)

    assert compare(ranged(10**9), ranged(10**9 + 1)) == []
    assert [each.rule for each in compare(ranged(10**9 + 1), ranged(10**9))] == ["event-removed"]


BILLION = 10**9
NUMBERED = {"int": Event[int], "str": Event[str]}


def ranged(*handled: tuple[Any, str], **declared: str) -> dict[str, Any]:
    """The lock of handlers of ranges, and of single keys `k5="str"`, each with its payload."""
    nexus = AsyncEventNexus()
    for key, name in declared.items():
        nexus.declare(int(key[1:]), {"int": int, "str": str}[name])
    for keys, name in handled:

        def handler(event: Any) -> None: ...

        handler.__annotations__["event"] = NUMBERED[name]
        nexus.add_handler(keys, handler)
    return lock(nexus)


@pytest.mark.parametrize(
    "new, rules",
    [
        pytest.param(ranged(((0, BILLION), "int"), k5="str"), {"type"}, id="a key of another type"),
        pytest.param(ranged(((0, 99), "int"), ((100, BILLION), "int")), set(), id="split"),
        pytest.param(ranged(((0, 99), "str"), ((100, BILLION), "int")), {"type"}, id="a part retyped"),
        pytest.param(ranged(((0, 99), "int"), ((101, BILLION), "int")), {"event-removed"}, id="a key left out"),
        pytest.param(ranged(((0, 99), "int"), ((101, BILLION), "int"), k100="int"), set(), id="a key apart"),
        pytest.param(
            ranged((range(0, BILLION + 1, 2), "int"), (range(1, BILLION, 2), "int")), set(), id="even and odd"
        ),
        pytest.param(ranged((range(0, BILLION + 1, 2), "int")), {"event-removed"}, id="even only"),
        pytest.param(
            ranged((range(0, BILLION + 1, 2), "int"), (range(1, BILLION, 2), "str")), {"type"}, id="odd retyped"
        ),
    ],
)
def test_long_ranges_are_compared_part_by_part(new: dict[str, Any], rules: set[str]) -> None:
    """Whatever reads some of a billion keys is found."""
    assert {each.rule for each in compare(ranged(((0, BILLION), "int")), new)} == rules


KEYS = st.integers(0, 30)
SPANS = st.builds(lambda first, more, step: range(first, first + more + 1, step), KEYS, KEYS, st.integers(1, 5))


@given(
    old=st.lists(SPANS, min_size=1, max_size=3),
    new=st.lists(st.tuples(SPANS, st.sampled_from([int, str])), max_size=4),
    singles=st.dictionaries(KEYS, st.sampled_from([int, str]), max_size=4),
)
def test_ranges_are_compared_as_if_key_by_key(
    old: list[range], new: list[tuple[range, type]], singles: dict[int, type]
) -> None:
    """What is not read, or read as something else, is found wherever ranges begin, end and skip."""

    def entry(tp: type) -> dict[str, Any]:
        return cast("dict[str, Any]", lock_of(tp)["events"]["99"])

    def spans(*given: tuple[range, type]) -> list[dict[str, Any]]:
        return [{"first": each[0], "last": each[-1], "step": each.step, **entry(tp)} for each, tp in given]

    written = {**lock_of(int), "events": {}, "ranges": spans(*((each, int) for each in old))}
    events = {str(key): entry(tp) for key, tp in singles.items()}
    read = {**lock_of(int), "events": events, "ranges": spans(*new)}
    readers = {singles.get(key) or next((tp for each, tp in new if key in each), None) for key in chain(*old)}
    rules: dict[type | None, str] = {None: "event-removed", str: "type"}
    assert {each.rule for each in compare(written, read)} == {rules[each] for each in readers if each in rules}


PASSED = [change for change, (_, _, verdict, _) in MATRIX.items() if verdict == FINE]


@pytest.mark.parametrize("change", PASSED)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_passes_is_read(change: str, data: st.DataObject) -> None:
    """Events that an old version writes are read by a new one that was found to break nothing."""
    old, new, *_ = MATRIX[change]
    nexus = AsyncEventNexus()
    new(nexus)
    document = locked(old)
    entries = [*document["events"].values(), *document["ranges"]]
    for entry in entries:
        event = data.draw(accepted_by(entry["serialization"], document["$defs"], closed=True))
        parsed = nexus.catalog.parse_json(json.dumps(event))
        assert parsed.id == event["id"]
