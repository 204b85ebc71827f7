"""Writes what a command made: to a file whose ending says the format, or to stdout."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import click

Format: TypeAlias = Callable[[], str]
"""Makes the text of one format when it is asked for."""

F = TypeVar("F", bound=Callable[..., Any])


def output_option(command: F) -> F:
    """Give a command the option `--output FILE`."""
    return click.option(
        "-o",
        "--output",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Write to FILE, in the format of its ending; without it to stdout.",
    )(command)


def write(formats: Mapping[str, Format], output: Path | None) -> None:
    """Write in the format of the file's ending; the first of `formats` is that of stdout.

    Raises `ClickException` for another ending or a file that cannot be written.
    """
    if output is None:
        click.echo(next(iter(formats.values()))().encode(), nl=False)
        return
    if output.suffix not in formats:
        raise click.ClickException(f"{str(output)!r} ends in none of {', '.join(formats)}, which say the format")
    write_file(output, formats[output.suffix]())


def write_file(output: Path, text: str) -> None:
    """Write a whole text file. Raises `ClickException` where that cannot be done."""
    try:
        output.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise click.ClickException(f"cannot write {str(output)!r}: {error.strerror}") from None


def documents(document: Mapping[str, Any]) -> dict[str, Format]:
    """Return the formats of a document that JSON can hold."""
    from ..schema import to_json, to_yaml

    def yaml() -> str:
        try:
            return to_yaml(document)
        except ImportError as error:
            raise click.ClickException(str(error)) from None

    return {".json": lambda: to_json(document), ".yaml": yaml, ".yml": yaml}
