"""`async-nexus fuzz`: throws valid and invalid events at every handler, and reports what crashed."""

import contextlib
import json
import random
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..events import Event
    from ..testing.fuzzing import Crash, Outcome


@click.command(short_help="Throw valid and invalid events at every handler.")
@click.argument("target")
@click.option("--seed", type=click.IntRange(0), metavar="N", help="Replay the run that reported this seed.")
@click.option(
    "--examples",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    metavar="N",
    help="How many events, valid and again invalid, to draw of each key.",
)
@click.option("--json", "as_json", is_flag=True, help="Report as one JSON document.")
def fuzz(target: str, *, seed: int | None, examples: int, as_json: bool) -> int:
    """Find handlers that crash on events which the catalog accepts.

    Events are drawn of every key that the nexus knows, valid and invalid ones; each is ingested on virtual
    time. Sources are not started, and stopping the nexus does nothing. A crash is whatever an ingest raises, but
    for InvalidPayload where the event is invalid and UnhandledEvent where nothing handles it. The exit code is 1
    if there is any.
    """
    from .loading import load_to_run

    nexus = load_to_run(target)
    try:
        from ..testing.fuzzing import fuzz as throw
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        raise click.ClickException("fuzz needs Hypothesis: pip install 'async-nexus[testing]'") from None
    seed = random.randrange(2**32) if seed is None else seed
    # What handlers print is not the report.
    with contextlib.redirect_stdout(sys.stderr):
        outcome = throw(nexus, seed=seed, examples=examples)
    replay = f"async-nexus fuzz {target} --seed {seed} --examples {examples}"
    text = _to_json(outcome, seed, examples) if as_json else "".join(f"{line}\n" for line in _lines(outcome, replay))
    click.echo(text.encode(), nl=False)
    return 1 if outcome.crashes else 0


def _lines(outcome: "Outcome", replay: str) -> Iterator[str]:
    from ..schema.names import keys_text
    from .report import relative
    from .wording import describe, one_line

    for crash in outcome.crashes:
        place = "" if crash.file is None else f"{relative(crash.file)}:{crash.line}: "
        handler = "" if crash.handler is None else f"{crash.handler}: "
        yield f"{place}{handler}{one_line(describe(crash.error))}"
        yield f"  {'valid' if crash.is_valid else 'invalid'} event: {_event_text(crash.event)}"
        if crash.failed_event != crash.event:
            yield f"  then: {_event_text(crash.failed_event)}"
    for keys, reason in outcome.undrawn:
        yield f"no events of type {keys_text(keys)} could be drawn: {reason}"
    if outcome.was_ended:
        yield "a handler cleaned the nexus up: it took no events after that"
    crashes = f"{len(outcome.crashes)} {'crash' if len(outcome.crashes) == 1 else 'crashes'}"
    events = f"{outcome.events} {'event' if outcome.events == 1 else 'events'}"
    yield f"{events}, {crashes if outcome.crashes else 'no crash'}; replay with: {replay}"


def _to_json(outcome: "Outcome", seed: int, examples: int) -> str:
    from ..schema.names import keys_text

    document = {
        "seed": seed,
        "examples": examples,
        "events": outcome.events,
        "ended": outcome.was_ended,
        "crashes": [_crash(each) for each in outcome.crashes],
        "undrawn": [{"type": keys_text(keys), "reason": reason} for keys, reason in outcome.undrawn],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _crash(crash: "Crash") -> dict[str, Any]:
    from ..errors import text_of
    from .report import relative

    return {
        "error": type(crash.error).__qualname__,
        "message": text_of(crash.error),
        "handler": crash.handler,
        "file": None if crash.file is None else relative(crash.file),
        "line": crash.line,
        "valid": crash.is_valid,
        "event": _event(crash.event),
        "failed_event": _event(crash.failed_event),
    }


def _event(event: "Event[Any]") -> Any:
    """Describe an event as JSON; as Python writes it, where it has no JSON."""
    try:
        return json.loads(event.model_dump_json(warnings=False))
    except Exception:  # whatever a serializer of the user's raises
        return repr(event)


def _event_text(event: "Event[Any]") -> str:
    value = _event(event)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=True)
