"""`async-nexus replay`: has the events of a journal handled by today's handlers."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import click

STATES: Final = ("pending", "done", "failed", "withdrawn")


def _read_end(context: click.Context, parameter: click.Parameter, text: str | None) -> datetime | int | None:
    """Read digits as a position, and anything else as a time."""
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return min(int(text[:20]), 2**63 - 1)
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError):
        raise click.BadParameter(
            f"{text!r} is neither a position, such as 17, nor a time, such as 2026-01-31T12:00:00Z", context, parameter
        ) from None


@click.command(short_help="Have recorded events handled again.")
@click.argument("target")
@click.argument("journal", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--from", "since", callback=_read_end, metavar="WHEN", help="Begin with this position or time.")
@click.option("--to", "until", callback=_read_end, metavar="WHEN", help="End with this position or time.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(STATES),
    help="Only events of this state; may be given more than once. Unless given, all but withdrawn.",
)
@click.option("--dry-run", is_flag=True, help="Say which handlers would take each event, and call none.")
def replay(
    target: str,
    journal: Path,
    *,
    since: datetime | int | None,
    until: datetime | int | None,
    states: Sequence[str],
    dry_run: bool,
) -> int:
    """Have the events that a JOURNAL has recorded handled by the handlers as they are now.

    Events are handled one after another, in the order in which they were accepted, until a signal comes. The sources
    of the nexus are not started, its own journal is not opened, and JOURNAL stays as it is. WHEN is a position, or a
    time as 2026-01-31T12:00Z, local where it has no zone; both ends are included.

    An event that does not fit the catalog any more, that nothing handles or a handler fails on, is reported on stderr
    and makes the exit code 1; the rest goes on.
    """
    from .loading import load_to_describe, load_to_run

    nexus = load_to_describe(target).nexus if dry_run else load_to_run(target)
    from ..errors import TransportError
    from ..journal import State, read
    from ..journal.reading import HANDLED
    from .replaying import foresee_all, handle_all

    wanted = frozenset(map(State, states)) or HANDLED
    try:
        entries = read(journal, since=since, until=until, states=wanted)
        return (foresee_all if dry_run else handle_all)(nexus, entries)
    except TransportError as error:
        raise click.ClickException(str(error)) from None
