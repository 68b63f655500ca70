"""ONNX files of other people: those that fit answer as before in our convention, all others are refused in words."""

from __future__ import annotations

import contextlib
import signal
import time

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from kdcore.export import external_onnx, runtime
from kdcore.export.adoption import adopt
from kdcore.export.external_onnx import ForeignModel, Wanted

SHAPE, CLASSES = (1, 4, 4), 3
WEIGHT = np.random.default_rng(1).normal(size=(16, CLASSES)).astype(np.float32)
WEIGHT[0] = 0
IMAGES = np.random.default_rng(2).random((7, *SHAPE), dtype=np.float32)
PLAIN = Wanted(SHAPE, CLASSES, (0.3,), (0.4,), "0..1", "logits")


def model(batch="n", nodes=None, *, fixed=False, softmax=False, names=("x", "y"), initializers=(), domain=""):
    """A linear classifier. `fixed`: its reshape holds for one batch only."""
    given_name, out = names
    weights = [numpy_helper.from_array(WEIGHT, "w"), *initializers]
    if nodes is None:
        flatten = helper.make_node("Flatten", [given_name], ["f"])
        if fixed:
            weights.append(numpy_helper.from_array(np.array([batch, 16], np.int64), "s"))
            flatten = helper.make_node("Reshape", [given_name, "s"], ["f"])
        nodes = [flatten, helper.make_node("MatMul", ["f", "w"], ["z" if softmax else out], domain=domain)]
        nodes += [helper.make_node("Softmax", ["z"], [out], axis=1)] if softmax else []
    images = helper.make_tensor_value_info(given_name, TensorProto.FLOAT, [batch, *SHAPE])
    scores = helper.make_tensor_value_info(out, TensorProto.FLOAT, [batch, CLASSES])
    graph = helper.make_graph(nodes, "g", [images], [scores], weights)
    opsets = [helper.make_opsetid("", 17)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def saved(tmp_path, made):
    path = tmp_path / "theirs.onnx"
    path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
    return path


def linear(pixels):
    return pixels.reshape(len(pixels), -1) @ WEIGHT


@pytest.mark.parametrize(
    ("made", "changes", "expected"),
    [
        (model(), {}, linear(IMAGES)),
        (model(names=("images", "logits")), {}, linear(IMAGES)),
        (model(1), {"pixels": "0..255"}, linear(255 * IMAGES)),
        (model(3, fixed=True), {"pixels": "normalised"}, linear((IMAGES - 0.3) / 0.4)),
        (model(1, fixed=True), {}, linear(IMAGES)),
    ],
)
def test_a_file_that_fits_takes_any_batch_of_pixels_in_our_range(tmp_path, made, changes, expected):
    target = tmp_path / "ours.onnx"
    judged = adopt(saved(tmp_path, made), PLAIN._replace(**changes), target)
    assert (judged.params, judged.zeros) == (48, 3)
    given_logits = runtime.logits(target, IMAGES)
    np.testing.assert_allclose(given_logits, expected, rtol=1e-4, atol=1e-4)
    assert runtime.logits(target, IMAGES[:1]).shape == (1, CLASSES)


def test_probabilities_become_logits(tmp_path):
    target = tmp_path / "ours.onnx"
    adopt(saved(tmp_path, model(softmax=True)), PLAIN._replace(outputs="probabilities"), target)
    logits = linear(IMAGES)
    expected = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    np.testing.assert_allclose(runtime.logits(target, IMAGES), np.maximum(expected, np.log(1e-6)), atol=1e-4)


def external():
    made = model()
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return made


def within_a_branch():
    """An operator of its own, hidden in a graph within a node."""
    inner = helper.make_graph(
        [helper.make_node("Own", ["f"], ["inside"], domain="own")], "inner", [],
        [helper.make_tensor_value_info("inside", TensorProto.FLOAT, None)],
    )  # fmt: skip
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("If", ["yes"], ["y"], then_branch=inner, else_branch=inner),
    ]
    yes = numpy_helper.from_array(np.array(True), "yes")
    return model(nodes=nodes, initializers=[yes])


def centred():
    """Takes the batch's mean away: what it says of an image depends on those beside it."""
    axes = numpy_helper.from_array(np.array([0], np.int64), "axes")
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["z"]),
        helper.make_node("ReduceMean", ["z"], ["m"], axes=[0]),
        helper.make_node("Sub", ["z", "m"], ["d"]),
        helper.make_node("Add", ["d", "z"], ["y"]),
    ]
    return model(nodes=nodes, initializers=[axes])


def not_a_number():
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["z"]),
        helper.make_node("Sub", ["z", "z"], ["zero"]),
        helper.make_node("Div", ["zero", "zero"], ["y"]),
    ]
    return model(nodes=nodes)


def two(which):
    made = model()
    if which == "inputs":
        made.graph.input.append(helper.make_tensor_value_info("second", TensorProto.FLOAT, [1]))
    else:
        made.graph.output.append(helper.make_tensor_value_info("f", TensorProto.FLOAT, ["n", 16]))
    return made


@pytest.mark.parametrize(
    ("made", "changes", "words"),
    [
        (b"", {}, r"it is not (an ONNX file|a valid ONNX model): "),
        (b"garbage" * 99, {}, r"it is not (an ONNX file|a valid ONNX model): "),
        (external(), {}, "stored in another file"),
        (model(domain="own.domain"), {}, "custom operators"),
        (within_a_branch(), {}, "custom operators"),
        (two("inputs"), {}, r"2 inputs \(x, second\); one is needed"),
        (two("outputs"), {}, r"2 outputs \(y, f\); one is needed"),
        (model(), {"shape": (3, 32, 32)}, "expects 1 channels, but these images have 3"),
        (model(), {"classes": 10}, r"its output is \(1, 3\); \(1, 10\) is needed"),
        (model(2000, fixed=True), {}, "its batch size is 2000"),
        (not_a_number(), {}, "not finite"),
        (model(softmax=True), {}, "set outputs to probabilities"),
        (model(), {"outputs": "probabilities"}, "set outputs to logits"),
        (centred(), {}, "outputs depend on the other images of the batch"),
    ],
)
def test_what_cannot_teach_is_refused_with_what_would_do(tmp_path, made, changes, words):
    with pytest.raises(ForeignModel, match=words):
        adopt(saved(tmp_path, made), PLAIN._replace(**changes), tmp_path / "ours.onnx")
    assert not (tmp_path / "ours.onnx").exists()


def endless():
    """Adds for longer than anybody waits."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["on"], ["still"]),
            helper.make_node("Add", ["sum", "sum"], ["more"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("more", TensorProto.FLOAT, None),
        ],
    )
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["z"]),
        helper.make_node("Loop", ["trips", "yes", "z"], ["y"], body=body),
    ]
    trips = numpy_helper.from_array(np.array(2**60, np.int64), "trips")
    return model(nodes=nodes, initializers=[trips, numpy_helper.from_array(np.array(True), "yes")])


def huge():
    """Asks for 256 GB."""
    nodes = [
        helper.make_node("ConstantOfShape", ["size"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["none"]),
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["z"]),
        helper.make_node("Add", ["z", "none"], ["y"]),
    ]
    return model(nodes=nodes, initializers=[numpy_helper.from_array(np.array([2**36], np.int64), "size")])


def bomb(depth=40):
    """Functions that call the next one twice: 2 to the power of 40 nodes when written out."""
    made = model(domain="")
    for level in range(depth):
        inner = ("Relu", "") if level == depth - 1 else (f"f{level + 1}", "bomb")
        nodes = [helper.make_node(inner[0], [a], [b], domain=inner[1]) for a, b in (("x", "m"), ("m", "y"))]
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("bomb", 1)]
        made.functions.append(helper.make_function("bomb", f"f{level}", ["x"], ["y"], nodes, opsets))
    made.opset_import.append(helper.make_opsetid("bomb", 1))
    made.graph.node[1].output[0] = "z"
    made.graph.node.append(helper.make_node("f0", ["z"], ["y"], domain="bomb"))
    return made


def circle():
    made = bomb(2)
    made.functions[1].node[0].CopyFrom(helper.make_node("f0", ["x"], ["m"], domain="bomb"))
    return made


def many_nodes():
    nodes = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["a0"])]
    nodes += [helper.make_node("Tanh", [f"a{i}"], [f"a{i + 1}"]) for i in range(20_000)]
    return model(nodes=[*nodes, helper.make_node("Identity", ["a20000"], ["y"])])


def nested(depth=4):
    nodes, name = [helper.make_node("MatMul", ["f", "w"], ["y0"])], "y0"
    for level in range(1, depth + 1):
        branches = [
            helper.make_graph(nodes, "branch", [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)])
            for _ in range(2)
        ]
        name = "y" if level == depth else f"y{level}"
        nodes = [helper.make_node("If", ["yes"], [name], then_branch=branches[0], else_branch=branches[1])]
    yes = numpy_helper.from_array(np.array(True), "yes")
    return model(nodes=[helper.make_node("Flatten", ["x"], ["f"]), *nodes], initializers=[yes])


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (endless(), r"a loop \(Loop\)"),
        (bomb(), "more than 20,000 nodes"),
        (circle(), "'f0' calls itself"),
        (many_nodes(), "more than 20,000 nodes"),
        (nested(), "nested more than 2 deep"),
    ],
    ids=["loop", "function bomb", "circle", "nodes", "nested"],
)
def test_what_would_take_for_ever_is_refused_before_it_is_converted(tmp_path, made, words):
    started = time.process_time()
    with pytest.raises(ForeignModel, match=words):
        adopt(saved(tmp_path, made), PLAIN, None)
    assert time.process_time() - started < 5


def test_functions_of_an_honest_size_are_accepted(tmp_path):
    assert adopt(saved(tmp_path, bomb(6)), PLAIN, None).params == 48


def slow():
    """Multiplies large matrices for minutes."""
    nodes = [helper.make_node("ConstantOfShape", ["size"], ["m0"])]
    nodes += [helper.make_node("MatMul", [f"m{i}", "m0"], [f"m{i + 1}"]) for i in range(400)]
    nodes += [helper.make_node("ReduceSum", ["m400"], ["none"]), helper.make_node("Flatten", ["x"], ["f"])]
    nodes += [helper.make_node("MatMul", ["f", "w"], ["z"]), helper.make_node("Add", ["z", "none"], ["y"])]
    return model(nodes=nodes, initializers=[numpy_helper.from_array(np.array([2000, 2000], np.int64), "size")])


@pytest.mark.skipif(not hasattr(signal, "SIGXCPU"), reason="this system has no limit on processor time")
def test_what_takes_too_much_processor_time_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(external_onnx, "CPU_SECONDS", 1)
    with pytest.raises(ForeignModel, match=r"more than 1 s of processor time|takes longer than"):
        external_onnx.adopt(saved(tmp_path, slow()), PLAIN)


def test_what_the_clock_ended_is_told_as_such(tmp_path, monkeypatch):
    monkeypatch.setattr(external_onnx, "PATIENCE", 0.01)
    with pytest.raises(external_onnx.TooSlow, match="takes longer than"):
        external_onnx.adopt(saved(tmp_path, model()), PLAIN)


def test_what_asks_for_too_much_memory_ends_its_own_process_at_most(tmp_path):
    with pytest.raises(ForeignModel):
        external_onnx.adopt(saved(tmp_path, huge()), PLAIN)


def test_the_subprocess_gives_the_same_judgement(tmp_path):
    path = saved(tmp_path, model(2, fixed=True))
    assert external_onnx.adopt(path, PLAIN, tmp_path / "a.onnx") == adopt(path, PLAIN, tmp_path / "b.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_a_file_that_is_too_large_is_not_even_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(external_onnx, "MOST_BYTES", 10)
    with pytest.raises(ForeignModel, match="at most 10"):
        external_onnx.adopt(saved(tmp_path, model()), PLAIN)


@settings(max_examples=60)
@given(st.data())
def test_a_damaged_file_is_refused_or_still_valid(tmp_path_factory, data):
    from kdcore.export.onnx_reading import read

    content = bytearray(model().SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.onnx"
    path.write_bytes(content)
    with contextlib.suppress(ForeignModel):
        onnx.checker.check_model(read(path))
