from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from kdcore.compress.nets import lsq
from kdcore.compress.step import CompressError
from kdcore.data.types import Dataset
from kdcore.export import runtime
from kdcore.export.graph import weighted
from kdcore.inputs.images import InMemoryImages
from kdcore.models.fold import folded
from kdcore.plan.rules import steps
from kdcore.recipe import Train, parse
from kdcore.train.loop import Task, fit


class Stopped(Exception):
    pass


def said(network: nn.Module, images: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return network.eval()(torch.from_numpy(images)).numpy()


def task(digits: Dataset, constrain, steps: int, count: int = 256, rate: float = 0.003) -> Task:
    images = torch.from_numpy(digits.train_images[:count]).permute(0, 3, 1, 2).contiguous()
    labels = torch.from_numpy(np.array(digits.train_labels[:count]))
    train = Train(steps=steps, batch_size=64, learning_rate=rate)
    return Task(
        InMemoryImages(images), torch.eye(10)[labels], (images, labels), train, steps, "fp32", 0, constrain=constrain
    )


def loss(network: nn.Module, digits: Dataset) -> float:
    logits = torch.from_numpy(said(network, runtime.pixels(digits.train_images)))
    return nn.functional.cross_entropy(logits, torch.from_numpy(np.array(digits.train_labels))).item()


def test_values_and_gradients_are_the_papers():
    values = torch.tensor([-3.0, -0.6, 0.2, 0.7, 2.6], requires_grad=True)
    step = torch.tensor(0.5, requires_grad=True)
    rounded = lsq.quantize(values, step, -2, 1)
    assert rounded.tolist() == [-1.0, -0.5, 0.0, 0.5, 0.5]
    weights = torch.tensor([1.0, 10.0, 100.0, 1000.0, 10000.0])
    (rounded * weights).sum().backward()
    assert (values.grad / weights).tolist() == [0, 1, 1, 0, 0]  # eq. 5
    # eq. 3: below -2; -1 - (-1.2); 0 - 0.4; beyond 1 twice
    expected = [-2.0, -1 + 1.2, 0 - 0.4, 1.0, 1.0]
    for place, wanted in enumerate(expected):
        step.grad = None
        lsq.quantize(values.detach(), step, -2, 1)[place].backward()
        assert step.grad.item() == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("value", [5.0, -7.0])
def test_beyond_the_ends_the_steps_gradient_is_the_true_one(value):
    step = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    values = torch.tensor([value], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda one: lsq.quantize(values, one, -4, 3), step)


def test_plain_gradient_descent_moves_a_step_as_the_paper_scales_it():
    quantizer = lsq.Quantizer(torch.tensor([0.5, 0.02]), -4, 3)
    values = torch.randn(2, 6, 3, 3)
    plain = quantizer.start.clone().requires_grad_(True)
    lsq.quantize(values, plain.view(2, 1, 1, 1), -4, 3).square().sum().backward()
    before = quantizer.step().detach().clone()
    quantizer(values).square().sum().backward()
    torch.optim.SGD(quantizer.parameters(), 1e-5).step()
    moved = quantizer.step().detach() - before
    torch.testing.assert_close(moved, -1e-5 * plain.grad / np.sqrt(108 * 3), rtol=2e-3, atol=1e-8)


def test_an_activations_step_counts_the_features_of_one_image():
    one, many = (lsq.Quantizer(torch.tensor(0.1), 0, 15) for _ in range(2))
    values = torch.rand(1, 4, 2, 2)
    one(values).sum().backward()
    many(values.repeat(8, 1, 1, 1)).sum().backward()
    assert many.growth.grad.item() == pytest.approx(8 * one.growth.grad.item(), rel=1e-4)


def test_steps_of_any_size_are_what_they_are():
    """The gradient's scale is a million for a small step, and must not round the step itself."""
    quantizer = lsq.Quantizer(torch.tensor([1e-4, 3e-3]), -127, 127)
    with torch.no_grad():
        quantizer.growth.copy_(torch.tensor([0.3, -0.2]))
    values = torch.randn(2, 8) * torch.tensor([[5e-3], [0.1]])
    step = (quantizer.start * quantizer.growth.exp()).detach()[:, None]
    torch.testing.assert_close(quantizer(values), (values / step).round().clamp(-127, 127) * step, rtol=1e-5, atol=1e-9)


def test_batch_norms_stay_and_train_on(trained, material, carry_out, digits, tmp_path):
    network = trained(width=8)
    outcome = carry_out(material(network), "qat", weight_bits=4)
    norms = [module for module in outcome.network.modules() if isinstance(module, nn.BatchNorm2d)]
    before = [norm.weight.detach().clone() for norm in norms]
    assert len(norms) == sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    fit(outcome.network, task(digits, outcome.constrain, 3), tmp_path)
    assert all(not torch.equal(norm.weight, was) for norm, was in zip(norms, before, strict=True))


def test_layers_that_read_the_same_activation_share_its_step(trained, material, carry_out):
    network = carry_out(material(trained("resnet", depth=8)), "qat").network
    assert network.stage2[0].conv1.inputs is network.stage2[0].shortcut.conv.inputs
    assert network.stage2[0].conv1.inputs is not network.stage2[0].conv2.inputs


@pytest.mark.parametrize(("architecture", "options"), [("cnn", {"width": 16}), ("resnet", {"depth": 8})])
def test_training_on_the_grid_wins_back_what_two_bits_cost(
    trained, material, carry_out, digits, tmp_path, architecture, options
):
    network = trained(architecture, **options)
    outcome = carry_out(material(network, exported=True), "qat", weight_bits=2, first_and_last=2, activation_bits=4)
    before = loss(outcome.network, digits)
    fit(outcome.network, task(digits, outcome.constrain, 40, count=1024, rate=0.005), tmp_path)
    assert loss(outcome.network, digits) < 0.7 * before
    learnt = said(outcome.network, runtime.pixels(digits.test_images))
    outcome = outcome.finish(outcome.network)
    given = runtime.logits(outcome.onnx, runtime.pixels(digits.test_images))
    assert (given.argmax(1) == learnt.argmax(1)).mean() > 0.95
    assert all(row["moved"] > 0 for row in outcome.report)


def test_the_finished_network_is_an_ordinary_one_on_its_grid(trained, material, carry_out):
    network = trained(width=16)
    names = set(network.state_dict())
    outcome = carry_out(material(network, exported=True), "qat", weight_bits=3)
    outcome = outcome.finish(outcome.network.eval())
    assert set(outcome.network.state_dict()) == names
    assert {type(module) for module in outcome.network.modules()} == {type(module) for module in network.modules()}
    in_file = {layer.name: layer.weight for layer in weighted(onnx.load(outcome.onnx))}
    whole = {name.removesuffix(".weight"): value for name, value in folded(outcome.network).named_parameters()}
    for name, most in (("stage1.conv", 8), ("stage2.conv", 8), ("head", 255)):
        weight = in_file[name]
        np.testing.assert_allclose(weight, whole[name].detach().numpy(), rtol=1e-4, atol=1e-7)
        assert max(len(np.unique(one)) for one in weight) <= most
        assert max(len(one.unique()) for one in outcome.network.get_submodule(name).weight.detach()) <= most
    assert [row["bits"] for row in outcome.report] == [3, 3, 8]


def test_few_bits_an_activation_are_so_few_in_the_file(trained, material, carry_out, tmp_path, digits):
    outcome = carry_out(material(trained("resnet", depth=8), exported=True), "qat", weight_bits=4, activation_bits=4)
    learnt = said(outcome.network, runtime.pixels(digits.test_images))
    outcome = outcome.finish(outcome.network)
    assert {row["input_bits"] for row in outcome.report} == {4, 8}
    model = onnx.load(outcome.onnx)
    makers = {name: node for node in model.graph.node for name in node.output}
    layer = next(layer for layer in weighted(model) if layer.name == "stage1.0.conv2")
    clip = makers[makers[layer.node.input[0]].input[0]]
    assert clip.op_type == "Clip"
    model.graph.output.append(onnx.helper.make_tensor_value_info(clip.output[0], onnx.TensorProto.UINT8, None))
    onnx.save(model, tmp_path / "watched.onnx")
    images = runtime.pixels(digits.test_images)
    codes = runtime.session(tmp_path / "watched.onnx").run(None, {"images": images})[1]
    assert len(np.unique(codes)) == 16
    given = runtime.logits(outcome.onnx, images)
    assert (given.argmax(1) == learnt.argmax(1)).mean() > 0.97


def test_pruned_weights_stay_zero(trained, material, carry_out, digits, tmp_path):
    network = trained(width=8)
    with torch.no_grad():
        network.stage2.conv.weight.mul_(torch.rand(network.stage2.conv.weight.shape) > 0.5)
    zeros = network.stage2.conv.weight == 0
    outcome = carry_out(material(network), "qat")
    fit(outcome.network, task(digits, outcome.constrain, 3, rate=0.5), tmp_path)
    assert torch.equal(outcome.network.stage2.conv.weight == 0, zeros)


def test_training_that_was_stopped_goes_on_where_it_was(trained, material, carry_out, digits, tmp_path):
    def prepared():
        torch.manual_seed(0)
        return carry_out(material(trained(width=8)), "qat", weight_bits=4)

    for part in ("whole", "parts"):
        (tmp_path / part).mkdir()
    whole = prepared()
    fit(whole.network, task(digits, whole.constrain, 12), tmp_path / "whole")
    stopped, calls = prepared(), iter(range(100))

    def check() -> None:
        if next(calls) == 6:
            raise Stopped

    with pytest.raises(Stopped):
        fit(stopped.network, task(digits, stopped.constrain, 12), tmp_path / "parts", check=check)
    again = prepared()
    fit(again.network, task(digits, again.constrain, 12), tmp_path / "parts")
    expected = whole.network.state_dict()
    assert any("growth" in name for name in expected)
    assert all(torch.equal(value, expected[name]) for name, value in again.network.state_dict().items())


def test_a_network_with_nothing_to_quantize_is_refused(material, carry_out):
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten()).eval()
    with pytest.raises(CompressError, match="one channel stay float"):
        carry_out(material(network), "qat")


def test_a_training_that_diverged_is_refused_with_its_remedy(trained, material, carry_out, digits, tmp_path):
    finetune = {"steps": 20, "learning_rate": 3.0}
    outcome = carry_out(material(trained(width=8), exported=True), "qat", finetune=finetune)
    fit(outcome.network, task(digits, outcome.constrain, 20, rate=3.0), tmp_path)
    with pytest.raises(CompressError, match=r"lower finetune.learning_rate \(now 3\)"):
        outcome.finish(outcome.network.eval())


def test_a_file_that_onnx_runtime_cannot_run_is_refused(trained, material, carry_out, monkeypatch):
    """As version 1.31 does with a global average pool whose scales lie far apart."""
    outcome = carry_out(material(trained(width=8), exported=True), "qat", finetune={"steps": 0})
    logits = runtime.logits

    def cannot(path, images):
        if path.name == "qat.onnx":
            raise ValueError("it does not run")
        return logits(path, images)

    monkeypatch.setattr(runtime, "logits", cannot)
    with pytest.raises(CompressError, match=r"cannot run the int8 file.* differ too much: it does not run"):
        outcome.finish(outcome.network)


def test_bits_by_layer(trained, material, carry_out):
    outcome = carry_out(material(trained(width=16), exported=True), "qat", policy={"stage1.conv": 2, "head": 5})
    rows = outcome.finish(outcome.network.eval()).report
    assert {row["name"]: (row["bits"], row["input_bits"]) for row in rows} == {
        "stage1.conv": (2, 8), "stage2.conv": (8, 8), "head": (5, 8),
    }  # fmt: skip
    with pytest.raises(CompressError, match="policy names tail, which is not a layer; layers: stem"):
        carry_out(material(trained(width=16)), "qat", policy={"tail": 4})


@pytest.mark.parametrize("step", ["qat", "weight_quant", "adaround", "half", "int8_dynamic"])
def test_no_step_follows_one_that_makes_the_deployed_file(step):
    (problem,) = steps.problems(parse({"compress": [{"step": step}, {"step": "prune_structured"}]}))
    assert problem.field == "compress.1.step"
    assert f"cannot follow {step}" in problem.message
