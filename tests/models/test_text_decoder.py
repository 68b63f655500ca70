"""The language model: it never looks ahead, counts by hand, and its file takes any batch and length."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kdcore import inputs, models
from kdcore.export import onnx_file, runtime
from kdcore.inputs.text import TextShape
from kdcore.models.cost import macs
from kdcore.registry import validate

SHAPE = TextShape("passages", 12, 12, 40, "test")
DEPTH, DIM, CLASSES = 2, 16, 38
OPTIONS = validate("architecture", {"architecture": "text_decoder", "depth": DEPTH, "dim": DIM, "heads": 2})


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    made = models.create(OPTIONS, CLASSES, SHAPE, [], []).eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return made


def batch(length: int, rows: int = 3) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(length).integers(2, SHAPE.vocabulary, (rows, length)))


def test_a_prediction_does_not_change_with_what_comes_after(network):
    ids = batch(12)
    other = ids.clone()
    other[:, 7:] = batch(5)
    with torch.no_grad():
        one, changed = (network(each).unflatten(0, (3, 12)) for each in (ids, other))
        torch.testing.assert_close(one[:, :7], changed[:, :7])
        assert not torch.allclose(one[:, 7], changed[:, 7])
        torch.testing.assert_close(network(ids[:, :5]).unflatten(0, (3, 5)), one[:, :5])


def test_parameters_and_macs_are_those_counted_by_hand(network):
    linear = 12 * DIM * DIM
    block = linear + (4 + 4 + 1) * DIM + 2 * 2 * DIM
    embeddings, head = (SHAPE.vocabulary + SHAPE.longest) * DIM, DIM * CLASSES
    assert sum(one.numel() for one in network.parameters()) == embeddings + DEPTH * block + 2 * DIM + head + CLASSES
    length = SHAPE.length
    assert macs(network, SHAPE) == DEPTH * (length * linear + 2 * length * length * DIM) + length * head


def test_its_file_takes_any_batch_and_length_and_it_comes_back_from_its_tensors(network, tmp_path):
    batches = [batch(length).numpy() for length in (12, 7, 2)]
    onnx_file.export(network, SHAPE, tmp_path / "m.onnx", images=batches)
    back = models.rebuild(models.describe(OPTIONS, CLASSES, SHAPE, [], []), network.state_dict())
    with torch.no_grad():
        for rows, length in ((1, 1), (5, 9), (2, 12)):
            ids = batch(length, rows)
            expected = network(ids)
            assert expected.shape == (rows * length, CLASSES)
            np.testing.assert_allclose(runtime.logits(tmp_path / "m.onnx", ids.numpy()), expected, atol=1e-4)
            torch.testing.assert_close(back(ids), expected)


def test_its_taps_are_the_blocks(network):
    assert list(models.taps(network)) == ["stem", "stage1", "stage2"]
    assert inputs.of(SHAPE).in_one(SHAPE) == 12


def test_at_gpt_2s_size_it_has_gpt_2s_parameters_beside_its_own_head():
    options = validate("architecture", {"architecture": "text_decoder", "depth": 12, "dim": 768, "heads": 12})
    with torch.device("meta"):
        made = models.create(options, 50_257, TextShape("passages", 1024, 1024, 50_257, ""), [], [])
    own = {id(one) for one in made.head.parameters()}  # GPT-2's head is its embedding
    assert sum(one.numel() for one in made.parameters() if id(one) not in own) == 124_439_808
