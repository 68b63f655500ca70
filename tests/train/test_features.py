import pytest
import torch

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
