import pytest
import torch

from kdcore import models, registry
from kdcore.train.features import Capture
from tests.train.test_resume import zoo


def test_the_outputs_of_the_named_taps_are_caught_once_in_fp32():
    network = zoo(4, 0).eval()
    capture = Capture(network, ("stage1", "stem"))
    images = torch.rand(3, 1, 8, 8)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        logits = network(images)
    caught = capture.take()
    assert set(caught) == {"stage1", "stem"}
    assert all(value.dtype == torch.float32 and len(value) == 3 for value in caught.values())
    assert capture.take() == {}
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(network.stem(network.normalize(images)).float(), caught["stem"])
        capture.take()
        capture.remove()
        assert torch.equal(network(images), logits)
    assert capture.take() == {}


def test_gradients_flow_through_what_was_caught():
    network = zoo(4, 0)
    capture = Capture(network, ("stem",))
    network(torch.rand(3, 1, 8, 8))
    capture.take()["stem"].sum().backward()
    assert next(network.stem.parameters()).grad.abs().sum() > 0


def test_a_tap_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(ValueError, match=r"'stage9'.*stem"):
        Capture(zoo(4, 0), ("stage9",))


def network(**architecture):
    torch.manual_seed(0)
    options = registry.validate("architecture", architecture)
    made = models.create(options, 10, (3, 32, 32), [0.5] * 3, [0.25] * 3)
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.bias)
    return made.eval()


def before(made, images):
    """Every tap as it is, and before its activation."""
    names = list(models.taps(made))
    capture = Capture(made, [*names, *(f"{name}{models.BEFORE_ACTIVATION}" for name in names)])
    logits = made(images)
    caught = capture.take()
    capture.remove()
    assert torch.equal(made(images), logits)
    return {name: (caught[name], caught[f"{name}{models.BEFORE_ACTIVATION}"]) for name in names}


@torch.no_grad()
@pytest.mark.parametrize(
    "architecture",
    [{"architecture": "resnet", "depth": 14}, {"architecture": "vgg", "depth": 8}, {"architecture": "shufflenetv1"}],
    ids=lambda one: one["architecture"],
)
def test_features_before_their_activation_become_the_tap_by_a_relu(architecture):
    for after, earlier in before(network(**architecture), torch.rand(2, 3, 32, 32)).values():
        assert earlier.min() < 0
        assert torch.equal(earlier.relu(), after)


@torch.no_grad()
def test_features_with_pre_activation_are_those_that_the_next_batch_norm_gives():
    made = network(architecture="wrn", depth=10, width=1)
    caught = before(made, torch.rand(2, 3, 32, 32))
    for name, norm in (("stage1", made.stage2[0].norm1), ("stage2", made.stage3[0].norm1), ("stage3", made.norm)):
        after, earlier = caught[name]
        assert torch.equal(earlier, norm(after))
        assert not torch.equal(earlier, after)


@torch.no_grad()
def test_features_without_an_activation_are_taken_as_they_are():
    caught = before(network(architecture="mobilenetv2"), torch.rand(2, 3, 32, 32))
    for name in ("stage1", "stage2", "stage3", "stage4"):
        assert torch.equal(*caught[name])
    assert not torch.equal(*caught["last"])
