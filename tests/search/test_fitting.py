"""What shows of a candidate before it is trained: whether it keeps to the limits."""

import pytest

from kdcore.search.fitting import Fitting
from kdcore.search.request import parse
from kdcore.search.sketch import Sketches
from kdcore.search.space import Space
from kdcore.search.uniform import chains
from tests.search.conftest import document

PACE = 1e-3  # ms a byte, in place of a stopwatch


@pytest.fixture(scope="module")
def timed():
    """The bytes of the files that were timed."""
    return []


@pytest.fixture(scope="module")
def fitting(tmp_path_factory, timed):
    def stopwatch(path):
        timed.append(path.stat().st_size)
        return {"latency_ms": PACE * timed[-1]}

    search = parse(document(at_most={"size_bytes": 20_000}))
    sketches = Sketches(search.recipe, tmp_path_factory.mktemp("onnx"))
    return Fitting(Space(search, 10, sketches.layers), sketches, stopwatch)


def sizes(fitting, limits):
    """The bytes of the uniform chains within these limits, by the chain's steps."""
    found = chains(fitting.space, fitting.within(limits), lambda: None)
    return {
        tuple(fitting.space.chain(one)): fitting.sketches.weight(fitting.space.recipe(one)).size_bytes for one in found
    }


def test_a_uniform_chain_is_as_large_as_the_tighter_of_size_and_latency_allows(fitting, timed):
    by_size = sizes(fitting, {"size_bytes": 6000})
    assert not timed, "without a limit on time nothing is timed"
    assert () in by_size
    assert by_size == sizes(fitting, {"size_bytes": 6000, "latency_ms": 1000 * PACE * 6000})
    limits = {"size_bytes": 6000, "latency_ms": PACE * 3000}
    faster = sizes(fitting, limits)
    assert all(size <= 3000 for size in faster.values())
    assert faster[()] > 1500, "the largest width, not a smallest network"
    often = len(timed)
    assert sizes(fitting, limits) == faster
    assert len(timed) == often, "a file is timed once"


def test_a_limit_that_shows_only_after_training_does_not_count(fitting):
    settings = chains(fitting.space, fitting.within({"size_bytes": 6000}), lambda: None)[0]
    assert fitting.within({"memory_mb": 1e-9, "lost": 0})(settings)


def test_a_chain_that_does_not_work_on_the_network_does_not_fit(fitting):
    narrowest = fitting.space.settings(lambda name, searched: searched.choices[0] if searched.choices else searched.low)
    low_rank = narrowest | {"student.width": 2, "with.low_rank": True, "low_rank.share": 0.9, "last": "nothing"}
    assert not fitting.within({"size_bytes": 10**9})(low_rank)
