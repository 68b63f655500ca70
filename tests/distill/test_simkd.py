from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
import torch
import torch_pruning
from torch import nn

from kdcore import models
from kdcore.distill.method import Unsuitable
from kdcore.distill.simkd import ReusedClassifier, projection_loss
from kdcore.export import onnx_file, weights
from kdcore.models.cost import macs
from kdcore.models.nets import projector
from kdcore.registry import validate

SHAPE = (1, 8, 8)
STUDENT = {"architecture": "cnn", "width": 6}


def described(network):
    return models.describe(validate("architecture", STUDENT), 10, SHAPE, [0.3], [0.4], network)


def trained(feature_step, teacher="wide"):
    step = feature_step({"method": "simkd"}, "cnn", teacher)
    step.train(3)
    return step


def test_the_loss_is_the_mean_square_of_the_differences():
    ours, theirs = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 2, 2)
    smaller = ours.unflatten(3, (2, 2)).unflatten(2, (2, 2)).mean((3, 5))
    expected = sum(float(v) ** 2 for v in (smaller - theirs).flatten()) / theirs.numel()
    assert projection_loss(ours, theirs).item() == pytest.approx(expected, rel=1e-5)
    assert projection_loss(ours, ours).item() == 0


def test_the_network_is_the_student_a_projector_and_the_teachers_classifier(feature_step, feature_network):
    step = feature_step({"method": "simkd"})
    plain, network = feature_network("cnn"), step.network
    names = [name for name, _ in network.named_children()]
    assert names == ["normalize", "stem", "stage1", "stage2", "projector", "pool", "flatten", "head"]
    for name in ("stem", "stage1", "stage2"):
        ours, before = (one.get_submodule(name).parameters() for one in (network, plain))
        assert all(torch.equal(*pair) for pair in zip(ours, before, strict=True))
    shapes = [tuple(m.weight.shape) for m in network.projector.modules() if isinstance(m, nn.Conv2d)]
    assert shapes == [(10, 12, 1, 1), (10, 10, 3, 3), (20, 10, 1, 1)]
    added = 12 * 10 + 10 * 10 * 9 + 10 * 20 + 2 * (10 + 10 + 20)
    head = 20 * 10 + 10 - (12 * 10 + 10)
    count = [sum(p.numel() for p in one.parameters()) for one in (network, plain)]
    assert count[0] == count[1] + added + head
    assert macs(network, SHAPE) > macs(plain, SHAPE)


def test_the_classifier_stays_the_teachers(feature_step):
    step = trained(feature_step)
    ours, theirs = models.head(step.network), models.head(step.teacher)
    assert torch.equal(ours.weight, theirs.weight)
    assert torch.equal(ours.bias, theirs.bias)
    assert ours.weight.data_ptr() != theirs.weight.data_ptr()
    assert not any(key.startswith("0.head") for key in step.parameters)


def test_a_student_with_the_teachers_features_has_its_answers(feature_step):
    step = feature_step({"method": "simkd"})
    features = torch.rand(3, 20, 4, 4)
    tails = [nn.Sequential(n.pool, n.flatten, n.head) for n in (step.network, step.teacher)]
    assert torch.equal(tails[0](features), tails[1](features))


def test_it_comes_back_from_its_document_and_from_files(feature_step, tmp_path):
    network = trained(feature_step).network.eval()
    document = described(network)
    assert document["projector"] == {"hidden": 10, "features": 20}
    images = torch.rand(5, *SHAPE)
    weights.save(tmp_path, network, document)
    for again in (models.rebuild(document, network.state_dict()), weights.load(tmp_path)):
        assert list(again.state_dict()) == list(network.state_dict())
        assert torch.equal(again(images), network(images))
        assert repr(again) == repr(network)


def test_a_document_without_a_projector_is_as_before(feature_network):
    assert "projector" not in described(feature_network("cnn"))


def test_it_is_exported_and_verified(feature_step, tmp_path):
    network = trained(feature_step).network.eval()
    images = np.random.default_rng(0).random((16, *SHAPE), dtype=np.float32)
    report = onnx_file.export(network, SHAPE, tmp_path / "model.onnx", images=images)
    assert report["verified_images"] == 16
    assert report["max_abs_difference"] < 1e-4


def test_it_can_be_pruned_and_comes_back_smaller(feature_step):
    network = trained(feature_step).network.eval().requires_grad_(True)
    document = described(network)
    images = torch.rand(4, *SHAPE)
    torch_pruning.pruner.BasePruner(
        network,
        images,
        importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=0.5,
        ignored_layers=[models.head(network)],
    ).step()
    assert network.projector.conv3.out_channels == models.head(network).in_features == 10
    assert torch.equal(models.rebuild(document, network.state_dict())(images), network(images))


def test_it_can_teach_in_its_turn(feature_step, feature_network):
    network = trained(feature_step).network
    assert list(models.taps(network)) == ["stem", "stage1", "stage2", "projector"]
    step = feature_step({"method": "rkd"})
    wanted = step.method.taps(feature_network("cnn"), network)
    assert wanted.teacher == ("projector",)


def network(name, shape=(3, 32, 32), **options):
    torch.manual_seed(0)
    architecture = validate("architecture", {"architecture": name, **options})
    made = models.create(architecture, 10, shape, [0.5] * shape[0], [0.25] * shape[0])
    return made, lambda network: models.describe(architecture, 10, shape, [0.5] * shape[0], [0.25] * shape[0], network)


def begun(student, teacher):
    return ReusedClassifier(validate("method", "simkd")).begin(student, teacher)


@pytest.mark.parametrize("side", [*(pytest.param(side, marks=pytest.mark.slow) for side in (32, 28)), 8])
def test_larger_maps_are_averaged_down_before_the_projector(side, tmp_path):
    student, document = network("resnet", (1, side, side), depth=8)
    made = begun(student, network("mobilenetv2", (1, side, side))[0]).eval()
    images = torch.rand(3, 1, side, side)
    maps = nn.Sequential(*list(made.children())[:5])(images)
    places = -(-maps.shape[2] // 4)
    assert places == -(-side // 16)
    assert made.projector.shrink(maps).shape[2:] == (places, places)
    if side == 32:
        averaged = nn.functional.adaptive_avg_pool2d(maps, places)
        torch.testing.assert_close(made.projector.shrink(maps), averaged)
    again = models.rebuild(document(made), made.state_dict())
    assert torch.equal(again(images), made(images))
    report = onnx_file.export(made, (1, side, side), tmp_path / "model.onnx", images=images.numpy())
    assert report["max_abs_difference"] < 1e-4


@pytest.mark.parametrize(("name", "channels"), [("mobilenetv2", 160), ("shufflenetv2", 464)])
def test_the_projector_stands_in_for_the_last_convolution_of_mobile_networks(name, channels):
    student, document = network(name)
    made = begun(student, network("resnet", depth=8)[0]).eval()
    assert made.projector.conv1.in_channels == channels
    assert not hasattr(made, "last")
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(models.rebuild(document(made), made.state_dict())(images), made(images))


def test_a_model_of_earlier_days_keeps_its_last_convolution():
    student, document = network("mobilenetv2")
    made = projector.insert(student, 32, 64, 10, last=True).eval()
    assert made.projector.conv1.in_channels == 1280
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(models.rebuild(document(made), made.state_dict())(images), made(images))


def test_a_network_with_layers_after_its_last_stage_works_too(feature_step):
    step = trained(feature_step, "wrn")  # it has batch norm and ReLU there
    assert step.wanted.teacher == ("last",)


def test_dropout_before_the_classifier_is_no_hindrance(feature_network):
    plain = feature_network("cnn")
    children = OrderedDict(plain.named_children())
    head = children.pop("head")
    network = nn.Sequential(children | OrderedDict(hidden=nn.Sequential(nn.Dropout(0.2)), head=head))
    made = projector.insert(network, 4, 7, 10)
    assert [name for name, _ in made.named_children()][-5:] == ["projector", "pool", "flatten", "hidden", "head"]
    assert made.eval()(torch.rand(2, *SHAPE)).shape == (2, 10)
    deeper = nn.Sequential(children | OrderedDict(hidden=nn.Sequential(nn.Linear(12, 12)), head=head))
    with pytest.raises(ValueError, match="does not end in feature maps, their average and a classifier"):
        projector.insert(deeper, 4, 7, 10)


def test_without_a_teacher_network_it_is_refused(feature_step, feature_network):
    step = feature_step({"method": "simkd"})
    with pytest.raises(Unsuitable, match="there is no teacher network"):
        step.method.begin(feature_network("cnn"), None)
