"""What events are told apart by: no two have both source and id in common."""

import gc
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_nexus import Event
from async_nexus.transports.identity import Identity


def event(id: int) -> Event[None]:
    """Make an event."""
    return Event(id, 99, 0, None)


def test_a_source_is_a_urn_of_domain_and_instance() -> None:
    """The same for all events, as long as no id comes again."""
    identity = Identity("kitchen", 10)
    sources = {identity.source_of(event(id)) for id in (1, 2, 3, 2**63, -5)}  # noqa: A001 # the field's name
    assert len(sources) == 1
    assert re.fullmatch(r"urn:async-nexus:kitchen:[0-9a-f]{16}", sources.pop())


def test_each_run_is_an_instance_of_its_own() -> None:
    """Ids count from 1 in each."""
    assert Identity("kitchen", 10).source_of(event(1)) != Identity("kitchen", 10).source_of(event(1))


def test_a_domain_is_escaped() -> None:
    """A URN has neither spaces nor colons to spare."""
    source = Identity("my kitchen:é", 10).source_of(event(1))
    assert source.rpartition(":")[0] == "urn:async-nexus:my%20kitchen%3A%C3%A9"


def test_a_domain_has_a_name() -> None:
    """`ValueError` for an empty one."""
    with pytest.raises(ValueError, match="a domain has a name"):
        Identity("", 10)


def test_an_event_that_is_sent_again_keeps_its_source() -> None:
    """So that receivers know it; also if another event of the same id came between."""
    identity, one, other = Identity("kitchen", 10), event(1), event(1)
    first = identity.source_of(one)
    assert identity.source_of(one) == first
    second = identity.source_of(other)
    assert second == f"{first}-1"
    assert identity.source_of(other) == second
    assert identity.source_of(event(2)) == first


def test_an_event_that_is_gone_is_not_taken_for_another() -> None:
    """One that is made later is another, wherever it lies in memory."""
    identity = Identity("kitchen", 10)
    sources = []
    for _ in range(5):
        sources.append(identity.source_of(event(1)))
        gc.collect()
    assert len(set(sources)) == 5


def test_ids_that_were_forgotten_make_a_new_instance() -> None:
    """What cannot be told any more is not guessed; ids that grow stay with their instance for ever."""
    identity = Identity("kitchen", 3)
    source = identity.source_of(event(1))
    assert {identity.source_of(event(id)) for id in range(2, 100)} == {source}  # noqa: A001 # the field's name
    again = identity.source_of(event(50))
    assert again.rpartition(":")[0] == source.rpartition(":")[0]
    assert again != source
    assert identity.source_of(event(51)) == again
    assert identity.source_of(event(2)) == again


@given(st.lists(st.integers(0, 12)), st.integers(1, 4))
def test_no_two_events_have_source_and_id_in_common(ids: list[int], window: int) -> None:
    """However often ids come again, and however few are remembered."""
    identity = Identity("kitchen", window)
    events = list(map(event, ids))
    named = [(identity.source_of(each), each.id) for each in events]
    assert len(set(named)) == len(named)
