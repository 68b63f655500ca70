from __future__ import annotations

import copy
import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.nn import functional

from kdcore.export import onnx_file, runtime, template, weights
from kdcore.export.graph import weighted
from kdcore.export.onnx_file import ExportError, export
from kdcore.models.fold import folded
from tests import patience

DIGIT = (1, 8, 8)


def expected(network: nn.Module, images: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return network(torch.from_numpy(images)).numpy()


@pytest.mark.parametrize(
    ("architecture", "shape", "options"),
    [("cnn", (1, 8, 8), {"width": 16}), ("mlp", (1, 8, 8), {}), ("resnet", (3, 16, 16), {"depth": 8})],
)
def test_a_file_gives_the_logits_of_its_network_at_any_batch(make, cache, tmp_path, architecture, shape, options):
    network = make(architecture, shape, **options)
    images = np.random.default_rng(0).random((70, *shape), dtype=np.float32)
    path = tmp_path / "model.onnx"
    report = export(network, shape, path, images=images[:8], cache=cache)
    running = runtime.session(path)
    assert running.get_inputs()[0].name == "images"
    assert running.get_outputs()[0].name == "logits"
    for batch in (1, 3, 70):
        given = running.run(None, {"images": images[:batch]})[0]
        np.testing.assert_allclose(given, expected(network, images[:batch]), rtol=1e-4, atol=1e-4)
    assert report["size_bytes"] == path.stat().st_size
    assert report["verified_images"] == 8
    assert report["opset"] <= 21  # what ONNX Runtime 1.23 runs
    assert 0 <= report["max_abs_difference"] <= onnx_file.TOLERANCE * 100


def test_the_file_holds_the_weights_and_little_else(make, cache, tmp_path, images):
    network = make(width=24)
    path = tmp_path / "model.onnx"
    export(network, DIGIT, path, images=images, cache=cache)
    model = onnx.load(path)
    assert not model.graph.value_info
    assert not model.metadata_props
    assert not [node.name for node in model.graph.node if node.name or node.metadata_props or node.doc_string]
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}
    names = {tensor.name for tensor in model.graph.initializer}
    assert {"stem.conv.weight", "stage1.conv.weight", "stage2.conv.weight", "head.weight", "head.bias"} <= names
    folded = sum(parameter.numel() for parameter in network.parameters()) - (
        24 + 24 + 48
    )  # one of scale and shift goes
    assert path.stat().st_size < 4 * folded + 1500


def test_exporting_leaves_the_network_as_it_was(make, cache, tmp_path, images):
    network = make(width=8).train()
    before = copy.deepcopy(network.state_dict())
    export(network, DIGIT, tmp_path / "model.onnx", images=images, cache=cache)
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert before.keys() == network.state_dict().keys()
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_a_kept_graph_gives_the_bytes_of_a_fresh_export(make, own_cache, tmp_path, images):
    network, again, fresh = make(width=24, seed=1), tmp_path / "again.onnx", tmp_path / "fresh.onnx"
    state = torch.random.get_rng_state()
    reports = [
        export(network, DIGIT, again, images=images, cache=own_cache),
        export(network, DIGIT, fresh, images=images),
    ]
    assert [report["reused"] for report in reports] == [True, False]
    assert again.read_bytes() == fresh.read_bytes()
    assert torch.equal(state, torch.random.get_rng_state())


def test_weights_that_exporters_merge_or_drop_are_filled_in_all_the_same(make, cache, tmp_path, images):
    network = make(width=16)
    plain = copy.deepcopy(network)
    nn.init.zeros_(plain.head.bias)
    plain.stage1.conv.weight.data[:] = 0
    path = tmp_path / "model.onnx"
    for each in (plain, network):
        export(each, DIGIT, path, images=images, cache=cache)
        np.testing.assert_allclose(runtime.logits(path, images), expected(each, images), rtol=1e-4, atol=1e-5)


def test_damaged_kept_graphs_are_made_again(make, own_cache, tmp_path, images):
    path, right = tmp_path / "model.onnx", (tmp_path / "kept.onnx").read_bytes()
    for kept in own_cache.iterdir():
        kept.write_bytes(b"\x08\xff\xff not a protobuf")
    reports = [export(make(width=16), DIGIT, path, images=images, cache=own_cache) for _ in range(2)]
    assert [report["reused"] for report in reports] == [False, True]
    assert path.read_bytes() == right


def test_an_empty_kept_graph_is_found_out(make, own_cache, tmp_path, images):
    path, right = tmp_path / "model.onnx", (tmp_path / "kept.onnx").read_bytes()
    for kept in own_cache.iterdir():
        kept.write_bytes(b"")  # which protobuf reads as a model without anything
    assert not export(make(width=16), DIGIT, path, images=images, cache=own_cache)["reused"]
    assert path.read_bytes() == right


def test_a_kept_graph_that_computes_something_else_is_found_out(make, own_cache, tmp_path, images):
    path, right = tmp_path / "model.onnx", (tmp_path / "kept.onnx").read_bytes()
    for kept in own_cache.iterdir():
        wrong = onnx.load(kept)
        next(node for node in wrong.graph.node if node.op_type == "Relu").op_type = "Sigmoid"
        onnx.save(wrong, kept)
    assert not export(make(width=16), DIGIT, path, images=images, cache=own_cache)["reused"]
    assert path.read_bytes() == right


class Rescaled(nn.Module):
    """Its Python code asks what it is given, so that torch.fx cannot trace it."""

    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if images.shape[-1] > 8:
            images = functional.avg_pool2d(images, 2)
        return self.inner(images)


def test_a_network_that_fx_cannot_trace_is_exported_plainly(make, tmp_path, images):
    network = Rescaled(make(width=8))
    with pytest.raises(torch.fx.proxy.TraceError):
        torch.fx.symbolic_trace(network)
    path = tmp_path / "model.onnx"
    report = export(network, DIGIT, path, images=images, cache=tmp_path / "cache")
    assert not report["reused"]
    assert not (tmp_path / "cache").exists()
    np.testing.assert_allclose(runtime.logits(path, images), expected(network, images), rtol=1e-4, atol=1e-5)


class Noisy(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return functional.dropout(images.flatten(1), training=True)


def test_a_file_that_does_something_else_is_refused_and_removed(tmp_path, images):
    path = tmp_path / "model.onnx"
    with pytest.raises(ExportError, match="differs from the network"):
        export(Noisy(), DIGIT, path, images=images)
    assert not path.exists()


def test_numbers_that_are_not_finite_are_refused(make, tmp_path, images):
    network = make(width=8)
    network.head.bias.data[0] = float("nan")
    with pytest.raises(ExportError, match="not finite"):
        export(network, DIGIT, tmp_path / "model.onnx", images=images)


class Unexportable(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(np.sort(images.detach().numpy().reshape(len(images), -1)))


def test_what_the_exporter_cannot_follow_is_refused_by_name(tmp_path, images):
    with pytest.raises(ExportError, match="Unexportable cannot be exported to ONNX"):
        export(Unexportable(), DIGIT, tmp_path / "model.onnx", images=images)


FRESH = """
import pickle, sys
from pathlib import Path
import numpy as np
import torch

def refuse(*args, **kwargs):
    raise AssertionError("a pickle was opened")

pickle.load = pickle.loads = pickle.Unpickler = torch.load = refuse
from kdcore.export import runtime, weights
folder = Path(sys.argv[1])
images = np.load(folder / "images.npy")
network = weights.load(folder)
with torch.no_grad():
    np.save(folder / "torch.npy", network(torch.from_numpy(images)).numpy())
np.save(folder / "onnx.npy", runtime.logits(folder / "model.onnx", images))
"""


def test_both_files_give_the_same_logits_in_a_fresh_process(make, describe, cache, tmp_path, images):
    network = make(width=16)
    export(network, DIGIT, tmp_path / "model.onnx", images=images, cache=cache)
    weights.save(tmp_path, network, describe(width=16))
    np.save(tmp_path / "images.npy", images)
    here = runtime.logits(tmp_path / "model.onnx", images)
    subprocess.run([sys.executable, "-c", FRESH, str(tmp_path)], check=True, timeout=patience.SECONDS)
    np.testing.assert_array_equal(np.load(tmp_path / "onnx.npy"), here)
    np.testing.assert_allclose(np.load(tmp_path / "torch.npy"), expected(network, images), rtol=0, atol=1e-6)


def traced(network: nn.Module):
    return folded(network)


def test_networks_that_differ_in_widths_alone_share_a_graph(make):
    narrow, wide = (template.keys(traced(make(width=width)), DIGIT) for width in (8, 16))
    assert narrow[0] != wide[0]
    assert narrow[1] == wide[1]


@pytest.mark.parametrize(
    "change",
    [
        lambda network: setattr(network.stage1.conv, "stride", (2, 2)),
        lambda network: setattr(network.stage1.conv, "padding", (0, 0)),
        lambda network: setattr(network.stage1, "relu", nn.GELU()),
        lambda network: setattr(network, "flatten", Reordered([1, 0])),
    ],
)
def test_any_other_difference_makes_another_graph(make, change):
    network = make(width=8)
    before = template.keys(traced(network), DIGIT)
    change(network)
    assert not set(before) & set(template.keys(traced(network), DIGIT))


class Reordered(nn.Module):
    def __init__(self, order: list[int]):
        super().__init__()
        self.register_buffer("order", torch.tensor(order))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features.flatten(1)[:, self.order]


def test_other_whole_numbers_in_the_state_make_another_graph(make):
    network = make(width=8)
    found = []
    for order in ([0, 1], [1, 0]):
        network.flatten = Reordered(order)
        found += template.keys(traced(network), DIGIT)
    assert len(set(found)) == 4


def test_the_image_size_makes_another_graph(make):
    network = traced(make(width=8))
    assert not set(template.keys(network, DIGIT)) & set(template.keys(network, (1, 16, 16)))


def test_weights_that_the_exporter_transposes_keep_their_layers_names(make, tmp_path):
    """So that layers of a transformer can be told from each other, and found again in a compressed file."""
    network = make("vit", DIGIT, patch=4, depth=2, dim=16, heads=2)
    path = tmp_path / "vit.onnx"
    export(network, DIGIT, path, images=np.random.default_rng(0).random((4, *DIGIT), dtype=np.float32))
    modules = {n: m for n, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    found = {layer.name: layer.weight for layer in weighted(onnx.load(path))}
    assert found.keys() == modules.keys()
    for name, weight in found.items():
        np.testing.assert_array_equal(weight, modules[name].weight.detach().numpy())
