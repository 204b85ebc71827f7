"""`async-nexus check`: proves the wiring, and that nothing breaks what the lock file promises."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from .loading import Target


FORMATS: Final = ("text", "json", "github")
CODES: Final = ("unhandled-event", "unreachable-handler", "event-cycle", "claims-disagree")


@click.command(short_help="Find wrong wiring and breaking changes.")
@click.argument("target")
@click.option(
    "--lock", "lock_file", type=click.Path(path_type=Path), metavar="FILE", help="Compare with this lock file."
)
@click.option(
    "--mode",
    type=click.Choice(["backward", "forward", "full"]),
    help="Who has to read what the other wrote: the new version, the old one, both; backward unless given.",
)
@click.option("--wiring/--no-wiring", default=True, help="Check the wiring, or leave it out.")
@click.option(
    "--ignore", multiple=True, type=click.Choice(CODES), metavar="CODE", help="Silence findings of this code."
)
@click.option("--format", "form", type=click.Choice(FORMATS), help="How to report; text unless given.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def check(
    target: str,
    *,
    lock_file: Path | None,
    mode: str | None,
    wiring: bool,
    ignore: Sequence[str],
    form: str | None,
    as_json: bool,
) -> int:
    """Find what is wrong with the wiring and, with --lock, changes that break a contract.

    Codes: unhandled-event, unreachable-handler, event-cycle, claims-disagree. The exit code is 1 if there is
    anything to report.
    """
    if lock_file is None and (mode or not wiring):
        raise click.UsageError("--mode and --no-wiring are about a lock file: name it by --lock FILE")
    if as_json and form not in (None, "json"):
        raise click.UsageError(f"--json and --format {form} exclude each other")
    promised = None if lock_file is None else _read(lock_file)
    from .loading import load_to_describe

    loaded = load_to_describe(target)
    from .report import Report, to_github, to_json, to_text

    findings = _findings(loaded, ignore) if wiring else ()
    changes = () if promised is None else _changes(loaded, target, promised, mode or "backward")
    report = Report(findings, changes, lock_file)
    writer = {"text": to_text, "json": to_json, "github": to_github}["json" if as_json else form or "text"]
    click.echo(writer(report).encode(), nl=False)
    return 1 if report else 0


def _read(lock_file: Path) -> dict[str, Any]:
    from ..schema import read_lock

    try:
        return read_lock(lock_file.read_bytes())
    except OSError as error:
        raise click.ClickException(f"cannot read {str(lock_file)!r}: {error.strerror}") from None
    except ValueError as error:
        raise click.ClickException(f"{str(lock_file)!r} is no lock file: {error}") from None


def _findings(loaded: "Target", ignore: Sequence[str]) -> tuple[Any, ...]:
    from ..schema.places import Place
    from ..schema.wiring import check_wiring

    return check_wiring(loaded.nexus, ignore=ignore, place=Place(loaded.file, loaded.line))


def _changes(loaded: "Target", target: str, promised: dict[str, Any], mode: Any) -> tuple[Any, ...]:
    from ..schema import compare
    from ..schema import lock as describe

    try:
        found = describe(loaded.nexus)
    except (TypeError, ValueError) as error:
        raise click.ClickException(f"{target}: {error}") from error
    return tuple(compare(promised, found, mode))
