"""Says in one line why a message was put aside, without the values of its payload, which may be secret."""

from typing import Final, cast

from pydantic import ValidationError

from ..dead_letters.letters import summarise

_LONGEST: Final = 1000
"""How many characters a reason has at most: engines carry it in headers."""


def one_line(text: str, longest: int = 100) -> str:
    """Make of a text that comes from elsewhere one line of at most so many characters, all of them printable."""
    line = "".join(each if each.isprintable() else " " for each in text[: longest + 1])
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def describe_invalid(error: ValidationError) -> str:
    """Say which fields pydantic found wrong, and why."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, detail['loc'])) or 'JSON'}: {detail['msg']}" for detail in details)


def describe_failure(error: BaseException) -> str:
    """Name the class of an error and give its text, of a group also those of its members, in a short line."""
    return one_line(_describe(error), _LONGEST)


def _describe(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        return f"pydantic.ValidationError: {error.title}: {describe_invalid(error)}"
    return " | ".join([summarise(error), *map(_describe, _members(error))])


def _members(error: BaseException) -> tuple[BaseException, ...]:
    return cast("BaseExceptionGroup[BaseException]", error).exceptions if isinstance(error, BaseExceptionGroup) else ()
