"""Writes the picture of a nexus as Mermaid text, which code hosts and wikis draw."""

import re
from collections.abc import Iterator
from typing import Final

from .graph import Edge, Graph, Kind, Node

SHAPES: Final = {
    Kind.SOURCE: ("(", ")"),
    Kind.NEXUS: ("[[", "]]"),
    Kind.FILTER: ("{{", "}}"),
    Kind.EVENT: ("([", "])"),
    Kind.UNHANDLED: ("([", "])"),
    Kind.HANDLER: ("(", ")"),
    Kind.BOUNDARY: (">", "]"),
}
STYLES: Final = {
    Kind.SOURCE: "fill:#dcfce7,stroke:#16a34a,color:#14532d",
    Kind.NEXUS: "fill:#334155,stroke:#1e293b,color:#ffffff,font-weight:bold",
    Kind.FILTER: "fill:#fef3c7,stroke:#d97706,color:#78350f",
    Kind.EVENT: "fill:#ffffff,stroke:#94a3b8,color:#334155",
    Kind.UNHANDLED: "fill:#fee2e2,stroke:#dc2626,color:#991b1b,stroke-dasharray:4 3",
    Kind.HANDLER: "fill:#dbeafe,stroke:#2563eb,color:#1e3a8a",
    Kind.BOUNDARY: "fill:#ede9fe,stroke:#7c3aed,color:#4c1d95",
}
DOMAIN: Final = "fill:#f8fafc,stroke:#cbd5e1"
_PLAIN: Final = re.compile(r"[^\w .,:…-]")


def mermaid(graph: Graph) -> str:
    """Write a flow chart: sources on the left, handlers on the right, dashed arrows for secondary events."""
    return "\n".join(_lines(graph)) + "\n"


def _lines(graph: Graph) -> Iterator[str]:
    yield "flowchart LR"
    for number in range(len(graph.domains)):
        yield f'  subgraph domain{number + 1} [" "]'
        yield from (f"    {_node(node)}" for node in graph.nodes if node.domain == number)
        yield "  end"
    yield from (f"  {_node(node)}" for node in graph.nodes if node.domain is None)
    yield from (f"  {_edge(edge)}" for edge in graph.edges)
    for number in range(len(graph.domains)):
        yield f"  style domain{number + 1} {DOMAIN}"
    for kind, style in STYLES.items():
        if any(node.kind is kind for node in graph.nodes):
            yield f"  classDef {kind} {style}"


def _node(node: Node) -> str:
    before, after = SHAPES[node.kind]
    return f'{node.id}{before}"{_text(node.label)}"{after}:::{node.kind}'


def _edge(edge: Edge) -> str:
    arrow = "-.->" if edge.secondary else "-->"
    return f"{edge.tail} {arrow}" + (f'|"{_text(edge.label)}"| ' if edge.label else " ") + edge.head


def _text(text: str) -> str:
    """Escape by number all that Mermaid, or Markdown inside of it, could read as something else."""
    return _PLAIN.sub(lambda match: f"#{ord(match[0])};", text)
