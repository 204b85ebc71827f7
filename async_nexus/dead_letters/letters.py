"""One failed event as a line of JSON.

A line holds the event, what was raised, by which handler, when and at which attempt. The payload is written as
pydantic writes JSON, for the catalog to read it again; where that cannot be done, the line says why.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from ..events import event_json
from ..failures import FailedEvent
from ..lossless import check_written


class WrittenError(BaseModel):
    """What was raised: its class, its text, and the members of a group."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True)

    type: str
    text: str
    errors: tuple["WrittenError", ...] = ()


class DeadLetter(BaseModel):
    """A line of a file of failed events.

    `event` is the event as JSON. Where its `payload` could not be written as it was, it is not there, or has null for
    what JSON has not, such as NaN, and `payload_error` is why.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True)

    file: Path
    line: int
    event: dict[str, Any]
    error: WrittenError
    handler: str | None
    when: AwareDatetime
    attempt: int
    payload_error: str | None = None


@dataclass(frozen=True, slots=True)
class LineFailure:
    """A line that could not be read, or whose event failed again."""

    file: Path
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


def encode(failed: FailedEvent) -> bytes:
    """Write a failed event as one line of JSON."""
    letter: dict[str, Any] = {
        "when": failed.when.isoformat(),
        "handler": failed.handler,
        "attempt": failed.attempt,
        "error": _describe(failed.error),
    }
    try:
        event = event_json(failed.event)
    except Exception as error:
        envelope = {"id": failed.event.id, "type": failed.event.type, "priority": failed.event.priority}
        event = json.dumps(envelope)
        letter["payload_error"] = summarise(error)
    else:
        try:
            check_written(failed.event, event.encode())
        except Exception as error:  # it is written all the same: there may be no other trace of it
            letter["payload_error"] = summarise(error)
    head = json.dumps(letter, ensure_ascii=False)
    # Outside of strings, where it is written as an escape, a line break in JSON is just space.
    return f'{head[:-1]}, "event": {event}}}'.replace("\n", " ").encode() + b"\n"


def summarise(error: BaseException) -> str:
    """Name an error's class and give its text."""
    return f"{_name(error)}: {_text(error)}"


def _describe(error: BaseException) -> dict[str, Any]:
    described: dict[str, Any] = {"type": _name(error), "text": _text(error)}
    if isinstance(error, BaseExceptionGroup):
        members = cast("BaseExceptionGroup[BaseException]", error).exceptions
        described["errors"] = [_describe(member) for member in members]
    return described


def _name(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _text(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception as unprintable:
        return f"(its text raised {_name(unprintable)})"
    return text.encode("utf-8", "backslashreplace").decode()  # a lone surrogate is no JSON


def decode(path: Path, number: int, line: bytes) -> DeadLetter | LineFailure:
    """Read a line of a file, or say why it cannot be read."""
    try:
        found = json.loads(line.decode())
        if not isinstance(found, dict):
            return LineFailure(path, number, "the line is no JSON object")
        return DeadLetter.model_validate({**cast("dict[str, Any]", found), "file": path, "line": number})
    except ValidationError as error:
        # Without the values, which may be secret.
        wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        return LineFailure(path, number, f"the line holds no failed event: {wrong}")
    except (ValueError, RecursionError) as error:
        return LineFailure(path, number, f"the line is no JSON: {error}")
