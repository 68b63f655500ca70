"""Vocabulary pruning: tokens that are used keep their rows, all others become the unknown one, in the file too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from kdcore import models
from kdcore.compress.step import CompressError, StepInput
from kdcore.export import onnx_file, runtime
from kdcore.inputs.text import TextShape
from kdcore.registry import entry, validate
from tests import pairs

SHAPE = TextShape("text", 6, 12, 40, "test")
UNKNOWN = 4


def pruned(network, ids, **options):
    chosen = validate("step", {"step": "prune_vocabulary", **options})
    material = StepInput(network, Path(), ids, SHAPE, Path(), 0, unknown=UNKNOWN)
    return entry("step", "prune_vocabulary").implementation(material, chosen)


def ids(length, rows=3, low=1, high=40):
    return torch.from_numpy(np.random.default_rng(length).integers(low, high, (rows, length)))


def test_used_tokens_answer_as_before_and_others_as_the_unknown_one():
    before, network = (pairs.reader(2, 0, SHAPE, dim=16).eval() for _ in range(2))
    outcome = pruned(network, ids(12, rows=50, low=10, high=20))
    (row,) = outcome.report
    assert row["tokens"] == 12  # ten that are used, padding and the unknown one
    assert sum(p.numel() for p in before.parameters()) - sum(p.numel() for p in network.parameters()) == 28 * 16
    used, others = ids(7, low=10, high=20), ids(7, low=20)
    with torch.no_grad():
        assert torch.equal(network(used), before(used))
        assert torch.equal(network(others), before(torch.full_like(others, UNKNOWN)))


def test_rare_tokens_are_dropped_too_and_nothing_to_drop_is_refused():
    network = pairs.reader(1, 0, SHAPE)
    texts = torch.tensor([[1, 2, 2, 3, 3, 3]])
    assert pruned(network, texts, least=3).report[0]["tokens"] == 3
    with pytest.raises(CompressError, match="all 40 tokens"):
        pruned(pairs.reader(1, 0, SHAPE), torch.arange(40)[None])


def test_the_file_takes_any_batch_of_any_length_and_the_network_comes_back(tmp_path):
    options = validate("architecture", {"architecture": "bert", "depth": 2, "dim": 16, "heads": 2})
    torch.manual_seed(0)
    network = models.create(options, 5, SHAPE, [], []).eval()
    described = models.describe(options, 5, SHAPE, [], [])
    pruned(network, ids(12, rows=50, low=10, high=20))
    batches = [ids(length).numpy() for length in (12, 6, 2)]
    onnx_file.export(network, SHAPE, tmp_path / "m.onnx", images=batches)
    again = models.rebuild(described, network.state_dict())
    for batch in (*batches, ids(1).numpy(), ids(9, rows=1).numpy()):
        with torch.no_grad():
            expected = network(torch.from_numpy(batch))
            assert torch.equal(again(torch.from_numpy(batch)), expected)
        np.testing.assert_allclose(runtime.logits(tmp_path / "m.onnx", batch), expected, atol=1e-5)
    axes = onnx.load(tmp_path / "m.onnx").graph.input[0].type.tensor_type.shape.dim
    assert [bool(axis.dim_param) for axis in axes] == [True, True]
