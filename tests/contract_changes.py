"""Changes of a contract, each with its verdict: does the new version read what the old one wrote, and the reverse."""

import collections
import datetime
import enum
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from pydantic import (
    AnyUrl,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    FilePath,
    MongoDsn,
    PastDatetime,
    SecretStr,
    Tag,
    UrlConstraints,
    create_model,
)

from async_nexus import AsyncEventNexus, Event, NamedEvent
from async_nexus.schema import lock

FINE, BREAKING, UNCLEAR = "fine", "breaking", "unclear"


def pot(**fields: Any) -> type[BaseModel]:
    """A payload model of these fields."""
    return create_model("Pot", **fields)


def model(config: ConfigDict, **fields: Any) -> type[BaseModel]:
    """A payload model of these fields and a configuration."""
    return create_model("Pot", __config__=config, **fields)


def named(payload: Any, key: int | str = 99, name: str = "Tea") -> type[NamedEvent[Any]]:
    """A named event class made here and now."""

    class Made(NamedEvent[payload], type=key): ...

    Made.__name__ = name
    return Made


Program = Callable[[AsyncEventNexus], None]


def payload(tp: Any) -> Program:
    """A program with one event type of this payload."""
    return lambda nexus: nexus.declare(99, tp)


def fields(**each: Any) -> Program:
    """A program with one event type whose payload is a model of these fields."""
    return payload(pot(**each))


def field(tp: Any) -> Program:
    """A program whose payload has one required field of this type."""
    return fields(temp=(tp, ...))


def declares(*claims: Any) -> Program:
    """A program with several event types: classes, or pairs of a key and a payload."""

    def declare(nexus: AsyncEventNexus) -> None:
        for claim in claims:
            nexus.declare(*claim) if isinstance(claim, tuple) else nexus.declare(claim)

    return declare


def handles(keys: Any, tp: Any) -> Program:
    """A program with a handler of a range."""

    def register(nexus: AsyncEventNexus) -> None:
        def handler(event: Any) -> None: ...

        handler.__annotations__["event"] = Event[tp]
        nexus.add_handler(keys, handler)

    return register


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


class MoreColour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"
    GREEN = "green"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


class ThinDog(BaseModel):
    kind: Literal["dog"]


class Bird(BaseModel):
    kind: Literal["bird"]


OneAnimal = Annotated[Cat | Dog, Field(discriminator="kind")]
ThreeAnimals = Annotated[Cat | Dog | Bird, Field(discriminator="kind")]
ThinAnimals = Annotated[Cat | ThinDog, Field(discriminator="kind")]


class DefaultCat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int


class DefaultDog(BaseModel):
    kind: Literal["dog"] = "dog"
    name: str


class NumberedDog(BaseModel):
    kind: Literal["dog"] = "dog"
    name: int


DefaultAnimals = Annotated[DefaultCat | DefaultDog, Field(discriminator="kind")]
NumberedAnimals = Annotated[DefaultCat | NumberedDog, Field(discriminator="kind")]
MoreDefaultAnimals = Annotated[DefaultCat | DefaultDog | Bird, Field(discriminator="kind")]


class Kind(enum.Enum):
    CAT = "cat"
    DOG = "dog"


class EnumCat(BaseModel):
    kind: Literal[Kind.CAT] = Kind.CAT


class EnumDog(BaseModel):
    kind: Literal[Kind.DOG] = Kind.DOG


class OwnedDog(BaseModel):
    kind: Literal[Kind.DOG] = Kind.DOG
    owner: str


EnumAnimals = Annotated[EnumCat | EnumDog, Field(discriminator="kind")]
OwnedAnimals = Annotated[EnumCat | OwnedDog, Field(discriminator="kind")]


class BlackCat(BaseModel):
    kind: Literal["cat"] = "cat"
    colour: Literal["black"] = "black"


class WhiteCat(BaseModel):
    kind: Literal["cat"] = "cat"
    colour: Literal["white"] = "white"


Cats = Annotated[BlackCat | WhiteCat, Field(discriminator="colour")]
NestedAnimals = Annotated[Cats | DefaultDog, Field(discriminator="kind")]
NestedNumberedAnimals = Annotated[Cats | NumberedDog, Field(discriminator="kind")]


def told_apart(**members: Any) -> Any:
    """A union of models whose members a function chooses."""

    def choose(value: Any) -> str | None:
        names = value if isinstance(value, dict) else vars(value)
        return next((tag for tag, each in members.items() if names.keys() >= each.model_fields.keys()), None)

    return Annotated[Union[tuple(Annotated[each, Tag(tag)] for tag, each in members.items())], Discriminator(choose)]  # noqa: UP007 # made of a tuple


class Leaf(BaseModel):
    size: int


class WideLeaf(BaseModel):
    size: float


class Tree(BaseModel):
    size: int
    branches: list["Tree"] = []


class WideTree(BaseModel):
    size: float
    branches: list["WideTree"] = []


class Extra(NamedEvent[int], type=99):
    source: str


class Plain(NamedEvent[int], type=99): ...


LAX: ConfigDict = {}
CLOSED = ConfigDict(extra="forbid")
OPEN = ConfigDict(extra="allow")
FILLED = ConfigDict(json_schema_serialization_defaults_required=True)

A = (int, ...)
# name: old program, new program, verdict backward (new reads old), verdict forward (old reads new)
MATRIX: dict[str, tuple[Program, Program, str, str]] = {
    "nothing changed": (fields(a=A), fields(a=A), FINE, FINE),
    "fields reordered": (fields(a=A, b=(str, ...)), fields(b=(str, ...), a=A), FINE, FINE),
    "default changed": (fields(a=(int, 1)), fields(a=(int, 2)), FINE, FINE),
    "documented": (fields(a=A), fields(a=(int, Field(description="x", examples=[3], title="B"))), FINE, FINE),
    "model renamed": (payload(create_model("Old", a=A)), payload(create_model("New", a=A)), FINE, FINE),
    "field added without default": (fields(a=A), fields(a=A, b=A), BREAKING, FINE),
    "field added with default": (fields(a=A), fields(a=A, b=(int, 1)), FINE, FINE),
    "field added that may be null": (fields(a=A), fields(a=A, b=(int | None, ...)), BREAKING, FINE),
    "field added and null by default": (fields(a=A), fields(a=A, b=(int | None, None)), FINE, FINE),
    "required field removed": (fields(a=A, b=A), fields(a=A), FINE, BREAKING),
    "field with default removed": (fields(a=A, b=(int, 1)), fields(a=A), FINE, FINE),
    "field renamed": (fields(a=A), fields(b=A), BREAKING, BREAKING),
    "field with default renamed": (fields(a=(int, 1)), fields(b=(int, 1)), FINE, FINE),
    "default given": (fields(a=A), fields(a=(int, 1)), FINE, BREAKING),
    "default taken away": (fields(a=(int, 1)), fields(a=A), BREAKING, FINE),
    "default taken away that was always written": (
        payload(model(FILLED, a=(int, 1))),
        payload(model(FILLED, a=A)),
        FINE,
        FINE,
    ),
    "retyped": (field(int), field(str), BREAKING, BREAKING),
    "int widened to float": (field(int), field(float), FINE, BREAKING),
    "float narrowed to int": (field(float), field(int), BREAKING, FINE),
    "widened to a union": (field(int), field(int | str), FINE, BREAKING),
    "union narrowed": (field(int | str), field(str), BREAKING, FINE),
    "union member added": (field(int | str), field(int | str | bool), FINE, BREAKING),
    "union reordered": (field(int | str), field(str | int), FINE, FINE),
    "null allowed": (field(int), field(int | None), FINE, BREAKING),
    "null forbidden": (field(int | None), field(int), BREAKING, FINE),
    "anything allowed": (field(int), field(Any), FINE, BREAKING),
    "anything narrowed": (field(Any), field(int | None), BREAKING, FINE),
    "bool to int": (field(bool), field(int), BREAKING, BREAKING),
    "enum grown": (field(Colour), field(MoreColour), FINE, BREAKING),
    "enum shrunk": (field(MoreColour), field(Colour), BREAKING, FINE),
    "enum widened to str": (field(Colour), field(str), FINE, BREAKING),
    "literal to enum of the same values": (field(Literal["red", "blue"]), field(Colour), FINE, FINE),
    "literal grown": (field(Literal[1]), field(Literal[1, 2]), FINE, BREAKING),
    "literal to int": (field(Literal[1, 2]), field(int), FINE, BREAKING),
    "literal number to text": (field(Literal[1]), field(Literal["1"]), BREAKING, BREAKING),
    "discriminated member added": (field(OneAnimal), field(ThreeAnimals), FINE, BREAKING),
    "discriminated member removed": (field(ThreeAnimals), field(OneAnimal), BREAKING, FINE),
    "discriminated member changed": (field(ThinAnimals), field(OneAnimal), BREAKING, FINE),
    "discriminated union of what was one model": (field(Cat), field(OneAnimal), FINE, BREAKING),
    "union of models to a discriminated one": (field(Cat | Dog), field(OneAnimal), FINE, FINE),
    "default-tagged member retyped": (field(DefaultAnimals), field(NumberedAnimals), BREAKING, BREAKING),
    "default-tagged member added": (field(DefaultAnimals), field(MoreDefaultAnimals), FINE, BREAKING),
    "union within a union unchanged": (field(NestedAnimals), field(NestedAnimals), FINE, FINE),
    "member beside a union within a union retyped": (
        field(NestedAnimals),
        field(NestedNumberedAnimals),
        BREAKING,
        BREAKING,
    ),
    "tag of a single model needed": (field(DefaultCat), field(DefaultAnimals), BREAKING, BREAKING),
    "enum-tagged member given a field": (field(list[EnumAnimals]), field(list[OwnedAnimals]), BREAKING, FINE),
    "member of a function's choice retyped": (
        field(told_apart(a=pot(a=A), b=pot(b=(str, ...)))),
        field(told_apart(a=pot(a=A), b=pot(b=A))),
        UNCLEAR,
        UNCLEAR,
    ),
    "member of a function's choice renamed": (
        field(told_apart(a=pot(a=A), b=create_model("Old", b=A))),
        field(told_apart(a=pot(a=A), b=create_model("New", b=A))),
        FINE,
        FINE,
    ),
    "nested model widened": (field(Leaf), field(WideLeaf), FINE, BREAKING),
    "nested model in a list": (field(list[WideLeaf]), field(list[Leaf]), BREAKING, FINE),
    "nested model made optional": (field(Leaf), field(Leaf | None), FINE, BREAKING),
    "nested model replaced by its field": (field(Leaf), field(int), BREAKING, BREAKING),
    "recursive model unchanged": (payload(Tree), payload(Tree), FINE, FINE),
    "recursive model widened": (payload(Tree), payload(WideTree), FINE, BREAKING),
    "alias given": (fields(temp=A), fields(temp=(int, Field(alias="t"))), BREAKING, BREAKING),
    "alias to the name that it had": (fields(t=A), fields(temp=(int, Field(alias="t"))), FINE, FINE),
    "alias for reading only": (fields(temp=A), fields(temp=(int, Field(validation_alias="t"))), BREAKING, FINE),
    "minimum raised": (field(Annotated[int, Field(ge=0)]), field(Annotated[int, Field(ge=1)]), BREAKING, FINE),
    "minimum added": (field(int), field(Annotated[int, Field(ge=1)]), BREAKING, FINE),
    "above 0 said as at least 1": (
        field(Annotated[int, Field(gt=0)]),
        field(Annotated[int, Field(ge=1)]),
        FINE,
        FINE,
    ),
    "above 0 of a float said as at least 0": (
        field(Annotated[float, Field(gt=0)]),
        field(Annotated[float, Field(ge=0)]),
        FINE,
        BREAKING,
    ),
    "maximum lowered": (field(Annotated[int, Field(le=9)]), field(Annotated[int, Field(le=8)]), BREAKING, FINE),
    "step refined": (
        field(Annotated[int, Field(multiple_of=4)]),
        field(Annotated[int, Field(multiple_of=2)]),
        FINE,
        BREAKING,
    ),
    "length limited": (field(str), field(Annotated[str, Field(max_length=9)]), BREAKING, FINE),
    "empty text forbidden": (field(str), field(Annotated[str, Field(min_length=1)]), BREAKING, FINE),
    "pattern added": (field(str), field(Annotated[str, Field(pattern="^a")]), BREAKING, FINE),
    "pattern changed": (
        field(Annotated[str, Field(pattern="^a+$")]),
        field(Annotated[str, Field(pattern="^aa*$")]),
        UNCLEAR,
        UNCLEAR,
    ),
    "text to date": (field(str), field(datetime.date), BREAKING, FINE),
    "date to datetime": (field(datetime.date), field(datetime.datetime), UNCLEAR, UNCLEAR),
    "text to uuid": (field(str), field(uuid.UUID), BREAKING, FINE),
    "decimal unchanged": (field(Decimal), field(Decimal), FINE, FINE),
    "decimal bounded": (field(Decimal), field(Annotated[Decimal, Field(ge=0)]), BREAKING, FINE),
    "decimal shortened": (
        field(Annotated[Decimal, Field(max_digits=4)]),
        field(Annotated[Decimal, Field(max_digits=4, decimal_places=2)]),
        BREAKING,
        FINE,
    ),
    "decimal finite": (field(Annotated[Decimal, Field(allow_inf_nan=True)]), field(Decimal), BREAKING, FINE),
    "text to decimal": (field(str), field(Decimal), BREAKING, FINE),
    "integer to decimal": (field(int), field(Annotated[Decimal, Field(decimal_places=2)]), FINE, BREAKING),
    "number to short decimal": (field(float), field(Annotated[Decimal, Field(decimal_places=2)]), BREAKING, BREAKING),
    "fixed texts to decimal": (field(Literal["1", "1.5"]), field(Annotated[Decimal, Field(gt=0)]), FINE, BREAKING),
    "fixed texts to short decimal": (
        field(Literal["1.55"]),
        field(Annotated[Decimal, Field(decimal_places=1)]),
        BREAKING,
        BREAKING,
    ),
    "fixed texts of which one is no number": (field(Literal["1", "one"]), field(Decimal), BREAKING, BREAKING),
    "fixed text that is infinite": (field(Literal["Infinity"]), field(Decimal), UNCLEAR, BREAKING),
    "time zone needed": (field(datetime.datetime), field(AwareDatetime), UNCLEAR, FINE),
    "time in the past": (field(datetime.datetime), field(PastDatetime), UNCLEAR, FINE),
    "time in the past unchanged": (field(PastDatetime), field(PastDatetime), FINE, FINE),
    "date bounded": (
        field(datetime.date),
        field(Annotated[datetime.date, Field(ge=datetime.date(2000, 1, 1))]),
        UNCLEAR,
        FINE,
    ),
    "time of day bounded": (
        field(datetime.time),
        field(Annotated[datetime.time, Field(ge=datetime.time(12))]),
        UNCLEAR,
        FINE,
    ),
    "span bounded": (
        field(datetime.timedelta),
        field(Annotated[datetime.timedelta, Field(gt=datetime.timedelta(0))]),
        UNCLEAR,
        FINE,
    ),
    "schemes of several hosts limited": (
        field(MongoDsn),
        field(Annotated[MongoDsn, UrlConstraints(allowed_schemes=["mongodb+srv"])]),
        UNCLEAR,
        UNCLEAR,
    ),
    "schemes limited": (
        field(AnyUrl),
        field(Annotated[AnyUrl, UrlConstraints(allowed_schemes=["https"])]),
        UNCLEAR,
        FINE,
    ),
    "list shortened": (field(list[int]), field(Annotated[list[int], Field(max_length=3)]), BREAKING, FINE),
    "list items widened": (field(list[int]), field(list[int | str]), FINE, BREAKING),
    "list to set": (field(list[int]), field(set[int]), FINE, FINE),
    "list to set of at least two": (
        field(Annotated[list[int], Field(min_length=2)]),
        field(Annotated[set[int], Field(min_length=2)]),
        BREAKING,
        FINE,
    ),
    "text to path": (field(str), field(Path), FINE, FINE),
    "text to secret": (field(str), field(SecretStr), FINE, FINE),
    "text to bytes": (field(str), field(bytes), FINE, FINE),
    "text to bytes of a length": (
        field(Annotated[str, Field(max_length=3)]),
        field(Annotated[bytes, Field(max_length=3)]),
        BREAKING,
        FINE,
    ),
    "path to date": (field(Path), field(datetime.date), BREAKING, FINE),
    "fixed text to path": (field(Literal["a"]), field(Path), FINE, BREAKING),
    "text to a file that is there": (field(str), field(FilePath), BREAKING, FINE),
    "list to tuple": (field(list[int]), field(tuple[int, int]), BREAKING, FINE),
    "tuple lengthened": (field(tuple[int, int]), field(tuple[int, int, int]), BREAKING, BREAKING),
    "one to many": (field(int), field(list[int]), BREAKING, BREAKING),
    "dict values narrowed": (field(dict[str, float]), field(dict[str, int]), BREAKING, FINE),
    "dict keys to numbers": (field(dict[str, int]), field(dict[int, int]), BREAKING, FINE),
    "dict keys to fractions": (field(dict[int, int]), field(dict[float, int]), FINE, BREAKING),
    "dict keys bounded": (field(dict[int, int]), field(dict[Annotated[int, Field(ge=0)], int]), BREAKING, FINE),
    "dict keys to booleans": (field(dict[str, int]), field(dict[bool, int]), BREAKING, FINE),
    "ordered keys to numbers": (
        field(collections.OrderedDict[str, int]),
        field(collections.OrderedDict[int, int]),
        BREAKING,
        FINE,
    ),
    "counted keys to numbers": (field(collections.Counter[str]), field(collections.Counter[int]), BREAKING, FINE),
    "dict keys listed": (field(dict[str, int]), field(dict[Literal["size"], int]), BREAKING, FINE),
    "dict keys to an enum": (field(dict[Literal["red"], int]), field(dict[Colour, int]), FINE, BREAKING),
    "dict keys to numbers or texts": (field(dict[int, int]), field(dict[int | str, int]), FINE, BREAKING),
    "dict keys by a pattern": (
        field(dict[str, int]),
        field(dict[Annotated[str, Field(pattern="^a")], int]),
        BREAKING,
        FINE,
    ),
    "model to a dict of its field": (field(Leaf), field(dict[Literal["size"], int]), FINE, BREAKING),
    "model to a dict of another field": (field(Leaf), field(dict[Literal["width"], int]), BREAKING, BREAKING),
    "model to a dict of numbers": (field(Leaf), field(dict[int, int]), BREAKING, BREAKING),
    "model to a dict by a pattern": (
        field(Leaf),
        field(dict[Annotated[str, Field(pattern="^s")], int]),
        UNCLEAR,
        BREAKING,
    ),
    "model to a dict that is not empty": (
        field(Leaf),
        field(Annotated[dict[str, int], Field(min_length=1)]),
        FINE,
        BREAKING,
    ),
    "model to a dict of one": (field(Leaf), field(Annotated[dict[str, int], Field(max_length=1)]), FINE, BREAKING),
    "model to a dict of two": (field(Leaf), field(Annotated[dict[str, int], Field(min_length=2)]), BREAKING, BREAKING),
    "dict to a model": (field(dict[str, int]), field(Leaf), BREAKING, FINE),
    "model to a dict": (field(Leaf), field(dict[str, int]), FINE, BREAKING),
    "closed to unknown fields": (
        payload(model(LAX, a=A)),
        payload(model(CLOSED, a=A)),
        FINE,
        FINE,
    ),
    "field removed where unknown ones are forbidden": (
        payload(model(CLOSED, a=A, b=A)),
        payload(model(CLOSED, a=A)),
        BREAKING,
        BREAKING,
    ),
    "field added where unknown ones are forbidden": (
        payload(model(CLOSED, a=A)),
        payload(model(CLOSED, a=A, b=(int, 1))),
        FINE,
        BREAKING,
    ),
    "extra fields no longer allowed": (payload(model(OPEN, a=A)), payload(model(CLOSED, a=A)), BREAKING, FINE),
    "field named where any were allowed": (
        payload(model(OPEN, a=A)),
        payload(model(OPEN, a=A, b=(int, 1))),
        UNCLEAR,
        FINE,
    ),
    "integers split at five": (
        field(int),
        field(Annotated[int, Field(lt=5)] | Annotated[int, Field(ge=5)]),
        UNCLEAR,
        FINE,
    ),
    "payload retyped": (payload(int), payload(str), BREAKING, BREAKING),
    "payload wrapped in a model": (payload(int), fields(a=A), BREAKING, BREAKING),
    "event type added": (declares((1, int)), declares((1, int), (2, int)), FINE, BREAKING),
    "event type removed": (declares((1, int), (2, int)), declares((1, int)), BREAKING, FINE),
    "key changed": (declares(named(int, 1)), declares(named(int, 2)), BREAKING, BREAKING),
    "key changed from number to text": (declares((99, int)), declares(("99", int)), BREAKING, BREAKING),
    "event class renamed": (declares(named(int, 1, "Tea")), declares(named(int, 1, "Brew")), FINE, FINE),
    "event class given": (payload(int), declares(named(int)), FINE, BREAKING),
    # A plain event's priority is required, a named one's may be left out.
    "event class taken away": (declares(named(int)), payload(int), BREAKING, FINE),
    "envelope field added": (declares(Plain), declares(Extra), BREAKING, FINE),
    "keys put into a range": (declares((1, int), (2, int)), handles((1, 5), int), FINE, BREAKING),
    "range widened": (handles((1, 5), int), handles((1, 9), int), FINE, BREAKING),
    "range narrowed": (handles((1, 9), int), handles((1, 5), int), BREAKING, FINE),
    "range retyped": (handles((1, 9), int), handles((1, 9), str), BREAKING, BREAKING),
}


def locked(program: Program) -> dict[str, Any]:
    """The lock of a program."""
    nexus = AsyncEventNexus()
    program(nexus)
    return lock(nexus)
