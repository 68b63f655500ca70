"""An ONNX text classifier of somebody else through the engine: it teaches, and its graph is compressed."""

from __future__ import annotations

import numpy as np
import pytest

from kdcore.data.dataset import load
from kdcore.data.fetch import fetch
from kdcore.export import runtime
from kdcore.jobs import api
from kdcore.recipe import parse
from kdcore.registry import validate
from kdcore.report import comparison
from tests import films, folders
from tests.texts import recipe

pytest.importorskip("tokenizers", reason="splits texts with tokenizers: pip install 'kdcore[text]'")
UNTRAINED = {"finetune": {"steps": 0}}
STEPS = [
    {"step": "int8_dynamic", "layers": "linear"},
    {"step": "prune_unstructured", **UNTRAINED},
    {"step": "half"},
    {"step": "int8"},
    {"step": "share", **UNTRAINED},
    {"step": "weight_quant"},
]


@pytest.fixture
def carried_out(laboratory, tmp_path):
    """A run of one seed with this classifier as its teacher: the run's plan, its rows and the data set."""
    owner = folders.folder(tmp_path / "owner")
    source = films.source(tmp_path, owner)
    fetch(validate("dataset", source))
    teacher = {"source": {"teacher": "onnx_text", "path": str(films.layered(owner / "model.onnx"))}}

    def run(**more):
        usual = {"data": {"source": source}, "teacher": teacher, "controls": [], "compress": [], "seeds": [0]}
        document = recipe(source, **usual | {"measure": {"timing_seconds": 0}} | more)
        run_id = api.submit(laboratory.workspace, parse(document))
        laboratory.carry_out(run_id)
        rows = comparison.rows(laboratory.workspace, [run_id])
        return laboratory.plan(run_id), rows, load(validate("dataset", source))

    return run


def test_it_teaches_and_stands_in_the_table(laboratory, carried_out):
    plan, rows, dataset = carried_out(measure={"timing_seconds": 0.1})
    assert [row["role"] for row in rows] == ["teacher", "alone", "distilled"]
    teacher = rows[0]
    assert teacher["accuracy"] == 1.0
    assert teacher["latency_ms"] > 0
    assert teacher["params"] == len(films.WORDS) * 4 + 4 * 64 + 64 * 2
    folder = laboratory.workspace.model(plan.variants[0].keys[0])
    ids = dataset.kind.feed(dataset.test_images)
    says = films.WEIGHTS[ids].sum(axis=1)
    np.testing.assert_allclose(np.load(folder / "logits.npz")["test"], says, atol=1e-5)


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_its_graph_is_compressed(laboratory, carried_out, step):
    plan, rows, dataset = carried_out(start="model", compress=[step])
    assert rows[-1]["accuracy"] == 1.0
    folder = laboratory.workspace.model(plan.variants[-1].keys[0])
    for ids in dataset.kind.samples(dataset.test_images):
        assert runtime.logits(folder / "model.onnx", ids).shape == (len(ids), 2)
