"""MiniLM: the papers' formula, written out token by token, on the same tensors."""

from __future__ import annotations

import math

import pytest
import torch

from kdcore.distill.method import StepInputs, Unsuitable
from kdcore.inputs.text import KIND
from kdcore.registry import entry, validate
from tests import pairs

SHAPE = KIND.shape(pairs.texts())
LENGTHS = (5, 2, 4)
LAYERS = ("query", "key", "value")


def method(**options):
    chosen = validate("method", {"method": "minilm", **options})
    return entry("method", "minilm").implementation(chosen)


def relation(left, right, heads, head):
    """softmax(a b^T / sqrt(d_r)) of one relation head of one text: a, b (L, D)."""
    width = left.shape[1] // heads
    left, right = (one[:, head * width : (head + 1) * width] for one in (left, right))
    return torch.softmax(left @ right.T / math.sqrt(width), dim=1)


def by_hand(student, teacher, relations, heads):
    """1 / (A |x|) times the sum over heads and tokens of KL(teacher, student), mean over texts, sum over relations."""
    total = 0.0
    for one, other in relations:
        for text, length in enumerate(LENGTHS):
            for head in range(heads):
                p, q = (
                    relation(found[one][text, :length], found[other][text, :length], heads, head)
                    for found in (teacher, student)
                )
                total += (p * (p / q).log()).sum().item() / (heads * length * len(LENGTHS))
    return total


@pytest.mark.parametrize(
    ("version", "relations"), [("v2", [(one, one) for one in LAYERS]), ("v1", [("query", "key"), ("value", "value")])]
)
def test_the_relations_are_the_papers(version, relations):
    torch.manual_seed(0)
    student, teacher = ({name: torch.randn(3, 5, dim) for name in LAYERS} for dim in (8, 12))
    recipe = method(relations=version, relation_heads=4, relation_weight=2.0)
    recipe.taps(pairs.reader(1, 0, SHAPE), pairs.reader(2, 1, SHAPE, dim=12))
    own, other = ({f"stage1.{last}.attention.{name}": value for name, value in found.items()}
                  for found, last in ((student, 0), (teacher, 1)))  # fmt: skip
    known = torch.arange(5) < torch.tensor(LENGTHS)[:, None]
    seen = StepInputs(torch.zeros(3, 3), torch.zeros(3, 3), torch.eye(3), own, other, known=known)
    recipe.prepare(None, None, seen, 3)
    found = recipe.loss(seen)["relations"].item()
    assert found == pytest.approx(2 * by_hand(student, teacher, relations, 4), rel=1e-5)


def test_a_number_of_heads_that_divides_no_width_is_refused():
    with pytest.raises(Unsuitable, match="relation_heads"):
        pairs.terms(
            "minilm",
            pairs.reader(1, 0, SHAPE),
            pairs.reader(1, 1, SHAPE),
            KIND.tensor(pairs.texts(4)),
            relation_heads=3,
        )
