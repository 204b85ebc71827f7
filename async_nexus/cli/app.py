"""Puts the commands together and turns what goes wrong in them into exit codes."""

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

import click

from .check import check
from .failures import TargetFailed
from .fuzz import fuzz
from .graph import graph
from .lock import lock
from .replay import replay
from .run import run
from .schema import schema

PROGRAM: Final = "async-nexus"


def _show_version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        click.echo(f"{PROGRAM} {version(PROGRAM)}")
    except PackageNotFoundError:
        click.echo(f"{PROGRAM} (not installed)")
    context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
def app() -> None:
    """Run, describe, guard, check, draw and fuzz a nexus, and replay its journal.

    TARGET is module:attribute, an AsyncEventNexus or a function that returns one, importable from the current
    directory: async-nexus graph app:nexus

    Exit codes: 0, all is well; 1, findings, breaking or unclear changes, bad input lines, events that
    failed again, a program that failed; 2, wrong use, or a target or file that cannot be loaded.
    """


for _command in (run, schema, lock, check, graph, fuzz, replay):
    app.add_command(_command)


def run_command(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; errors of use become one line on stderr."""
    _replace_closed_streams()
    refused: OSError | None = None
    code = 0
    try:
        code = _run(arguments)
    except OSError as error:
        if not _is_of_echo(error):
            raise
        refused = error
    refused = _flush_stdout() or refused
    if refused is None:
        return code
    if isinstance(refused, BrokenPipeError):  # whoever read has gone, as `head` does
        return 1
    return _error(click.ClickException(f"cannot write to stdout: {refused.strerror}"))


def _run(arguments: Sequence[str]) -> int:
    try:
        code = app.main(args=list(arguments), prog_name=PROGRAM, standalone_mode=False)
    except click.UsageError as error:
        if not arguments:
            click.echo(app.get_help(click.Context(app, info_name=PROGRAM)), err=True)
            return 2
        return _error(error)
    except click.ClickException as error:
        return _error(error)
    except TargetFailed as failed:
        print_users_traceback(failed.error)
        return 2
    except (click.Abort, KeyboardInterrupt):
        return 130
    return code if isinstance(code, int) else 0


def _replace_closed_streams() -> None:
    """Have what is written go nowhere where the shell has closed a stream, as `>&-` does."""
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
            setattr(sys, name, open(descriptor, "w", encoding="utf-8"))  # noqa: SIM115 # it stays open


def _is_of_echo(error: OSError) -> bool:
    """Whether what commands, and click itself, write with has raised an error."""
    return any(frame.f_code is click.echo.__code__ for frame, _ in traceback.walk_tb(error.__traceback__))


def _flush_stdout() -> OSError | None:
    """Write what stdout still holds; return why that cannot be done, which Python is not to find out again at exit."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return error
    return None


def _error(error: click.ClickException) -> int:
    click.echo(f"{PROGRAM}: error: {' '.join(error.format_message().split())}", err=True)
    return 2


def print_users_traceback(error: BaseException) -> None:
    """Print where a user's own module failed, without the frames that led there."""
    ours = (str(Path(__file__).parent), importlib.__file__, "<frozen importlib")
    trace: TracebackType | None = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(ours):
        trace = trace.tb_next
    if trace is None and not isinstance(error, SyntaxError):
        trace = error.__traceback__
    traceback.print_exception(error.with_traceback(trace))
