"""timm's networks under this zoo's names, in families that are built differently."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from kdcore import models
from kdcore.compress.prune_structured import HEADS
from kdcore.compress.traits import StepTraits
from kdcore.export import onnx_file
from kdcore.models.upload import read
from kdcore.registry import validate

timm = pytest.importorskip("timm")
torch.set_num_threads(1)

SHAPE = (3, 32, 32)
IMAGES = torch.rand(3, *SHAPE, generator=torch.Generator().manual_seed(0))


def made(name, classes=5):
    options = validate("architecture", {"architecture": "timm", "name": name})
    torch.manual_seed(0)
    about = (classes, SHAPE, [0.5] * 3, [0.25] * 3)
    return models.create(options, *about).eval(), models.describe(options, *about)


@pytest.mark.parametrize(
    "name",
    [
        "test_resnet",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("test_efficientnet", "test_convnext", "test_vit")),
    ],
)
def test_it_answers_as_timms_own_is_rebuilt_and_exported(name, tmp_path):
    network, document = made(name)
    sized = {"img_size": SHAPE[1:]} if "vit" in name else {}
    own = timm.create_model(name, num_classes=5, **sized).eval()
    save_file(own.state_dict(), tmp_path / "theirs.safetensors")
    with torch.no_grad():
        taken = read(tmp_path / "theirs.safetensors", document)
        torch.testing.assert_close(taken(IMAGES), own((IMAGES - 0.5) / 0.25), rtol=1e-4, atol=1e-5)
        assert torch.equal(models.rebuild(document, network.state_dict())(IMAGES), network(IMAGES))
    report = onnx_file.export(network, SHAPE, tmp_path / "made.onnx", images=IMAGES.numpy())
    assert report["verified_images"] == 3


def test_a_name_that_timm_has_not_is_refused_with_those_that_are_near():
    with pytest.raises(ValueError, match=r"timm has no model 'resnet1'; try: resnet"):
        made("resnet1")


def test_structured_pruning_of_its_transformers_is_refused_before_any_work():
    refuses = StepTraits.of(validate("step", {"step": "prune_structured"})).refuses
    for name, reason in (("vit_tiny_patch16_224", HEADS), ("resnet18", None)):
        assert refuses(validate("architecture", {"architecture": "timm", "name": name}), []) == reason
    assert refuses(validate("architecture", "vit"), []) is None


@pytest.mark.slow  # the hub is asked again and again
def test_without_a_connection_the_sentence_names_the_hub_and_the_way_round(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    options = validate("architecture", {"architecture": "timm", "name": "test_vit.r160_in1k", "pretrained": True})
    with pytest.raises(RuntimeError, match=r"cannot be downloaded from Hugging Face .* give them as a weights file"):
        models.create(options, 5, SHAPE, [0.5] * 3, [0.25] * 3)
