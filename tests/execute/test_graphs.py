"""A run that starts from an ONNX file alone: its steps change the graph, and its rows have what all rows have."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
import torch

from kdcore import models
from kdcore.data.dataset import load
from kdcore.data.normalisations import Normalisation
from kdcore.export import coded, runtime
from kdcore.export.graph import weighted
from kdcore.files import read_json
from kdcore.problems import RecipeError
from kdcore.registry import validate
from kdcore.report import comparison
from tests.owners import digits, export, trained

NONE = {"steps": 0}
PRUNED = {"step": "prune_unstructured", "ratio": 0.6, "finetune": NONE}
SHARED = {"step": "share", "bits": 4, "finetune": NONE}


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """A network of somebody else, of which there is only this file."""
    dataset = digits()
    torch.manual_seed(0)
    network = models.create(validate("architecture", {"architecture": "cnn", "width": 16}), 10, (1, 8, 8), [0.3], [0.4])
    owner = trained(network, dataset, dataset.train_labels, Normalisation((0.0,), (1.0,)))
    return export(owner, tmp_path_factory.mktemp("theirs") / "theirs.onnx", (1, 8, 8))


def from_file(path, *steps):
    source = {"teacher": "onnx_file", "path": str(path), "anyway": True}
    return "start=model", f"teacher.source={json.dumps(source)}", f"compress={json.dumps(list(steps))}"


def made(laboratory, path, *steps):
    run_id = laboratory.run(*from_file(path, *steps))
    return run_id, {row["variant"]: row for row in comparison.rows(laboratory.workspace, [run_id])}


def weights(path):
    return {layer.name: layer.weight for layer in weighted(onnx.load(path))}


def answers(laboratory, run_id, variant):
    return np.load(laboratory.model(run_id, variant) / "logits.npz")["test"]


@pytest.fixture(scope="module")
def chain(laboratory, theirs):
    """Pruned, shared and coded."""
    return made(laboratory, theirs, PRUNED, SHARED, {"step": "code"})


def test_pruned_shared_and_coded_as_a_network_would_be(laboratory, chain):
    run_id, rows = chain
    names = ["original model", "60 % zeros", "shared 4 bits", "coded"]
    assert list(rows) == names
    original, pruned, _, coded_row = (rows[name] for name in names)
    assert pruned["sparsity"] == pytest.approx(0.6, abs=0.01)
    assert pruned["nonzero_params"] < 0.5 * original["nonzero_params"]
    assert coded_row["coded_bytes"] < 0.2 * original["size_bytes"]
    assert original["accuracy"] > 0.95
    assert all(rows[name]["accuracy"] > 0.8 for name in names)
    distinct = {
        len(np.unique(one)) for one in weights(laboratory.model(run_id, "shared 4 bits") / "model.onnx").values()
    }
    assert max(distinct) <= 17
    report = read_json(laboratory.model(run_id, "60 % zeros") / "report.json")
    assert [layer["name"] for layer in report["step"]] == [layer["name"] for layer in report["layers"]]
    assert any(layer["sqnr_db"] for layer in report["layers"])


def test_the_coded_file_gives_the_graph_back(laboratory, chain):
    run_id, _ = chain
    folder = laboratory.model(run_id, "coded")
    images = runtime.pixels(load(validate("dataset", "digits")).test_images[:8])
    network = coded.load(folder / coded.NAME)
    assert np.array_equal(network(torch.from_numpy(images)).numpy(), runtime.logits(folder / "model.onnx", images))


def test_weights_below_the_threshold_are_zero_and_the_others_as_they_were(laboratory, chain):
    run_id, _ = chain
    before = weights(laboratory.model(run_id, "original model") / "model.onnx")
    after = weights(laboratory.model(run_id, "60 % zeros") / "model.onnx")
    assert before.keys() == after.keys()
    kept = {name: after[name] != 0 for name in after}
    for name in after:  # filters were scaled to what their outputs were before
        scale = np.divide(after[name], before[name]).reshape(len(before[name]), -1)
        scale[~kept[name].reshape(scale.shape)] = np.nan
        assert (np.nanmax(scale, 1) - np.nanmin(scale, 1)).max() < 1e-4 * np.nanmax(np.abs(scale))
    removed = max(np.abs(before[name][~kept[name]]).max(initial=0) for name in after)
    assert removed <= min(np.abs(before[name][kept[name]]).min() for name in after)


@pytest.mark.parametrize(
    ("step", "name", "share"),
    [
        ({"step": "int8"}, "int8", 0.6),
        ({"step": "int8_dynamic", "layers": "linear"}, "int8 dynamic, linear layers", 1.0),
        ({"step": "half"}, "fp16", 0.7),
        ({"step": "weight_quant", "bits": 4}, "weights 4 bits", 0.6),
        ({"step": "weight_quant", "bits": 8, "activations": "int8"}, "weights 8 bits, int8", 0.6),
        ({**PRUNED, "ratio": 0.4, "importance": "wanda", "scope": "layer"}, "40 % zeros", 1.01),
    ],
)
def test_a_step_on_the_graph_makes_a_file_that_answers_as_its_parent(laboratory, theirs, step, name, share):
    run_id, rows = made(laboratory, theirs, step)
    assert rows[name]["size_bytes"] < share * rows["original model"]["size_bytes"]
    assert rows[name]["accuracy"] > rows["original model"]["accuracy"] - 0.1
    assert rows[name]["macs"] == rows["original model"]["macs"]
    assert not (laboratory.model(run_id, name) / "model.safetensors").exists()


def test_means_of_outputs_stay_where_bits_are_few(laboratory, theirs):
    """Bias correction listens to the graph's layers."""
    few = {"step": "weight_quant", "bits": 2, "first_and_last": 2, "recalibrate": False}
    ways = [few | {"bias_correction": on} for on in (True, False)]
    found = []
    for way in ways:
        run_id, _ = made(laboratory, theirs, way)
        pairs = (answers(laboratory, run_id, name).mean(0) for name in ("original model", "weights ternary"))
        found.append(np.abs(np.subtract(*pairs)).mean())
    assert found[0] < 0.6 * found[1]


def refused(laboratory, path, *steps):
    with pytest.raises(RecipeError) as caught:
        laboratory.submit(*from_file(path, *steps))
    return {problem.field: problem for problem in caught.value.problems}


@pytest.mark.parametrize("step", ["prune_structured", "low_rank", "tie", "adaround", "qat", "joint"])
def test_other_steps_are_refused_at_their_field(laboratory, theirs, step):
    (problem,) = refused(laboratory, theirs, {"step": step}).values()
    assert problem.field == "compress.0.step"
    assert "needs the network itself; an ONNX file has only its graph" in problem.message


def test_what_needs_training_or_gradients_is_refused_at_its_option(laboratory, theirs):
    found = refused(laboratory, theirs, {"step": "prune_unstructured"}, {"step": "share"})
    assert [problem.changes for problem in found.values()] == [((f"compress.{at}.finetune.steps", 0),) for at in (0, 1)]
    for option in ({"importance": "taylor"}, {"schedule": "gradual", "finetune": {"steps": 5}}):
        (name,) = option.keys() - {"finetune"}
        assert f"compress.0.{name}" in refused(laboratory, theirs, {**PRUNED, **option})


def test_a_file_whose_weights_no_step_can_change_is_refused_with_the_remedy(laboratory, theirs):
    int8 = laboratory.run(*from_file(theirs, {"step": "int8"}))
    kept = laboratory.model(int8, "int8") / "model.onnx"
    message = refused(laboratory, kept, {"step": "half"})["teacher.source"].message
    assert "as it was before quantization" in message


def test_an_earlier_runs_pruned_file_is_a_start_and_its_int8_file_is_not(laboratory, chain, theirs):
    run_id, _ = chain

    def earlier(variant):
        return "start=model", "teacher.source=" + json.dumps(
            {"teacher": "earlier", "model": run_id, "variant": variant}
        )

    again = laboratory.run(*earlier("60 % zeros"), 'compress=[{"step": "half"}]')
    rows = {row["variant"]: row for row in comparison.rows(laboratory.workspace, [again])}
    assert rows["fp16"]["sparsity"] == pytest.approx(0.6, abs=0.01)
    with pytest.raises(RecipeError, match="made to be kept"):
        laboratory.submit(*earlier("coded"), 'compress=[{"step": "half"}]')
