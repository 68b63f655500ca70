"""The text encoder: any length, padding without effect, and counts by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnx import load
from pydantic import ValidationError

from kdcore import models
from kdcore.export import onnx_file, runtime
from kdcore.inputs.text import TextShape
from kdcore.models.cost import macs
from kdcore.registry import validate

SHAPE = TextShape("text", 6, 12, 40, "test")
DEPTH, DIM, CLASSES = 2, 16, 5


def network():
    torch.manual_seed(0)
    options = validate("architecture", {"architecture": "text_encoder", "depth": DEPTH, "dim": DIM, "heads": 2})
    made = models.create(options, CLASSES, SHAPE, [], []).eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return made, models.describe(options, CLASSES, SHAPE, [], [])


def batch(length, rows=3):
    return torch.from_numpy(np.random.default_rng(length).integers(1, SHAPE.vocabulary, (rows, length)))


@pytest.mark.parametrize("length", [1, 5, 12])
def test_padding_changes_no_answer(length):
    made, _ = network()
    ids = batch(length)
    padded = torch.nn.functional.pad(ids, (0, 12 - length))
    with torch.no_grad():
        torch.testing.assert_close(made(padded), made(ids))
        order = torch.arange(length - 1, -1, -1)
        assert length == 1 or not torch.allclose(made(ids[:, order]), made(ids))  # it knows the places


def test_parameters_and_macs_are_those_counted_by_hand():
    made, _ = network()
    linear = 4 * DIM * DIM + 2 * 4 * DIM * DIM
    block = linear + (4 + 4 + 1) * DIM + 2 * 2 * DIM
    embeddings = (SHAPE.vocabulary + SHAPE.longest) * DIM
    head = DIM * CLASSES
    assert sum(one.numel() for one in made.parameters()) == embeddings + DEPTH * block + 2 * DIM + head + CLASSES
    length = SHAPE.length
    assert macs(made, SHAPE) == DEPTH * (length * linear + 2 * length * length * DIM) + head


def test_a_file_takes_any_batch_of_any_length_and_says_what_the_network_says(tmp_path):
    made, described = network()
    batches = [batch(length).numpy() for length in (12, 7, 2)]
    onnx_file.export(made, SHAPE, tmp_path / "m.onnx", images=batches)
    running = runtime.session(tmp_path / "m.onnx")
    again = models.rebuild(described, made.state_dict())
    for ids in (*batches, batch(1).numpy(), batch(9, rows=1).numpy()):
        with torch.no_grad():
            expected = made(torch.from_numpy(ids))
            assert torch.equal(again(torch.from_numpy(ids)), expected)
        np.testing.assert_allclose(runtime.logits(running, ids), expected, atol=1e-5)
    axes = load(tmp_path / "m.onnx").graph.input[0].type.tensor_type.shape.dim
    assert [bool(axis.dim_param) for axis in axes] == [True, True]


def test_an_equal_network_fills_the_kept_graph(tmp_path):
    made, _ = network()
    ids = [batch(12).numpy()]
    first, second = (
        onnx_file.export(made, SHAPE, tmp_path / "m.onnx", images=ids, cache=tmp_path / "kept") for _ in range(2)
    )
    assert (first["reused"], second["reused"]) == (False, True)


def test_heads_must_share_the_width():
    with pytest.raises(ValidationError, match="multiple of heads"):
        validate("architecture", {"architecture": "text_encoder", "dim": 30, "heads": 4})
