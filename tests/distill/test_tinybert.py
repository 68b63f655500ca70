"""TinyBERT: the authors' terms on the same tensors, and layers before outputs."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from kdcore import models
from kdcore.distill.method import StepInputs, Unsuitable
from kdcore.inputs.text import KIND
from kdcore.registry import entry, validate
from tests import pairs

SHAPE = KIND.shape(pairs.texts())
BATCH, LENGTH, HEADS = 3, 5, 2


def method(**options):
    chosen = validate("method", {"method": "tinybert", **options})
    return entry("method", "tinybert").implementation(chosen)


def scores(query, key):
    """Attention scores as BertSelfAttention of the authors' code gives them out."""
    query, key = (one.view(BATCH, LENGTH, HEADS, -1).permute(0, 2, 1, 3) for one in (query, key))
    return torch.matmul(query, key.transpose(-1, -2)) / math.sqrt(query.shape[-1])


def features(network, dim, depth):
    names = ["stem", *(f"stage1.{place}" for place in range(depth))]
    names += [f"stage1.{place}.attention.{layer}" for place in range(depth) for layer in ("query", "key")]
    return {name: torch.randn(BATCH, LENGTH, dim) for name in names}


def theirs(student, teacher, projection, depths):
    """The loop over layers of task_distill.py, without padding."""
    per_block = depths[1] // depths[0]
    reps = [[found["stem"], *(found[f"stage1.{place}"] for place in range(depth))]
            for found, depth in zip((student, teacher), depths, strict=True)]  # fmt: skip
    atts = [[scores(found[f"stage1.{i}.attention.query"], found[f"stage1.{i}.attention.key"]) for i in range(depth)]
            for found, depth in zip((student, teacher), depths, strict=True)]  # fmt: skip
    mse = nn.MSELoss()
    hidden = sum(mse(projection(reps[0][i]), reps[1][i * per_block]) for i in range(depths[0] + 1))
    attention = sum(mse(atts[0][i], atts[1][i * per_block + per_block - 1]) for i in range(depths[0]))
    return hidden, attention


def test_the_layers_terms_are_the_authors():
    torch.manual_seed(0)
    student, teacher = pairs.reader(2, 0, SHAPE), pairs.reader(4, 1, SHAPE, dim=12)
    recipe = method(hidden_weight=2.0, attention_weight=3.0)
    recipe.taps(student, teacher)
    own, other = features(student, 8, 2), features(teacher, 12, 4)
    known = torch.ones(BATCH, LENGTH, dtype=torch.bool)
    seen = StepInputs(torch.zeros(BATCH, 3), torch.zeros(BATCH, 3), torch.eye(3), own, other, known=known)
    projection = recipe.prepare(student, teacher, seen, BATCH)
    assert projection(torch.zeros(1, 8)).shape == (1, 12)
    hidden, attention = theirs(own, other, projection, (2, 4))
    terms = recipe.loss(seen)
    torch.testing.assert_close(terms["hidden"], 2 * hidden)
    torch.testing.assert_close(terms["attention"], 3 * attention)


def test_outputs_follow_the_layers_with_the_authors_gradient():
    torch.manual_seed(0)
    student, teacher = torch.randn(BATCH, 3, requires_grad=True), torch.randn(BATCH, 3)
    seen = StepInputs(student, teacher, torch.eye(3), step=6, steps=10)
    assert method().loss(seen).keys() == {"soft"}
    assert method(hard_weight=1).loss(seen).keys() == {"soft", "hard"}
    (ours,) = torch.autograd.grad(method(temperature=2.0).loss(seen)["soft"], student)
    soft_cross_entropy = (-torch.softmax(teacher / 2, -1) * torch.log_softmax(student / 2, -1)).mean()
    (other,) = torch.autograd.grad(soft_cross_entropy, student)
    torch.testing.assert_close(ours, 2**2 * 3 * other)


def test_other_heads_than_the_teachers_are_refused():
    encoder = {"architecture": "text_encoder", "depth": 2, "dim": 8, "heads": 4}
    torch.manual_seed(0)
    student = models.create(validate("architecture", encoder), 10, SHAPE, [], [])
    with pytest.raises(Unsuitable, match="heads"):
        pairs.terms("tinybert", student, pairs.reader(2, 1, SHAPE), KIND.tensor(pairs.texts(4)))
