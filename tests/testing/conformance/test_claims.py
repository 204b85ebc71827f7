"""Each claim of the suite catches the transport that breaks it, so the tests of adapters can fail."""

import asyncio
import sqlite3
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pytest
from broken_transports import Trouble, in_trouble

from async_nexus.errors import AsyncNexusError
from async_nexus.testing import run
from async_nexus.testing.conformance import Engine, TransportConformance
from async_nexus.testing.conformance.trial import Trial
from async_nexus.transports.sqlite.owners import find_dead

MEMORY = "async_nexus.transports.memory:MemoryTransport"

# What is broken, and the claims that have to see it.
BROKEN = {
    "LosesSome": "each_consumer_gets_all shared_consumer_splits in_flight_limit_is_exact"
    " cancelled_consumers_lose_nothing",
    "PublishesTwice": "published_comes_once",
    "ForgetsHeaders": "message_is_carried_whole",
    "TakesBodiesForText": "message_is_carried_whole",
    "StartsOnce": "connects_when_it_is_needed",
    "HasToBeStarted": "connects_when_it_is_needed",
    "PublishesOneAtATime": "many_may_publish_at_once",
    "RenamesConsumers": "each_consumer_gets_all dead_letters_belong_to_their_consumer",
    "SharesNothing": "shared_consumer_splits acknowledged_is_settled",
    "SharesInSecret": "shared_consumer_splits",
    "MixesConsumersUp": "channels_are_kept_apart",
    "MixesChannelsUp": "channels_are_kept_apart",
    "BeginsAtTheEnd": "a_consumer_that_was_away_gets_what_came a_new_consumer_begins_at_the_oldest"
    " unsettled_comes_again",
    "ChokesOnNames": "an_awkward_name_is_carried_or_refused",
    "ChokesOnSize": "a_large_message_is_carried_or_refused",
    "BeginsAfter": "replay_from_a_position",
    "TakesAnyTimeForTheFirst": "replay_from_a_time",
    "SettlesNothing": "acknowledged_is_settled published_comes_once",
    "SettlesEarly": "unsettled_comes_again in_flight_limit_is_exact settling_after_the_end_is_refused "
    "in_flight_limit_holds_while_handlers_run cancelled_consumers_lose_nothing",
    "CountsNoAttempts": "unsettled_comes_again retried_comes_again",
    "SettlesRetries": "retried_comes_again cancelled_consumers_lose_nothing",
    "RetriesAtOnce": "retry_waits",
    "SwallowsDeadLetters": "dead_letters_are_kept cancelled_consumers_lose_nothing",
    "CutsReasons": "dead_letters_are_kept",
    "NewestFirst": "dead_letters_are_kept",
    "ReadsOnFromTheLast": "dead_letters_stay_however_they_are_read",
    "OneDeadLetterOffice": "dead_letters_belong_to_their_consumer",
    "EmptyDeadLetters": "a_dead_letter_is_whole",
    "SettlesTwice": "settling_twice_is_refused",
    "SettlesLate": "settling_after_the_end_is_refused",
    "TakesOneMore": "in_flight_limit_is_exact in_flight_limit_holds_while_handlers_run",
    "TakesOneLess": "in_flight_limit_is_exact",
    "SwapsNeighbours": "order_is_kept",
    "RetriesLast": "order_is_kept_under_retries",
    "DrainLoses": "draining_loses_nothing",
    "IterationNeverEnds": "draining_loses_nothing draining_a_transport_ends_its_iterations "
    "closing_ends_the_iteration closing_a_transport_ends_its_iterations",
    "CancelledLoses": "a_cancelled_wait_loses_nothing",
    "DrainsAtOnce": "draining_a_transport_waits_for_confirmations",
    "DrainsNothing": "draining_a_transport_ends_its_iterations",
}

# What goes wrong in trouble, and the claim that has to see it.
TROUBLE = {
    "leaks": "reconnects_by_itself errors_without_a_server_are_its_own"
    " a_full_engine_refuses_and_keeps_what_it_confirmed",
    "waits": "reconnects_by_itself errors_without_a_server_are_its_own"
    " a_full_engine_refuses_and_keeps_what_it_confirmed",
    "drops": "reconnects_by_itself errors_without_a_server_are_its_own"
    " a_full_engine_refuses_and_keeps_what_it_confirmed",
    "never recovers": "reconnects_by_itself a_full_engine_refuses_and_keeps_what_it_confirmed",
    "says nothing": "a_full_engine_refuses_and_keeps_what_it_confirmed",
    "loses": "reconnects_by_itself",
    "ends": "reconnects_by_itself",
    "gives up": "reconnects_by_itself errors_without_a_server_are_its_own",
    "leaks when it settles": "errors_without_a_server_are_its_own",
}
REFUSALS = ["shows", "chains", "says nothing", "leaks", "waits", "connects", "logs"]


class Quick(TransportConformance):
    """The suite with less work."""

    events = 200
    crash_patience = 5.0


class Patient(TransportConformance):
    """The suite with more patience than the slowest machine needs to start a process."""

    patience = 60.0
    crash_patience = 100.0


class Try(Protocol):
    """Tries a claim on an engine."""

    def __call__(self, claim: str, engine: Engine, /) -> None: ...


@pytest.fixture
def attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Try:
    """Try a claim on an engine in memory, on virtual time.

    However slow the machine is, nothing comes late that is due at once; and what never comes is waited for in no time.
    """
    monkeypatch.setattr(asyncio, "run", run)
    return partial(attempt_as, Quick(), tmp_path)


def attempt_as(suite: TransportConformance, directory: Path, claim: str, engine: Engine, /) -> None:
    """Try a claim of a suite on an engine."""
    getattr(suite, f"test_{claim}")(Trial(engine, directory, suite.patience))


def fails() -> Any:
    """Expect what a failing claim raises; the suite does not dress up what an adapter raises."""
    failures = (AssertionError, pytest.fail.Exception, AsyncNexusError, OSError, LookupError, ArithmeticError)
    return pytest.raises((*failures, TimeoutError, BaseExceptionGroup))


@pytest.mark.parametrize(
    "broken, claim", [(broken, claim) for broken, claims in BROKEN.items() for claim in claims.split()]
)
def test_a_claim_catches_who_breaks_it(attempt: Try, broken: str, claim: str) -> None:
    """The transport that does it wrong fails the claim."""
    with fails():
        attempt(claim, Engine(factory=f"broken_transports:{broken}", processes=False))


@pytest.mark.parametrize("claim", sorted({claim for claims in BROKEN.values() for claim in claims.split()}))
def test_who_breaks_nothing_passes(attempt: Try, claim: str) -> None:
    """What the broken ones derive from holds, tried in the same way, each claim that they break."""
    attempt(claim, Engine(factory=MEMORY, processes=False))


@pytest.mark.parametrize("how, claim", [(how, claim) for how, claims in TROUBLE.items() for claim in claims.split()])
def test_trouble_that_is_dealt_with_wrongly_is_caught(attempt: Try, how: str, claim: str) -> None:
    """What leaks, waits, loses or gives up while a server is gone or an engine is full fails the claim."""
    with fails():
        attempt(claim, troubled(how))


@pytest.mark.parametrize("claim", sorted({claim for claims in TROUBLE.values() for claim in claims.split()}))
def test_trouble_that_is_dealt_with_rightly_passes(attempt: Try, claim: str) -> None:
    """A transport that says so, and goes on afterwards, holds the claims."""
    attempt(claim, troubled("as it should"))


@pytest.mark.parametrize("how", REFUSALS)
def test_a_refusal_that_is_told_wrongly_is_caught(attempt: Try, how: str) -> None:
    """Credentials in an error, in what it is chained to or in a log, foreign errors and long waits fail the claim."""
    with fails():
        attempt("a_refused_connection_is_unavailable", refused(how))


def test_a_refusal_that_is_told_rightly_passes(attempt: Try) -> None:
    """A transport that says what it cannot reach, without the credentials, holds the claim."""
    attempt("a_refused_connection_is_unavailable", refused("as it should"))


@pytest.mark.parametrize("claim", ["another_transport_gets_it", "confirmed_outlives_its_transport"])
def test_two_transports_that_share_an_engine_pass(attempt: Try, claim: str) -> None:
    """What one publishes the other gets."""
    attempt(claim, Engine(factory="broken_transports:shared", arguments={"name": claim}))


def test_two_transports_that_share_nothing_are_caught(attempt: Try) -> None:
    """Each has channels of its own."""
    with fails():
        attempt("another_transport_gets_it", Engine(factory=MEMORY))


def test_early_confirmation_is_caught(attempt: Try) -> None:
    """What was confirmed before the engine had it is lost with the transport."""
    with fails():
        engine = Engine(factory="broken_transports:ConfirmsEarly", arguments={"name": "early"})
        attempt("confirmed_outlives_its_transport", engine)


def test_what_the_dead_held_coming_too_late_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is new comes before it, as nobody takes over when the next process begins."""
    attempt = partial(attempt_as, Patient(), tmp_path)

    def engine(name: str) -> Engine:
        return Engine(
            factory="async_nexus.transports.sqlite:SqliteTransport", arguments={"path": str(tmp_path / f"{name}.db")}
        )

    def find_dead_late(connection: sqlite3.Connection, path: Path, own: int) -> list[int]:
        (taken,) = connection.execute("SELECT max(taken) FROM consumers").fetchone()
        return find_dead(connection, path, own) if taken == 3 else []

    attempt("order_outlives_a_killed_process", engine("as it is"))
    for module in ("transport", "subscription"):
        monkeypatch.setattr(f"async_nexus.transports.sqlite.{module}.take_over", lambda *_: None)
    # Else its upkeep, which looks five times a second, may come just in time.
    monkeypatch.setattr("async_nexus.transports.sqlite.upkeep.find_dead", find_dead_late)
    (tmp_path / "held").unlink()
    with fails():
        attempt("order_outlives_a_killed_process", engine("late"))


def test_every_claim_has_caught_one() -> None:
    """No claim is without the proof that it can fail; of what killed processes lose `test_ordeal` has it."""
    elsewhere = "another_transport_gets_it confirmed_outlives_its_transport a_refused_connection_is_unavailable"
    caught = f"{elsewhere} order_outlives_a_killed_process killed_processes_lose_nothing lacks".split()
    for claims in (*BROKEN.values(), *TROUBLE.values()):
        caught += claims.split()
    assert {name for name in dir(TransportConformance) if name.startswith("test_")} == {
        f"test_{name}" for name in caught
    }


def troubled(how: str) -> Engine:
    """An engine that can be killed and filled."""

    def start() -> AbstractContextManager[Trouble]:
        return nullcontext(in_trouble(how))

    return Engine(factory="broken_transports:Troubled", arguments={"name": how}, server=start, room=start)


def refused(how: str) -> Engine:
    """An engine that refuses connections."""
    return Engine(factory="broken_transports:Refused", refused={"how": how})
