"""The network as a graph."""

from kdcore.export.network import Node
from kdcore.figures.graph import MOST, Network, graph, graph_view

NODES = [
    Node("input", None, (), (1, 8, 8), ()),
    Node("Conv", "stem", ("Relu",), (4, 8, 8), (0,)),
    Node("Conv", "block.conv", (), (4, 8, 8), (1,)),
    Node("Add", None, ("Relu",), (4, 8, 8), (2, 1)),
    Node("Gemm", "head", (), (10,), (3,)),
]


def layer(name, **more):
    return {"name": name, "type": "Conv", "shape": [4, 4, 3, 3], "bits": 32, "zeros": 0, "rank": 4, "params": 148,
            "macs": 9216, "sparsity": 0.0} | more  # fmt: skip


BEFORE = Network("student", "distilled", NODES, [layer("stem"), layer("block.conv"), layer("head")])
AFTER = BEFORE._replace(
    name="int8", role="quantized", layers=[layer("stem"), layer("block.conv", bits=8, sqnr_db=20.0), layer("head")]
)


def test_layers_that_differ_are_marked_with_what_differs():
    view = graph_view(AFTER, BEFORE)
    assert view.title == "Int8: 1 of 3 layers differ from student"
    assert [row.changed for row in view.rows] == ["", "", "bits 32 to 8", "", ""]
    assert "Changed: bits 32 to 8" in view.rows[2].hover
    assert "Output SQNR 20.0 dB" in view.rows[2].hover
    sizes = graph(AFTER, BEFORE).data[1].marker.size
    assert sizes[2] > sizes[1]
    assert graph_view(BEFORE, BEFORE).title == ("Student: 3 layers with the shapes, bits, zeros and ranks of student")


def test_what_skips_layers_is_drawn_beside_them():
    view = graph_view(BEFORE)
    assert [row.inputs for row in view.rows] == [(), (0,), (1,), (1, 2), (3,)]
    ways = graph(BEFORE).data[0]
    assert min(x for x in ways.x if x is not None) < 0
    assert view.rows[1].text == "stem · 4×8×8"
    assert view.rows[3].text == "Add 4×8×8"


def test_layers_of_a_long_network_are_folded_into_blocks():
    names = [f"stage{stage}.{block}.conv{at}" for stage in range(3) for block in range(4) for at in range(5)]
    nodes = [NODES[0], *(Node("Conv", name, (), (4, 8, 8), (at,)) for at, name in enumerate(names))]
    view = graph_view(Network("large", "teacher", nodes, [layer(name) for name in names]))
    assert len(view.rows) == 13 <= MOST
    assert view.rows[1].text == "stage0.0 · 4×8×8"
    assert "5 layers" in view.rows[1].hover
    assert "740 parameters" in view.rows[1].hover
