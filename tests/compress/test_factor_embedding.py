"""Embedding factorization: the best product of its rank, before and after vocabulary pruning, and back from a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kdcore import models
from kdcore.compress.step import CompressError, StepInput
from kdcore.inputs.text import TextShape
from kdcore.registry import entry, validate
from tests import pairs

SHAPE = TextShape("text", 6, 12, 40, "test")
TEXTS = torch.arange(10, 22)[None]


def applied(network, step, **options):
    material = StepInput(network, Path(), TEXTS, SHAPE, Path(), 0, unknown=4)
    return entry("step", step).implementation(material, validate("step", {"step": step, **options}))


def test_a_table_of_low_rank_is_kept_exactly():
    network = pairs.reader(1, 0, SHAPE, dim=16).eval()
    with torch.no_grad():
        network.stem.token.weight.copy_(torch.randn(40, 4) @ torch.randn(4, 16))
        before = network(TEXTS)
        (row,) = applied(network, "factor_embedding", share=0.25).report
        assert (row["ranks"], row["weights"]) == ([4], 4 * (40 + 16))
        torch.testing.assert_close(network(TEXTS), before)
    with pytest.raises(CompressError, match="lower share"):
        applied(pairs.reader(1, 0, SHAPE, dim=16), "factor_embedding", share=0.9)


@pytest.mark.parametrize("steps", [("factor_embedding", "prune_vocabulary"), ("prune_vocabulary", "factor_embedding")])
def test_with_vocabulary_pruning_in_either_order_the_network_comes_back(steps):
    options = validate("architecture", {"architecture": "bert", "depth": 1, "dim": 16, "heads": 2})
    network = models.create(options, 3, SHAPE, [], []).eval()
    for step in steps:
        applied(network, step)
    again = models.rebuild(models.describe(options, 3, SHAPE, [], []), network.state_dict())
    assert again.stem.token.basis.weight.shape[0] == 14
    with torch.no_grad():
        assert torch.equal(again(TEXTS), network(TEXTS))
