"""The picture of a nexus: which nodes and arrows it has, and how they are written."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from typing import Any

import pygraphviz
import pytest

from async_nexus import (
    AsyncEventBoundary,
    AsyncEventNexus,
    Event,
    EventConsumer,
    EventFanout,
    EventQueue,
    FailedEvent,
    NamedEvent,
    SimpleEventConverter,
    Timer,
    TransportBoundary,
)
from async_nexus.schema.dot import dot, svg
from async_nexus.schema.graph import Graph, Kind, graph
from async_nexus.schema.mermaid import mermaid
from async_nexus.transports.memory import MemoryTransport


class Brew(NamedEvent[int], type=99): ...


class Pour(NamedEvent[str]): ...


class Brews(SimpleEventConverter[Brew]):
    async def obtain_event(self) -> Brew:
        raise NotImplementedError


class Cup(EventConsumer):
    async def handle(self, event: Event[Any], queue: EventQueue[Any], /) -> None: ...


def take(event: Event) -> None:
    """Take any event."""


def brew(event: Brew, queue: EventQueue[Pour]) -> None:
    """Lead from one event to another."""


def arrows(picture: Graph) -> set[str]:
    """Each arrow as `source:Brews -Brew> nexus:nexus`; those of secondary events with `~`."""
    names = {node.id: f"{node.kind}:{node.label}" for node in picture.nodes}
    return {
        f"{names[edge.tail]} {'~' if edge.secondary else '-'}{edge.label}> {names[edge.head]}" for edge in picture.edges
    }


def labels(picture: Graph, kind: Kind) -> list[str]:
    """What the nodes of one kind are called."""
    return [node.label for node in picture.nodes if node.kind is kind]


def test_errors_go_to_error_handlers_and_what_these_put_further() -> None:
    """The classes of exceptions are on the arrow from the nexus."""

    def mend(failed: FailedEvent, queue: EventQueue[Pour]) -> None: ...

    nexus = AsyncEventNexus()
    nexus.on(Pour)(take)
    nexus.on_error(ValueError, OSError)(mend)
    name = mend.__qualname__
    assert arrows(graph(nexus)) == {
        f"nexus:nexus -ValueError, OSError> handler:{name}",
        f"handler:{name} ~> event:Pour",
        "event:Pour -> handler:take",
    }


def test_events_go_from_sources_through_filters_to_handlers_and_further() -> None:
    """The whole flow of one domain is in the picture, secondary events apart."""
    nexus = AsyncEventNexus()
    nexus.register(Brews())
    nexus.add_filter(lambda e: False)
    nexus.filter(first := lambda e: False)
    nexus.on(Brew)(brew)
    nexus.add_handler(Pour, Cup())
    where = first.__qualname__
    assert arrows(graph(nexus)) == {
        "source:Brews -Brew> nexus:nexus",
        f"nexus:nexus -> filter:{where}",
        f"filter:{where} -> filter:{where}",
        f"filter:{where} -> event:Brew",
        "event:Brew -> handler:brew",
        "handler:brew ~> event:Pour",
        "event:Pour -> handler:Cup",
    }


def test_an_event_that_nobody_handles_stands_out() -> None:
    """An unhandled event is a node of its own kind, without a way on."""
    nexus = AsyncEventNexus()
    nexus.register(Timer(1, event_type="98", event_factory=nexus))
    nexus.on(Brew)(brew)
    picture = graph(nexus)
    assert labels(picture, Kind.UNHANDLED) == ['"98"', "Pour"]
    assert "nexus:nexus -> event:Brew" not in arrows(picture)


def test_ranges_are_named_by_both_ends() -> None:
    """A range's events arrive at the range, under their own names."""
    nexus = AsyncEventNexus()
    nexus.register(Brews())
    nexus.on((90, 99))(take)
    nexus.on(range(100, 120, 10))(take)
    picture = graph(nexus)
    assert labels(picture, Kind.EVENT) == ["90 … 99", "100 … 110 by 10"]
    assert "event:90 … 99 -> handler:take" in arrows(picture)


def test_the_default_handler_gets_what_is_left() -> None:
    """What only the default handler takes keeps its name; whatever else may come is any other."""
    nexus = AsyncEventNexus()
    nexus.default(take)
    nexus.on(Brew)(brew)
    assert arrows(graph(nexus)) == {
        "nexus:nexus -> event:Brew",
        "event:Brew -> handler:brew",
        "handler:brew ~> event:Pour",
        "event:Pour -> handler:take",
        "nexus:nexus -> event:any other",
        "event:any other -> handler:take",
    }


def test_what_handlers_put_is_not_drawn_from_outside_too() -> None:
    """Where any event may come, those that handlers are known to put are drawn from them alone."""
    nexus = AsyncEventNexus()
    nexus.on(Brew)(brew)
    nexus.on(Pour)(take)
    assert arrows(graph(nexus)) == {
        "nexus:nexus -> event:Brew",
        "event:Brew -> handler:brew",
        "handler:brew ~> event:Pour",
        "event:Pour -> handler:take",
    }


def test_boundaries_lead_into_the_receiving_nexus_and_back() -> None:
    """S4: the domains beyond boundaries are drawn too, each once, under their names."""
    here, there = AsyncEventNexus(), AsyncEventNexus()
    out, back = AsyncEventBoundary(), AsyncEventBoundary()
    here.add_handler(Brew, out)
    there.add_producer(out)
    there.add_handler(Brew, back)
    here.add_producer(back)
    picture = graph(here, names={id(here): "here", id(there): "there"})
    assert picture.domains == ("here", "there")
    assert arrows(picture) == {
        "nexus:here -> event:Brew",
        "event:Brew -> boundary:AsyncEventBoundary",
        "boundary:AsyncEventBoundary -> nexus:there",
        "nexus:there -> event:Brew",
        "boundary:AsyncEventBoundary -> nexus:here",
    }
    assert len(labels(picture, Kind.BOUNDARY)) == 2


def test_boundaries_over_a_transport_are_drawn() -> None:
    """Where they lead out of the process the picture ends; one that leads back into it is followed."""
    here, there = AsyncEventNexus(), AsyncEventNexus()
    out: TransportBoundary = TransportBoundary(MemoryTransport(), "out")
    back: TransportBoundary = TransportBoundary(MemoryTransport(), "back")
    here.add_handler(Brew, out)
    here.add_handler(Pour, back)
    there.add_producer(back)
    picture = graph(here, names={id(here): "here", id(there): "there"})
    assert picture.domains == ("here", "there")
    assert arrows(picture) == {
        "nexus:here -> event:Brew",
        "event:Brew -> boundary:TransportBoundary",
        "nexus:here -> event:Pour",
        "event:Pour -> boundary:TransportBoundary",
        "boundary:TransportBoundary -> nexus:there",
    }


def test_a_fan_out_leads_to_all_that_it_hands_events_to() -> None:
    """S3: the handlers of a fan-out put secondary events themselves; a boundary among them is followed."""
    nexus, there = AsyncEventNexus(), AsyncEventNexus()
    fan_out, boundary = EventFanout[Brew](), AsyncEventBoundary()
    fan_out.register(brew)
    fan_out.register(boundary)
    nexus.add_handler(Brew, fan_out)
    there.add_producer(boundary)
    picture = graph(nexus)
    assert picture.domains == ("nexus", "nexus 2")
    assert arrows(picture) >= {
        "handler:EventFanout -> handler:brew",
        "handler:EventFanout -> boundary:AsyncEventBoundary",
        "handler:brew ~> unhandled:Pour",
        "boundary:AsyncEventBoundary -> nexus:nexus 2",
    }


def test_a_handler_of_several_keys_is_drawn_once() -> None:
    """One function is one node, methods too."""
    cup = Cup()
    nexus = AsyncEventNexus()
    nexus.on(1, 2)(take)
    nexus.on(3)(take)
    nexus.add_handler(4, cup.handle)
    nexus.add_handler(5, cup.handle)
    assert labels(graph(nexus), Kind.HANDLER) == ["take", "Cup.handle"]


def awkward() -> AsyncEventNexus[Any]:
    """A nexus with a key that means something in every language of graphs."""
    nexus = AsyncEventNexus()
    nexus.on(AWKWARD)(take)
    return nexus


AWKWARD = 'a "b" \\n </g> &amp; [c] {d} | #35; <b>'


def test_names_are_escaped_in_dot_and_svg() -> None:
    """Graphviz shows a name as it is, whatever is in it."""
    text = ET.fromstring(svg(graph(awkward()))).itertext()
    assert AWKWARD in list(text)


def test_names_are_escaped_in_mermaid() -> None:
    """All but letters, digits and a few marks is written by number."""
    written = mermaid(graph(awkward()))
    (line,) = [line for line in written.splitlines() if line.strip().startswith("event1([")]
    inside = line.partition('(["')[2].rpartition('"])')[0]
    assert not set(inside) & set('"\\<>&[]{}|')
    assert inside.startswith("a #34;b#34; #92;n")


def test_both_languages_say_the_same() -> None:
    """DOT and Mermaid have the picture's nodes and arrows, no more and no fewer."""
    nexus = AsyncEventNexus()
    nexus.register(Brews())
    nexus.on(Brew)(brew)
    picture = graph(nexus)
    read = pygraphviz.AGraph(string=dot(picture))
    assert set(read.nodes()) == {node.id for node in picture.nodes}
    assert set(read.edges()) == {(edge.tail, edge.head) for edge in picture.edges}
    written = mermaid(picture)
    assert written.startswith("flowchart LR\n")
    assert all(f"  {node.id}" in written for node in picture.nodes)
    assert written.count("-->") + written.count("-.->") == len(picture.edges)


@pytest.mark.parametrize("write", [mermaid, dot])
def test_the_same_nexus_gives_the_same_text(write: Any) -> None:
    """A picture can be kept under version control."""
    assert write(graph(awkward())) == write(graph(awkward()))


def test_pygraphviz_is_imported_only_to_draw() -> None:
    """The writers of text need no package of the extra."""
    program = "import async_nexus.schema.dot, sys; sys.exit('pygraphviz' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
