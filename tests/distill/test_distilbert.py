"""DistilBERT's recipe: the authors' loss on the same tensors, and the layers that the student begins with."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from kdcore.distill.method import StepInputs, Unsuitable
from kdcore.inputs.text import KIND
from kdcore.registry import entry, validate
from tests import pairs

SHAPE = KIND.shape(pairs.texts())


def method(**options):
    chosen = validate("method", {"method": "distilbert", **options})
    return entry("method", "distilbert").implementation(chosen)


def seen(student, teacher, own, hidden, targets, known):
    return StepInputs(student, teacher, targets, {"stage1": own}, {"stage1": hidden}, known=known)


def theirs(student, teacher, own, hidden, known, temperature):
    """What Distiller.step of the authors' code computes of the soft targets and the hidden states, term by term."""
    divergence = nn.KLDivLoss(reduction="batchmean")(
        functional.log_softmax(student / temperature, -1), functional.softmax(teacher / temperature, -1)
    )
    mask = known.unsqueeze(-1).expand_as(own)
    chosen = [torch.masked_select(states, mask).view(-1, own.shape[-1]) for states in (own, hidden)]
    target = chosen[0].new_ones(len(chosen[0]))
    return divergence * temperature**2, nn.CosineEmbeddingLoss(reduction="mean")(*chosen, target)


def test_the_terms_are_the_authors():
    torch.manual_seed(0)
    student, teacher = torch.randn(4, 3), torch.randn(4, 3)
    own, hidden = torch.randn(4, 6, 8), torch.randn(4, 6, 8)
    known = torch.arange(6) < torch.tensor([[6], [2], [4], [1]])
    recipe = method(temperature=3.0)
    recipe._student = recipe._teacher = "stage1"
    targets = torch.eye(3)[[0, 1, 2, 0]]
    terms = recipe.loss(seen(student, teacher, own, hidden, targets, known))
    soft, cosine = theirs(student, teacher, own, hidden, known, 3.0)
    torch.testing.assert_close(terms["soft"], 5 * soft)
    torch.testing.assert_close(terms["hidden"], cosine)
    torch.testing.assert_close(terms["hard"], 2 * functional.cross_entropy(student, targets.argmax(1)))


def test_the_student_begins_with_evenly_spaced_layers_and_the_teachers_head():
    teacher = pairs.reader(6, 1, SHAPE)
    student = method().begin(pairs.reader(2, 0, SHAPE), teacher)
    for place, layer in enumerate((0, 3)):
        for own, other in zip(student.stage1[place].parameters(), teacher.stage1[layer].parameters(), strict=True):
            assert torch.equal(own, other)
    for name in ("stem", "pool", "head"):
        ours, whole = (network.get_submodule(name).state_dict() for network in (student, teacher))
        assert all(torch.equal(value, whole[key]) for key, value in ours.items())


def test_a_student_of_another_width_is_refused():
    recipe = method()
    recipe._student = recipe._teacher = "stage1"
    given = seen(torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(2, 6, 4), torch.zeros(2, 6, 8), torch.eye(3)[:2],
                 torch.ones(2, 6, dtype=torch.bool))  # fmt: skip
    with pytest.raises(Unsuitable, match="width"):
        recipe.loss(given)
