from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import get_args
from urllib.error import URLError

import pytest
import torch
import torchvision
from pydantic import ValidationError
from torch import nn

from kdcore import models
from kdcore.export import onnx_file
from kdcore.models import cost, published
from kdcore.models.fold import folded
from kdcore.models.nets import torchvision as nets
from kdcore.models.torchvision import FAMILIES, NAMES, Name, family
from kdcore.registry import validate
from tests.models.test_architectures import tapped
from tests.models.test_rebuild import pruned, same

torch.set_num_threads(1)

QUICK = ("resnet18", "mobilenet_v3_small", "swin_t", "inception_v3")
SMALLEST_OF_FAMILY = (
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "inception_v3", "maxvit_t",
    "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small", "regnet_y_400mf", "resnet18", "shufflenet_v2_x0_5",
    "squeezenet1_1", "swin_t", "swin_v2_t", "vgg11", "vit_b_32",
)  # fmt: skip
SMALL_STEMS = [name for name in SMALLEST_OF_FAMILY if family(name).small_stem]
AUXILIARY = 3_326_696  # parameters of the second classifier of Inception, which is left out


def options(name: str, **more):
    return validate("architecture", {"architecture": "torchvision", "name": name, **more})


def describe(name: str, shape=(3, 64, 64), classes: int = 5, **more) -> dict:
    return models.describe(options(name, **more), classes, shape, [0.3] * shape[0], [0.4] * shape[0])


def create(name: str, shape=(3, 64, 64), classes: int = 5, **more) -> nn.Module:
    return models.create(options(name, **more), classes, shape, [0.3] * shape[0], [0.4] * shape[0])


def on_meta(name: str, shape=(3, 64, 64), classes: int = 5, **more) -> nn.Module:
    with torch.device("meta"):
        return create(name, shape, classes, **more)


def seen(name: str, side: int = 64) -> nn.Module:
    """A network whose batch norms have seen images and whose head is not zero, in evaluation mode."""
    torch.manual_seed(0)
    network = create(name, (3, side, side))
    nn.init.normal_(models.head(network).weight, std=0.05)
    with torch.no_grad():
        network(torch.rand(4, 3, side, side))
    return network.eval()


def side_of(name: str) -> int:
    return 75 if name == "inception_v3" else 64


def test_the_list_is_torchvisions():
    assert list(NAMES) == torchvision.models.list_models(module=torchvision.models)
    assert set(SMALLEST_OF_FAMILY) <= set(get_args(Name))
    assert {family(name).name for name in NAMES} == {family(name).name for name in SMALLEST_OF_FAMILY}


def test_choosing_needs_neither_torch_nor_torchvision():
    code = (
        "import sys; from kdcore import registry;"
        "registry.validate('architecture', {'architecture': 'torchvision', 'name': 'vit_b_16'});"
        "assert not {'torch', 'torchvision'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in SMALLEST_OF_FAMILY else [pytest.mark.slow]) for name in NAMES]
)
def test_the_published_number_of_parameters_and_what_every_network_has(name):
    weights = torchvision.models.get_model_weights(name).DEFAULT
    side = max(weights.meta["min_size"][0], 64)
    network = on_meta(name, (3, side, side), classes=1000)
    counted = sum(parameter.numel() for parameter in network.parameters())
    assert counted == weights.meta["num_params"] - (AUXILIARY if name == "inception_v3" else 0)
    assert isinstance(models.head(network), nn.Linear)
    assert next(iter(dict(network.named_children()))) == "normalize"
    features = tapped(network.eval(), torch.zeros(1, 3, side, side, device="meta"))
    assert [*features][:3] == ["stem", "stage1", "stage2"]
    assert all(maps.ndim == 4 for maps in features.values())
    sides = [maps.shape[-1] for maps in features.values()]
    assert sides == sorted(sides, reverse=True)


def test_inceptions_second_classifier_has_the_parameters_that_are_missing():
    with torch.device("meta"):
        whole = torchvision.models.inception_v3(init_weights=False, aux_logits=True)
    assert sum(parameter.numel() for parameter in whole.AuxLogits.parameters()) == AUXILIARY


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow])
        for name in SMALLEST_OF_FAMILY
        if not name.startswith(("squeezenet", "maxvit"))
    ],
)
def test_the_logits_are_torchvisions_bit_by_bit(name):
    torch.manual_seed(0)
    side = side_of(name)
    extra = {"aux_logits": False, "init_weights": True} if name in ("googlenet", "inception_v3") else {}
    extra |= {"image_size": side} if name.startswith("vit") else {}
    original = torchvision.models.get_model(name, num_classes=5, **extra)
    images = torch.rand(2, 3, side, side)
    with torch.no_grad():
        original(torch.rand(4, 3, side, side))
        original.eval()
        known = nets.names(name, family(name).name, 5, (3, side, side))
        state = {known[place]: tensor for place, tensor in original.state_dict().items()}
        normalize = {"normalize.mean": torch.zeros(3, 1, 1), "normalize.std": torch.ones(3, 1, 1)}
        network = models.rebuild(describe(name, (3, side, side), small_stem="no"), state | normalize)
        assert torch.equal(network(images), original(images))


def test_maxvit_is_torchvisions_too_where_images_are_as_published():
    original = torchvision.models.maxvit_t(num_classes=5).eval()
    known = nets.names("maxvit_t", "maxvit", 5, (3, 224, 224))
    network = create("maxvit_t", (3, 224, 224)).eval()
    network.load_state_dict({known[place]: tensor for place, tensor in original.state_dict().items()}, strict=False)
    image = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(network(image), original((image - 0.3) / 0.4))


@pytest.mark.parametrize("known", FAMILIES, ids=lambda known: known.prefixes[0])
def test_the_smallest_image_of_each_family(known):
    name = next(name for name in NAMES if name.startswith(known.prefixes))
    smallest = family(name).smallest
    network = on_meta(name, (3, smallest, smallest), small_stem="no")
    assert network(torch.zeros(2, 3, smallest, smallest, device="meta")).shape == (2, 5)
    if smallest > 8:
        with pytest.raises(ValueError, match=f"{name} needs images of at least {smallest}x{smallest} pixels"):
            on_meta(name, (3, smallest, smallest - 1), small_stem="no")


@pytest.mark.parametrize(
    ("name", "side", "message"),
    [
        ("inception_v3", 74, "at least 75x75 pixels, not 74x74"),
        ("alexnet", 62, "at least 63x63 pixels, not 62x62"),
        ("vit_b_16", 65, "sides are multiples of 16, not 65x65"),
        ("maxvit_t", 72, "sides are multiples of 32, not 72x72"),
    ],
)
def test_images_that_do_not_fit_are_refused_with_the_size_needed(name, side, message):
    with pytest.raises(ValueError, match=message):
        on_meta(name, (3, side, side))


def test_maxvit_refuses_sides_that_no_partition_cuts():
    with pytest.raises(ValueError, match="64, 96, 128 or more"):
        on_meta("maxvit_t", (3, 64, 96))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in SMALL_STEMS]
)
def test_a_small_stem_keeps_the_size_of_small_images(name):
    large = tapped(on_meta(name, (1, 32, 32), small_stem="no"), torch.zeros(2, 1, 32, 32, device="meta"))
    small = tapped(on_meta(name, (1, 32, 32)), torch.zeros(2, 1, 32, 32, device="meta"))  # auto
    assert small["stem"].shape[-1] > large["stem"].shape[-1]
    assert small["stage1"].shape[-1] >= 16
    assert on_meta(name, (1, 8, 8))(torch.zeros(2, 1, 8, 8, device="meta")).shape == (2, 5)


def test_resnets_small_stem_is_that_of_the_cifar_networks():
    stem = on_meta("resnet18", (3, 32, 32)).get_submodule("stem")
    assert (stem.conv.kernel_size, stem.conv.stride) == ((3, 3), (1, 1))
    assert not any(isinstance(module, nn.MaxPool2d) for module in stem.modules())
    published_stem = on_meta("resnet18", (3, 64, 64)).get_submodule("stem")
    assert (published_stem.conv.kernel_size, published_stem.conv.stride) == ((7, 7), (2, 2))


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"name": "resnet19"}, r"no classification model 'resnet19'; try: resnet1"),
        ({"name": "zzz"}, "try: resnet18, mobilenet_v2, vit_b_16"),
        ({"name": "vgg11", "small_stem": "yes"}, "vgg11 has no stem for small images; these have one: densenet, eff"),
    ],
)
def test_what_cannot_be_chosen_is_refused_with_what_can(chosen, message):
    with pytest.raises(ValidationError, match=message):
        validate("architecture", {"architecture": "torchvision", **chosen})


@pytest.mark.parametrize("name", ["resnet18", "shufflenet_v2_x0_5", "mobilenet_v3_small"])
def test_nobody_changes_a_tapped_output_afterwards(name):
    network = create(name, (3, 32, 32))
    versions: dict[str, int] = {}
    for tap, module in models.taps(network).items():
        module.register_forward_hook(lambda m, i, output, tap=tap: versions.update({tap: output._version}))
    features = tapped(network, torch.rand(2, 3, 32, 32))
    assert {tap: maps._version for tap, maps in features.items()} == versions


@pytest.mark.parametrize("name", ["mobilenet_v2", "shufflenet_v2_x0_5", "squeezenet1_1"])
def test_it_comes_back_bit_by_bit(name):
    network = seen(name)
    images = torch.rand(2, 3, 64, 64)
    assert same(network, models.rebuild(describe(name), network.state_dict()), images)


def test_a_pruned_network_with_depthwise_convolutions_comes_back():
    small, images = pruned(seen("mobilenet_v2"), torch.rand(2, 3, 64, 64)), torch.rand(2, 3, 64, 64)
    assert same(small, models.rebuild(describe("mobilenet_v2"), small.state_dict()), images)


def test_costs_are_counted_without_arithmetic_and_without_weights(monkeypatch):
    monkeypatch.setattr(published, "load", None)
    question = cost.Question(options("resnet18", pretrained=True), 1000, (3, 224, 224))
    counted = cost._count(cost._document(question))
    assert counted.params == 11_689_512
    published_gmacs = torchvision.models.ResNet18_Weights.DEFAULT.meta["_ops"]
    assert counted.macs == pytest.approx(1e9 * published_gmacs, rel=1e-3)


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """The published weights' folder, where a file stands as if it had been downloaded; nothing is downloaded."""

    def unreachable(url, *args, **kwargs):
        raise URLError("Name or service not known")

    monkeypatch.setenv("KDCORE_DATA", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)

    def publish(name: str, rename=lambda key: key, **extra) -> dict[str, torch.Tensor]:
        torch.manual_seed(1)
        state = torchvision.models.get_model(name, **extra).state_dict()
        path = tmp_path / "weights" / torchvision.models.get_model_weights(name).DEFAULT.url.rsplit("/", 1)[1]
        path.parent.mkdir(exist_ok=True)
        torch.save({rename(key): tensor for key, tensor in state.items()}, path)
        return state

    publish.folder = tmp_path / "weights"
    return publish


def test_published_weights_come_with_a_new_head_and_their_own_normalisation(weights):
    state = weights("shufflenet_v2_x0_5")
    network = create("shufflenet_v2_x0_5", pretrained=True)
    known = nets.names("shufflenet_v2_x0_5", "shufflenet_v2", 5, (3, 64, 64))
    ours = network.state_dict()
    for place, tensor in state.items():
        assert place.startswith("fc.") or torch.equal(ours[known[place]], tensor), place
    assert models.head(network).weight.shape == (5, 1024)
    assert ours["normalize.mean"].flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    rebuilt = models.rebuild(describe("shufflenet_v2_x0_5", pretrained=True), network.eval().state_dict())
    assert same(network, rebuilt, torch.rand(2, 3, 64, 64))


def test_published_weights_for_small_and_for_grey_images(weights):
    first = weights("resnet18")["conv1.weight"]
    small = create("resnet18", (1, 32, 32), pretrained=True)
    middle = first[:, :, 2:5, 2:5].sum(1, keepdim=True)
    torch.testing.assert_close(small.get_submodule("stem.conv").weight.detach(), middle)
    with pytest.raises(ValueError, match="images of 1 or 3 channels, not 4"):
        create("resnet18", (4, 32, 32), pretrained=True)


def test_published_weights_with_auxiliary_classifiers_and_old_names(weights):
    weights("googlenet", init_weights=True)
    network = create("googlenet", pretrained=True)
    assert network.state_dict()["normalize.std"].flatten().tolist() == [0.5] * 3
    state = weights("densenet121", lambda key: key.replace("norm1.", "norm.1.") if "denselayer" in key else key)
    assert torch.equal(
        create("densenet121", pretrained=True).get_parameter("stage1.0.denselayer1.norm1.weight"),
        state["features.denseblock1.denselayer1.norm1.weight"],
    )


def test_positions_are_interpolated_for_images_of_another_size():
    class Model:
        patch_size = 16

    columns = torch.arange(4.0).repeat(4).view(1, 16, 1)  # a 4x4 grid whose value is its column
    position = torch.cat([torch.full((1, 1, 1), 9.0), columns], 1)
    found = published._interpolated(position, Model, (16, 112)).flatten().tolist()
    assert found[0] == 9
    assert found[1] == pytest.approx(0, abs=1e-5)
    assert found[4] == pytest.approx(1.5, abs=1e-5)
    assert found[7] == pytest.approx(3, abs=1e-5)
    assert published._interpolated(position, Model, (64, 64)) is position


def test_offline_the_message_says_which_file_to_put_where(weights):
    with pytest.raises(published.PublishedWeightsError) as caught:
        create("resnet18", pretrained=True)
    assert "https://download.pytorch.org/models/resnet18-f37072fd.pth" in str(caught.value)
    assert str(weights.folder / "resnet18-f37072fd.pth") in str(caught.value)


def test_a_damaged_or_foreign_file_of_weights_is_told(weights):
    weights("shufflenet_v2_x0_5")
    (file,) = weights.folder.iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(published.PublishedWeightsError, match=r"cannot be read.*delete the file"):
        create("shufflenet_v2_x0_5", pretrained=True)
    torch.save({"fc.weight": torch.zeros(3)}, file)
    with pytest.raises(published.PublishedWeightsError, match=r"'conv1\.0\.weight' does not fit"):
        create("shufflenet_v2_x0_5", pretrained=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALLEST_OF_FAMILY)
def test_one_of_each_family_folds_comes_back_and_exports(name, tmp_path: Path):
    side = side_of(name)
    network, images = seen(name, side), torch.rand(3, 3, side, side)
    assert same(network, models.rebuild(describe(name, (3, side, side)), network.state_dict()), images)
    graph = folded(network)
    with torch.no_grad():
        logits = network(images)
        assert graph is not None
        assert (graph(images) - logits).abs().max() <= 1e-4 * max(1, logits.abs().max())
    report = onnx_file.export(network, (3, side, side), tmp_path / "model.onnx", images=images.numpy())
    assert report["verified_images"] == 3
