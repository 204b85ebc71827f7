"""`async-nexus run`: runs a program until it is told to stop."""

import sys
import traceback
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..nexus import AsyncEventNexus


@click.command(short_help="Run a nexus until it is told to stop.")
@click.argument("target")
@click.option("--stdin", "from_stdin", is_flag=True, help="Ingest events from stdin, a JSON object a line, then stop.")
@click.option("--until-complete", is_flag=True, help="Stop when every source is exhausted.")
@click.option(
    "--reload", "reloading", is_flag=True, help="Start again when a Python file below this directory changes."
)
def run(target: str, *, from_stdin: bool, until_complete: bool, reloading: bool) -> int:
    """Run a nexus until SIGINT or SIGTERM, which stop it gracefully; a second one stops it at once.

    With --stdin each line is a whole event, {"id": 1, "type": 99, "priority": 0, "payload": ...}; the lines are
    handled one after another. One that is bad (at most 16 MiB long, UTF-8, JSON, an event, a payload that fits,
    handled without an error) is reported on stderr and makes the exit code 1; the rest goes on. After a signal the
    exit code is 0.
    """
    if reloading:
        if from_stdin:
            raise click.UsageError("--stdin and --reload exclude each other")
        from .reload import run_reloading

        return run_reloading([target, *(["--until-complete"] if until_complete else [])])
    if from_stdin and sys.stdin is None:  # the shell has closed it
        raise click.ClickException("there is no stdin to read: it is closed")
    from .loading import load_to_run

    nexus = load_to_run(target)
    bad = _Fed(nexus) if from_stdin else None
    try:
        nexus.run_until_complete() if until_complete else nexus.loop_forever()
    except Exception as error:
        traceback.print_exception(error)
        return 1
    return 1 if bad is not None and bad.finish() else 0


class _Fed:
    """A nexus with stdin for a source."""

    def __init__(self, nexus: "AsyncEventNexus[Any]") -> None:
        from .stdin import EventLines, Report, read_chunks

        self._report = Report(sys.stderr)
        # The descriptor is read, not `sys.stdin`: nothing else reads it, and no buffer is in between.
        self._lines = EventLines(read_chunks(0), nexus.catalog, self._report, nexus.stop)
        nexus.register(self._lines)

    def finish(self) -> int:
        """Take the progress line away; return how many lines were bad, none if a signal came before the end."""
        self._report.clear()
        return self._lines.bad if self._lines.ended else 0
