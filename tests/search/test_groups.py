"""Layers in groups by what their compression costs, and where a search begins with them."""

import pytest

from kdcore.registry import Searched
from kdcore.search.groups import groups

RATIO = Searched("ratio", 0.1, 0.85, smallest=0.85)
BITS = Searched("bits", 2, 8, step=1, smallest=2)


def sensitivity(kind="filters", strengths=(0.25, 0.5, 0.75), weights=100, **losses):
    """A document of `measure`: each layer's loss at the strongest change, and less of it at milder ones."""
    rows = [
        {"layer": name, "weights": weights, "filters": 1, "strength": strength, "loss": loss * place / len(strengths)}
        for name, loss in losses.items() for place, strength in enumerate(strengths, 1)
    ]  # fmt: skip
    return {"kind": kind, "rows": rows, "baseline": {"loss": 0.0}}


def test_the_first_the_last_and_between_them_terciles():
    found = groups(sensitivity(stem=0, a=5, b=1, c=9, d=2, e=3, f=4, last=0))
    assert found.layers == {
        "stem": "first", "a": "sensitive", "b": "robust", "c": "sensitive", "d": "robust", "e": "middle",
        "f": "middle", "last": "last",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("losses", "names"),
    [
        ({"a": 1, "b": 2}, ["first", "last"]),
        ({"a": 1, "b": 2, "c": 0}, ["first", "middle", "last"]),
        ({"a": 1, "b": 2, "c": 3, "d": 0}, ["first", "robust", "sensitive", "last"]),
    ],
)
def test_of_few_layers_there_are_fewer_groups(losses, names):
    assert groups(sensitivity(**losses)).names == names
    assert groups(sensitivity(alone=1)) is None


def test_layers_of_a_deeper_network_go_with_the_one_before_them():
    found = groups(sensitivity(stem=0, block1=1, block2=3, head=0))
    assert found.among(["stem", "block1", "block1b", "block2.0", "block2.1", "head"]) == {
        "stem": "first", "block1": "robust", "block1b": "robust", "block2.0": "sensitive", "block2.1": "sensitive",
        "head": "last",
    }  # fmt: skip


def test_a_search_begins_where_robust_layers_lose_more():
    found = groups(sensitivity(stem=9, a=0.1, b=5, c=0.2, d=6, last=8))
    start = found.start(0.7, RATIO)
    assert start["robust"] > start["sensitive"]
    assert start["first"] == RATIO.low, "untouched, as near as the search goes"
    bits = groups(sensitivity("quantize", (8, 4, 3, 2), stem=9, a=0.1, b=5, last=8)).start(0.25, BITS)
    assert bits["robust"] < bits["sensitive"] == 8
    assert all(isinstance(value, int) for value in bits.values())
    assert set(found.start(0.1, RATIO).values()) == {0.75}, "no mix is so small: the strongest"
