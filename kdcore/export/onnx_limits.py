"""What an ONNX file of somebody else may ask for, counted before anything of it is converted, checked or run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx

from kdcore.export.external_onnx import ForeignModel

MOST_NODES = 20_000  # with its functions written out; the largest networks of torchvision have some thousands
MOST_NESTED = 2  # graphs within graphs, as in a Scan within an If
ENDLESS = ("Loop", "SequenceMap")  # how often they run is known only when they do


def check_limits(model: onnx.ModelProto) -> None:
    """Raises ForeignModel for a file that would take too long to check, or might run without end."""
    nodes = _written_out(model)
    if nodes > MOST_NODES:
        raise ForeignModel(f"it has more than {MOST_NODES:,} nodes with functions inlined: simplify it first")
    for graph in (model.graph.node, *(function.node for function in model.functions)):
        for node, depth in _nested(graph):
            if node.op_type in ENDLESS:
                raise ForeignModel(f"it has a loop ({node.op_type}), which may never end: export it without loops")
            if depth > MOST_NESTED:
                raise ForeignModel(f"it has graphs nested more than {MOST_NESTED} deep: export it without branches")


def _nested(nodes: Iterable[onnx.NodeProto]) -> Iterator[tuple[onnx.NodeProto, int]]:
    """All nodes, those of graphs within them too, with how deep in such graphs they are."""
    waiting = [(node, 0) for node in nodes]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        for attribute in node.attribute:
            inner = [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]
            waiting += [(one, depth + 1) for graph in inner for one in graph.node]


def _written_out(model: onnx.ModelProto) -> int:
    """How many nodes the model has when its functions are written out; it stops counting beyond MOST_NODES.

    Raises ForeignModel where functions call each other in a circle.
    """
    functions = {(one.domain, one.name): one for one in model.functions}
    sizes: dict[tuple[str, str], int] = {}
    open_: set[tuple[str, str]] = set()

    def size(nodes: Iterable[onnx.NodeProto]) -> int:
        count = 0
        for node, _ in _nested(nodes):
            called = (node.domain, node.op_type)
            count += of_function(called) if called in functions else 1
            if count > MOST_NODES:
                break
        return count

    def of_function(called: tuple[str, str]) -> int:
        if called in open_:
            raise ForeignModel(f"its function {called[1][:60]!r} calls itself: export it without functions")
        if called not in sizes:
            open_.add(called)
            sizes[called] = size(functions[called].node)
            open_.remove(called)
        return sizes[called]

    return size(model.graph.node)
