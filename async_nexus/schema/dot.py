"""Writes the picture of a nexus as DOT, the language of Graphviz, and lets Graphviz draw it."""

from collections.abc import Iterator
from typing import Final, cast

from .graph import Edge, Graph, Kind, Node

FONT: Final = "Helvetica"
SHAPES: Final = {
    Kind.SOURCE: 'shape=box style="filled,rounded" fillcolor="#dcfce7" color="#16a34a" fontcolor="#14532d"',
    Kind.NEXUS: (
        'shape=box style="filled,rounded" fillcolor="#334155" color="#1e293b" fontcolor="#ffffff" '
        f'fontname="{FONT}-Bold" fontsize=14 margin="0.28,0.2"'
    ),
    Kind.FILTER: 'shape=box style="filled" fillcolor="#fef3c7" color="#d97706" fontcolor="#78350f"',
    Kind.EVENT: 'shape=box style="filled,rounded" fillcolor="#ffffff" color="#94a3b8" fontcolor="#334155" fontsize=11',
    Kind.UNHANDLED: (
        'shape=box style="filled,rounded,dashed" fillcolor="#fee2e2" color="#dc2626" fontcolor="#991b1b" fontsize=11'
    ),
    Kind.HANDLER: 'shape=box style="filled,rounded" fillcolor="#dbeafe" color="#2563eb" fontcolor="#1e3a8a"',
    Kind.BOUNDARY: 'shape=box style="filled" peripheries=2 fillcolor="#ede9fe" color="#7c3aed" fontcolor="#4c1d95"',
}
SECONDARY: Final = 'style=dashed color="#2563eb" fontcolor="#1e40af"'


def dot(graph: Graph) -> str:
    """Write DOT: sources on the left, handlers on the right, dashed arrows for secondary events."""
    return "\n".join(_lines(graph)) + "\n"


def svg(graph: Graph) -> str:
    """Draw the picture as SVG, offline. Raises `ModuleNotFoundError` where pygraphviz is not installed."""
    import pygraphviz

    with pygraphviz.AGraph(string=dot(graph)) as drawing:
        return cast("bytes", drawing.draw(format="svg", prog="dot")).decode()


def _lines(graph: Graph) -> Iterator[str]:
    yield f"digraph {_quote(graph.domains[0])} {{"
    yield '  graph [rankdir=LR bgcolor="#ffffff" pad=0.3 nodesep=0.28 ranksep=0.55]'
    yield f'  node [fontname="{FONT}" fontsize=12 penwidth=1.2 height=0.36 margin="0.16,0.08"]'
    yield f'  edge [fontname="{FONT}" fontsize=10 color="#64748b" fontcolor="#475569" penwidth=1.1 arrowsize=0.7]'
    for number in range(len(graph.domains)):
        yield f"  subgraph cluster_{number + 1} {{"
        # Without a label: the nexus in it has the name.
        yield '    label="" style="filled,rounded" fillcolor="#f8fafc" color="#cbd5e1" margin=18'
        yield from (f"    {_node(node)}" for node in graph.nodes if node.domain == number)
        yield "  }"
    yield from (f"  {_node(node)}" for node in graph.nodes if node.domain is None)
    yield from (f"  {_edge(edge)}" for edge in graph.edges)
    yield "}"


def _node(node: Node) -> str:
    return f"{node.id} [label={_quote(node.label)} {SHAPES[node.kind]}]"


def _edge(edge: Edge) -> str:
    label = f"label={_quote(edge.label)}" if edge.label else ""
    attributes = " ".join(filter(None, (label, SECONDARY if edge.secondary else "")))
    return f"{edge.tail} -> {edge.head}" + (f" [{attributes}]" if attributes else "")


def _quote(text: str) -> str:
    """Quote a text: Graphviz reads backslashes and the names of characters even inside quotes."""
    escaped = text.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
