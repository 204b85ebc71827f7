"""Feeds a nexus, or only its catalog, the events of a journal, and reports what came of them."""

import asyncio
import traceback
from collections.abc import Coroutine, Generator
from contextlib import closing
from typing import Any

import click
from pydantic import ValidationError
from typing_extensions import override

from ..boundaries import AsyncEventBoundary
from ..catalog import Catalog
from ..errors import InvalidPayload, TransportError, UnhandledEvent
from ..events import Event, describe_event
from ..journal import Entry, Replayed, replay_each
from ..nexus import AsyncEventNexus
from ..sources import EventProducer
from .wording import describe, describe_no_event, one_line


def handle_all(nexus: AsyncEventNexus[Any], entries: Generator[Entry]) -> int:
    """Have a nexus handle recorded events, and nothing else, until they end or a signal comes; return the exit code.

    Raises `ClickException` for a nexus that needs others, `TransportError` where the journal cannot be read; what the
    nexus raises besides is printed.
    """
    for _, handler in nexus.handlers:
        if isinstance(handler.given, AsyncEventBoundary):  # it would be full in the end, and wait
            raise click.ClickException(
                f"{handler.name} leads to another domain, and a replay runs only one: name a nexus that has no boundary"
            )
    nexus._life.isolate()  # pyright: ignore[reportPrivateUsage] # a program has no use for a nexus without its sources
    source = _Recorded(nexus.catalog, entries)
    nexus.register(source)
    try:
        with closing(entries):
            nexus.run_until_complete()
    except TransportError:
        raise
    except Exception as error:
        traceback.print_exception(error)
        return 1
    _sum_up(source.handled, "replayed", source.failed, "failed", source.invalid)
    return 1 if source.failed or source.invalid else 0


class _Recorded(EventProducer[Any]):
    """A source of recorded events, which it counts by what comes of them."""

    def __init__(self, catalog: Catalog, entries: Generator[Entry]) -> None:
        super().__init__()
        self.catalog = catalog
        self._entries = entries
        self._is_closed = False
        self.handled = self.failed = self.invalid = 0

    @override
    async def start(self) -> None:
        """Feed one event after another until there is none, or the nexus stops."""
        await super().start()
        async for replayed in replay_each(self._entries, self):
            self._count(replayed)
            if self._is_closed:
                return

    @override
    def close(self) -> None:
        """Feed no more events after the one that is being handled."""
        self._is_closed = True

    def ingest(self, event: Event[Any], /) -> Coroutine[Any, Any, None]:
        """Send an event on."""
        return self.distribute_event(event)

    def _count(self, replayed: Replayed) -> None:
        self.handled += replayed.error is None
        self.invalid += not replayed.is_valid
        self.failed += replayed.error is not None and replayed.is_valid
        if replayed.error is not None:
            click.echo(f"{replayed.entry.position}: {_reason(replayed.error, is_valid=replayed.is_valid)}", err=True)


def foresee_all(nexus: AsyncEventNexus[Any], entries: Generator[Entry]) -> int:
    """Say of each recorded event who would handle it; return the exit code. Raises `TransportError`."""
    handled = unhandled = invalid = 0
    filters = "".join(f"{each.name}, then " for each in nexus.filters)
    with closing(entries):
        for entry in entries:
            head = f"{entry.position} {entry.time.isoformat()}"
            try:
                event = nexus.catalog.parse_json(entry.event)
            except Exception as error:  # validators raise whatever they like
                invalid += 1
                click.echo(f"{head} {_reason(error, is_valid=False)}")
                continue
            names = nexus._dispatch.handler_names(event.type)  # pyright: ignore[reportPrivateUsage] # no program asks
            handled += bool(names)
            unhandled += not names
            click.echo(one_line(f"{head} {describe_event(event)}: {filters}{', '.join(names) or 'unhandled'}"))
    _sum_up(handled, "would be handled", unhandled, "unhandled", invalid)
    return 1 if unhandled or invalid else 0


def _reason(error: BaseException, *, is_valid: bool) -> str:
    """Say on one line why an event was not handled."""
    match error:
        case InvalidPayload() if not is_valid:
            return one_line(f"wrong payload: {error}")
        case ValidationError() if not is_valid:
            return one_line(describe_no_event(error))
        case UnhandledEvent():
            return one_line(f"unhandled: {error}")
        case asyncio.CancelledError():
            return "a handler was cancelled"
        case _:
            return one_line(f"a {'handler' if is_valid else 'validator'} raised {describe(error)}")


def _sum_up(good: int, done: str, bad: int, undone: str, invalid: int) -> None:
    counts = [f"{good} {'event' if good == 1 else 'events'} {done}", f"{bad} {undone}", f"{invalid} invalid"]
    click.echo(", ".join(counts), err=True)
