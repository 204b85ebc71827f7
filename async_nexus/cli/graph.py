"""`async-nexus graph`: draws a nexus."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import click

from .output import output_option, write


@click.command(short_help="Draw it: Mermaid, DOT, SVG.")
@click.argument("target")
@output_option
def graph(target: str, output: Path | None) -> None:
    """Draw sources, filters, handlers, secondary events and the domains beyond boundaries.

    Mermaid goes to stdout; a FILE ends in .mmd (Mermaid), .dot (Graphviz) or .svg.
    """
    from ..schema.dot import dot
    from ..schema.graph import Graph
    from ..schema.graph import graph as draw
    from ..schema.mermaid import mermaid
    from .loading import load_to_describe

    loaded = load_to_describe(target)
    picture = draw(loaded.nexus, names=loaded.names)

    def to_svg(picture: Graph) -> str:
        from ..schema.dot import svg

        try:
            with _silent_libraries():
                return svg(picture)
        except ModuleNotFoundError:
            raise click.ClickException("SVG needs pygraphviz: pip install 'async-nexus[cli]'") from None

    formats = {".mmd": lambda: mermaid(picture), ".dot": lambda: dot(picture), ".svg": lambda: to_svg(picture)}
    write(formats, output)


@contextmanager
def _silent_libraries() -> Generator[None]:
    """Keep what C libraries write on stderr by themselves, such as on this machine's fonts, from the user."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
