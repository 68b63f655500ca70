"""Layer dropping: evenly spaced layers stay as they are, and the network comes back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kdcore import models
from kdcore.compress.step import CompressError, StepInput
from kdcore.compress.traits import StepTraits
from kdcore.inputs.text import TextShape
from kdcore.registry import entry, validate

SHAPE = TextShape("text", 6, 12, 40, "test")
FOUR = {"architecture": "bert", "depth": 4, "dim": 16, "heads": 2}


def dropped(network, keep):
    material = StepInput(network, Path(), torch.ones(2, 6, dtype=torch.int64), SHAPE, Path(), 0)
    return entry("step", "drop_layers").implementation(
        material, validate("step", {"step": "drop_layers", "keep": keep})
    )


def test_evenly_spaced_layers_stay_and_the_network_comes_back():
    options = validate("architecture", FOUR)
    network = models.create(options, 3, SHAPE, [], []).eval()
    layers = list(network.stage1)
    dropped(network, 2)
    assert list(network.stage1) == [layers[0], layers[2]]
    again = models.rebuild(models.describe(options, 3, SHAPE, [], []), network.state_dict())
    ids = torch.tensor([[3, 5, 7, 0], [9, 2, 4, 8]])
    with torch.no_grad():
        assert torch.equal(again(ids), network(ids))


def test_where_nothing_can_be_dropped_it_is_refused_with_a_reason():
    network = models.create(validate("architecture", FOUR), 3, SHAPE, [], [])
    with pytest.raises(CompressError, match="no more than 4 layers"):
        dropped(network, 4)
    step = validate("step", "drop_layers")
    assert StepTraits.of(step).refuses(validate("architecture", FOUR), []) is None
    assert "shallower" in StepTraits.of(step).refuses(validate("architecture", "text_encoder"), [])
