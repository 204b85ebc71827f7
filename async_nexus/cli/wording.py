"""Says what went wrong, on one line whatever that holds."""

from pydantic import ValidationError

from ..errors import text_of


def one_line(text: str) -> str:
    """Make one line of a text that comes from elsewhere, without what could steer a terminal."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def describe(error: BaseException) -> str:
    """Name an error with its text, and those that a group holds."""
    members: tuple[BaseException, ...] = getattr(error, "exceptions", ())
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(map(describe, members))
    text = text_of(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def describe_no_event(error: ValidationError) -> str:
    """Say what is wrong with a line that holds no event."""
    details = error.errors(include_url=False, include_input=False)
    if details[0]["type"] == "json_invalid":
        return f"not JSON: {details[0].get('ctx', {}).get('error', details[0]['msg'])}"
    fields = (
        f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}" if detail["loc"] else detail["msg"]
        for detail in details
    )
    return f"no event: {'; '.join(fields)}"
