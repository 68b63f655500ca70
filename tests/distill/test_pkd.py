"""PKD: the authors' patience on the same tensors, and which layers teach which."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from kdcore.distill.method import StepInputs, Unsuitable
from kdcore.distill.pkd import patience, taught
from kdcore.inputs.text import KIND
from kdcore.models.nets.text_encoder import MeanOfTokens
from kdcore.registry import entry, validate
from tests import pairs

SHAPE = KIND.shape(pairs.texts())


def method(**options):
    chosen = validate("method", {"method": "pkd", **options})
    return entry("method", "pkd").implementation(chosen)


def test_patience_is_the_papers_distance_of_unit_states_per_value():
    torch.manual_seed(0)
    student, teacher = torch.randn(4, 2, 6), torch.randn(4, 2, 6)
    total = 0.0
    for text in range(4):
        for layer in range(2):
            own, other = student[text, layer], teacher[text, layer]
            total += (own / own.norm() - other / other.norm()).norm().square().item()
    assert patience(student, teacher).item() == pytest.approx(total / (4 * 2 * 6))


def test_the_layers_are_those_of_the_authors_commands():
    assert taught(6, 12, "skip") == [1, 3, 5, 7, 9]
    assert taught(6, 12, "last") == [6, 7, 8, 9, 10]
    assert taught(3, 12, "skip") == [3, 7]


def test_the_first_token_stands_for_a_text_and_the_outputs_are_learnt_too():
    torch.manual_seed(0)
    recipe = method(layers="last", patience_weight=10, temperature=3, soft_weight=0.7, hard_weight=0.3)
    assert recipe.taps(pairs.reader(2, 0, SHAPE), pairs.reader(4, 1, SHAPE)) == (("stage1.0",), ("stage1.2",))
    own, other = torch.randn(3, 5, 8), torch.randn(3, 5, 8)
    student, teacher = torch.randn(3, 4), torch.randn(3, 4)
    targets, known = torch.eye(4)[[0, 1, 3]], torch.ones(3, 5, dtype=torch.bool)
    terms = recipe.loss(StepInputs(student, teacher, targets, {"stage1.0": own}, {"stage1.2": other}, known=known))
    unit = [functional.normalize(states[:, 0], p=2, dim=1) for states in (own, other)]
    torch.testing.assert_close(terms["patience"], 10 * (unit[0] - unit[1]).square().mean())
    log_own, shares = functional.log_softmax(student / 3, 1), functional.softmax(teacher / 3, 1)
    divided = (shares * (shares.log() - log_own)).mean() * 9  # the authors', by the number of classes too
    torch.testing.assert_close(terms["soft"], 0.7 * 4 * divided)
    torch.testing.assert_close(terms["hard"], 0.3 * functional.cross_entropy(student, targets.argmax(1)))


def test_without_a_first_token_it_is_the_mean_over_the_tokens():
    tokens, known = torch.randn(2, 4, 3), torch.tensor([[1.0, 1, 1, 1], [1, 1, 0, 0]])
    found = MeanOfTokens.summary(tokens, known)
    torch.testing.assert_close(found, torch.stack([tokens[0].mean(0), tokens[1, :2].mean(0)]))


def test_a_student_of_another_width_is_refused():
    with pytest.raises(Unsuitable, match="width"):
        pairs.terms("pkd", pairs.reader(2, 0, SHAPE), pairs.reader(2, 1, SHAPE, dim=12), KIND.tensor(pairs.texts(4)))
