"""Head and neuron pruning: what leaves is what matters least, the rest stays as it is, and the network comes back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from kdcore import models
from kdcore.compress.step import CompressError, StepInput
from kdcore.compress.traits import StepTraits
from kdcore.export import onnx_file, runtime
from kdcore.inputs.text import TextShape
from kdcore.registry import entry, validate

SHAPE = TextShape("text", 6, 12, 40, "test")
BERT = {"architecture": "bert", "depth": 2, "dim": 16, "heads": 4}
ENCODER = BERT | {"architecture": "text_encoder"}
DECODER = BERT | {"architecture": "text_decoder"}


def network(chosen):
    torch.manual_seed(0)
    made = models.create(validate("architecture", chosen), 3, SHAPE, [], []).eval()  # a decoder takes the same shape
    with torch.no_grad():  # far enough from each other to be told apart
        for weight in made.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return made


def ids(length, rows=3):
    return torch.from_numpy(np.random.default_rng(length).integers(1, 40, (rows, length)))


def pruned(made, **options):
    texts = ids(12, rows=48)
    with torch.no_grad():
        answers = len(made(texts))  # a language model gives one at each place
    targets = torch.eye(3)[torch.arange(answers) % 3]
    material = StepInput(made, Path(), texts, SHAPE, Path(), 0, targets)
    chosen = validate("step", {"step": "prune_transformer", **options})
    return entry("step", "prune_transformer").implementation(material, chosen)


@pytest.mark.parametrize(("chosen", "importance"), [(BERT, "gradient"), (BERT, "l2"), (DECODER, "gradient")])
def test_what_says_nothing_leaves_and_the_answers_stay(chosen, importance):
    made = network(chosen)
    blocks = list(models.blocks(made).values())
    texts = ids(9)
    mute = [0, 2]
    with torch.no_grad():
        for one in blocks:
            one.attention.out.weight.unflatten(1, (4, 4))[:, mute] = 0
            for layer in (one.attention.query, one.attention.key, one.attention.value):
                layer.weight.unflatten(0, (4, 4))[mute] *= 1e-3
            one.mlp.linear2.weight[:, ::2] = 0
            one.mlp.linear1.weight[::2] *= 1e-3
        before = made(texts)
    rows = pruned(made, importance=importance, scope="layer").report
    assert [(row["kind"], row["before"], row["after"]) for row in rows] == [
        ("heads", 4, 2), ("heads", 4, 2), ("neurons", 64, 32), ("neurons", 64, 32),
    ]  # fmt: skip
    assert blocks[0].attention.query.weight.shape == (8, 16)
    assert blocks[0].mlp.linear2.weight.shape == (16, 32)
    with torch.no_grad():
        torch.testing.assert_close(made(texts), before)


def test_importance_is_the_change_of_the_loss_to_first_order():
    """Michel et al. 2019, equation 2: the derivative by a factor on the head's output, by finite differences."""
    from kdcore.compress.tools import units

    made = network(BERT).double()
    texts, targets = ids(12, rows=8), torch.eye(3, dtype=torch.float64)[torch.arange(8) % 3]
    found = {name: one for name, one in units.of(made).items() if one.kind == "heads"}
    scores = units.scores(found, StepInput(made, Path(), texts, SHAPE, Path(), 0, targets), "gradient", 8)
    out = made.stage1[1].attention.out
    losses = []
    for factor in (1 - 1e-4, 1 + 1e-4):
        with torch.no_grad():
            out.weight.unflatten(1, (4, 4))[:, 3] *= factor
            losses.append(torch.nn.functional.cross_entropy(made(texts), targets, reduction="none"))
            out.weight.unflatten(1, (4, 4))[:, 3] /= factor
    by_hand = ((losses[1] - losses[0]) / 2e-4).abs().mean()
    assert scores["stage1.1.attention"][3].item() == pytest.approx(by_hand.item(), rel=1e-3)


def test_all_layers_together_give_up_the_share_and_each_keeps_a_head():
    made = network(BERT)
    with torch.no_grad():
        made.stage1[0].attention.out.weight.unflatten(1, (4, 4))[:, 1:] *= 1e-3  # the others of its layer outdo these
    rows = pruned(made, heads=0.5, neurons=0).report
    assert [row["after"] for row in rows] == [1, 3, 64, 64]
    rows = pruned(made, heads=0.95, neurons=0, importance="random").report
    assert [row["after"] for row in rows[:2]] == [1, 1]
    with pytest.raises(CompressError, match="nothing was removed"):
        pruned(made, heads=0.5, neurons=0, scope="layer")


def test_what_it_cannot_work_on_is_said():
    with pytest.raises(ValidationError, match="removes nothing"):
        validate("step", {"step": "prune_transformer", "heads": 0, "neurons": 0})
    traits = StepTraits.of(validate("step", "prune_transformer"))
    assert traits.refuses(validate("architecture", "bert"), []) is None
    assert "first" in traits.refuses(validate("architecture", "bert"), ["low_rank"])


@pytest.mark.parametrize("chosen", [ENCODER, *(pytest.param(one, marks=pytest.mark.slow) for one in (DECODER, BERT))])
def test_the_file_takes_any_batch_of_any_length_and_the_network_comes_back(tmp_path, chosen):
    made = network(chosen)
    described = models.describe(validate("architecture", chosen), 3, SHAPE, [], [])
    whole = sum(weight.numel() for weight in made.parameters())
    pruned(made, heads=0.4, neurons=0.3)
    assert sum(weight.numel() for weight in made.parameters()) < whole
    batches = [ids(length).numpy() for length in (12, 6, 2)]
    onnx_file.export(made, SHAPE, tmp_path / "m.onnx", images=batches)
    again = models.rebuild(described, made.state_dict())
    for batch in (*batches, ids(1).numpy(), ids(9, rows=1).numpy()):
        with torch.no_grad():
            expected = made(torch.from_numpy(batch))
            assert torch.equal(again(torch.from_numpy(batch)), expected)
        np.testing.assert_allclose(runtime.logits(tmp_path / "m.onnx", batch), expected, atol=1e-4)
