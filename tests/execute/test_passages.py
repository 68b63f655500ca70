"""Language models through the engine: methods, compression, and what a stage leaves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kdcore import registry
from kdcore.data.dataset import load
from kdcore.execute.sensitivity import sensitivity
from kdcore.export import runtime, weights
from kdcore.files import read_json
from kdcore.jobs import api
from kdcore.recipe import parse
from kdcore.registry import validate
from kdcore.report import comparison
from tests.passages import SOURCE, recipe

pytestmark = pytest.mark.slow
METHODS = [
    entry.name
    for entry in registry.offered("method")
    if "passages" in entry.traits.reads and entry.traits.family != "combinations" and entry.traits.labels != "many"
]
STEPS = [entry.name for entry in registry.entries("step") if "passages" in entry.traits.reads]


def short(name):
    known = registry.entry("step", name).options.model_fields
    quick = {"finetune": {"steps": 5, "learning_rate": 0.001}, "iterations": 5}
    return {"step": name} | {option: value for option, value in quick.items() if option in known}


@pytest.fixture(scope="module")
def carried_out(laboratory):
    """A run of one seed with these changes; teacher and student alone are trained once for all."""

    def run(**more):
        usual = {"seeds": [0], "controls": [], "compress": [], "measure": {"timing_seconds": 0}}
        run_id = api.submit(laboratory.workspace, parse(recipe(**usual | more)))
        laboratory.carry_out(run_id)
        return laboratory.plan(run_id), run_id

    return run


@pytest.mark.parametrize("method", METHODS)
def test_every_method_that_matches_responses_works_on_next_characters(laboratory, carried_out, method):
    plan, _ = carried_out(distill={"method": method})
    report = read_json(laboratory.workspace.model(plan.variants[-1].keys[0]) / "report.json")
    quality = report["quality"]
    assert quality["bits"] == pytest.approx(quality["nll"] / np.log(2), rel=1e-4)
    assert quality["bits_interval"][0] < quality["bits"] < quality["bits_interval"][1]
    assert quality["accuracy"] > 0.1
    assert report["export"]["max_abs_difference"] < 1e-4


@pytest.mark.parametrize("step", [*map(short, STEPS), short("prune_unstructured") | {"importance": "taylor"}])
def test_a_compressed_file_takes_any_length_and_its_network_comes_back(laboratory, carried_out, step):
    plan, run_id = carried_out(compress=[step])
    folder = laboratory.workspace.model(plan.variants[-1].keys[0])
    dataset = load(validate("dataset", SOURCE))
    for ids in dataset.kind.samples(dataset.test_images[:64]):
        logits = runtime.logits(folder / "model.onnx", ids)
        assert logits.shape == (ids.size, len(dataset.classes))
        with torch.no_grad():
            assert weights.load(folder)(torch.from_numpy(ids)).shape == logits.shape
    last = comparison.verdicts(laboratory.workspace, run_id)[-1]
    assert (last.measure, last.basis) == ("bits", "test documents")
    assert read_json(folder / "report.json")["sqnr"] is not None


def test_the_logits_that_are_kept_are_those_of_the_places(laboratory, carried_out):
    plan, _ = carried_out()
    dataset = load(validate("dataset", SOURCE))
    folder = laboratory.workspace.model(plan.variants[-1].keys[0])
    logits, some = np.load(folder / "logits.npz")["test"], dataset.test_images[[5, 700]]
    said = dataset.kind.answers(runtime.logits(folder / "model.onnx", dataset.kind.feed(some)), some)
    np.testing.assert_allclose(logits[[5, 700]], said, atol=1e-4)


@pytest.mark.parametrize("step", ["prune", "quantize"])
def test_layer_sensitivity_judges_whole_windows(laboratory, carried_out, step):
    _, run_id = carried_out()
    found = sensitivity(laboratory.workspace, run_id, "student distilled", step, [0.5 if step == "prune" else 4])
    assert found["baseline"]["accuracy"] > 0.1
    assert all(row["accuracy"] <= 1 for row in found["rows"])
