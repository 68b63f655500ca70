from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from kdcore import machine
from kdcore.compress import int8
from kdcore.compress.step import CompressError
from kdcore.export import runtime
from kdcore.export.graph import weighted


def optimized_ops(path, tmp_path) -> list[str]:
    """What ONNX Runtime makes of the file on this machine."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]


@pytest.mark.parametrize("width", [16, 24])
def test_the_file_is_at_most_55_percent_of_its_parents(trained, material, carry_out, width):
    given = material(trained(width=width), exported=True)
    outcome = carry_out(given, "int8")
    assert outcome.onnx.stat().st_size <= 0.55 * given.onnx.stat().st_size


@pytest.mark.parametrize("calibration", ["minmax", "entropy", "percentile"])
@pytest.mark.parametrize(("architecture", "options"), [("cnn", {"width": 16}), ("mlp", {}), ("resnet", {"depth": 8})])
def test_the_file_says_nearly_what_its_parent_says(
    trained, material, carry_out, digits, capfd, architecture, options, calibration
):
    given = material(trained(architecture, **options), exported=True)
    outcome = carry_out(given, "int8", calibration=calibration)
    images = runtime.pixels(digits.test_images)
    before, after = (runtime.logits(path, images) for path in (given.onnx, outcome.onnx))
    assert (before.argmax(1) == after.argmax(1)).mean() > 0.97
    assert not np.array_equal(before, after)
    assert outcome.network is given.network
    assert capfd.readouterr().out == ""


def test_it_runs_in_int8_from_end_to_end(trained, material, carry_out, tmp_path):
    ops = optimized_ops(carry_out(material(trained(width=16), exported=True), "int8").onnx, tmp_path)
    assert ops.count("QLinearConv") == 2
    assert ops.count("Conv") == 1  # the first, of one channel
    assert {"QLinearGlobalAveragePool", "QGemm"} <= set(ops)
    assert ops.count("QuantizeLinear") == ops.count("DequantizeLinear") == 1


def most() -> int:
    """The largest whole number that a weight becomes here."""
    return 64 if int8.saturates() else 127


def test_normalisation_and_the_first_convolution_stay_float(trained, material, carry_out):
    given = material(trained(width=16), exported=True)
    outcome = carry_out(given, "int8")
    before = {layer.name: layer.weight for layer in weighted(onnx.load(given.onnx))}
    model = onnx.load(outcome.onnx)
    first = next(place for place, node in enumerate(model.graph.node) if node.op_type == "QuantizeLinear")
    images = [node.op_type for node in model.graph.node[:first] if node.op_type != "DequantizeLinear"]
    assert images == ["Sub", "Div", "Conv", "Relu"]
    for layer in weighted(model):
        if layer.name == "stem.conv":
            assert layer.bits == 32
            np.testing.assert_array_equal(layer.weight, before[layer.name])
            continue
        assert layer.bits == 8
        largest = np.abs(before[layer.name]).reshape(len(layer.weight), -1).max(1)  # a scale a filter
        error = np.abs(layer.weight - before[layer.name]).reshape(len(layer.weight), -1).max(1)
        assert (error <= 1.01 * largest / most() / 2).all()


def test_the_report_tells_bits_and_error_of_each_layer(trained, material, carry_out):
    given = material(trained(width=16), exported=True)
    outcome = carry_out(given, "int8")
    before = {layer.name: layer.weight for layer in weighted(onnx.load(given.onnx))}
    after = {layer.name: layer.weight for layer in weighted(onnx.load(outcome.onnx))}
    assert [row["name"] for row in outcome.report] == ["stem.conv", "stage1.conv", "stage2.conv", "head"]
    assert [row["bits"] for row in outcome.report] == [32, 8, 8, 8]
    for row in outcome.report:
        difference = np.square(after[row["name"]] - before[row["name"]]).sum() / np.square(before[row["name"]]).sum()
        assert row["weight_error"] == pytest.approx(np.sqrt(difference), rel=1e-4, abs=1e-9)
        assert row["weight_error"] < 0.02


def test_a_wide_first_convolution_is_quantized(trained):
    nodes = [
        onnx.helper.make_node("Conv", ["images", "w"], ["a"], name="wide"),
        onnx.helper.make_node("Relu", ["a"], ["b"], name="relu"),
        onnx.helper.make_node("Conv", ["b", "depthwise"], ["logits"], name="depthwise", group=8),
    ]
    constants = {"w": np.ones((8, 4, 1, 1), np.float32), "depthwise": np.ones((8, 1, 3, 3), np.float32)}
    graph = onnx.helper.make_graph(
        nodes, "g", [], [], [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()]
    )
    assert int8._float_nodes(onnx.helper.make_model(graph)) == []


@pytest.mark.parametrize(("count", "asked", "sizes"), [(50, 256, [50]), (100, 256, [50, 50]), (400, 256, [64] * 4)])
def test_calibration_images_come_in_equal_batches(trained, material, count, asked, sizes):
    given = material(trained(width=16))._replace(images=torch.rand(count, 1, 8, 8))
    batches = list(iter(int8._reader(given, asked, "images").get_next, None))
    assert [len(batch["images"]) for batch in batches] == sizes
    rows = {row.tobytes() for batch in batches for row in batch["images"]}
    assert len(rows) == sum(sizes)  # none twice
    assert rows <= {row.tobytes() for row in given.images.numpy()}


def test_the_seed_picks_the_calibration_images(trained, material):
    first, again, other = (
        int8._reader(material(trained(width=16), seed=seed), 64, "images").get_next()["images"] for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_equal_material_gives_equal_bytes(trained, material, carry_out):
    given = material(trained(width=16), exported=True)
    first = carry_out(given, "int8").onnx.read_bytes()
    assert carry_out(given, "int8").onnx.read_bytes() == first


@pytest.mark.parametrize(
    ("flags", "saturates"),
    [({"avx2"}, True), ({"avx2", "avx512f"}, True), ({"avx2", "avx512_vnni"}, False), ({"avx2", "avx_vnni"}, False)],
)
def test_weights_get_seven_bits_where_int8_products_saturate(
    trained, material, carry_out, monkeypatch, flags, saturates
):
    monkeypatch.setattr(machine, "cpu_flags", lambda: frozenset(flags))
    outcome = carry_out(material(trained(width=16), exported=True), "int8")
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(outcome.onnx).graph.initializer}
    largest = np.abs(stored["stage1.conv.weight_quantized"].astype(int)).max()
    assert largest == (64 if saturates else 127)


def test_arm_never_saturates(monkeypatch):
    monkeypatch.setattr(machine, "cpu_flags", lambda: frozenset({"asimd"}))
    assert not int8.saturates()


@pytest.mark.parametrize("content", [b"", b"garbage" * 20])
def test_a_damaged_parent_is_refused(trained, material, carry_out, content):
    given = material(trained(width=16))
    given.onnx.write_bytes(content)
    with pytest.raises(CompressError, match=r"cannot quantize parent\.onnx"):
        carry_out(given, "int8")


def test_the_networks_numbers_are_left_alone(trained, material, carry_out):
    network = trained(width=16)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    carry_out(material(network, exported=True), "int8")
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
