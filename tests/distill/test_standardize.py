import pytest
import torch

from kdcore import registry
from kdcore.distill.dkd import DecoupledDistillation, Dkd
from kdcore.distill.kd import Kd, KnowledgeDistillation, soft_targets
from kdcore.distill.method import StepInputs
from kdcore.distill.standardize import standardized
from kdcore.distill.traits import MethodTraits

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.5]], dtype=torch.float64)
OTHERS = torch.tensor([[1.0, 1.0, 0.0], [0.0, -2.0, 1.0]], dtype=torch.float64)
TARGETS = torch.eye(3, dtype=torch.float64)[[0, 2]]


def test_it_is_the_z_score_of_each_row():
    # Row 2: mean 1.5, squares 1 + 1 + 4 over 2, so a deviation of the square root of 3.
    torch.testing.assert_close(standardized(LOGITS)[1], torch.tensor([-1.0, -1, 2], dtype=torch.float64) / 3**0.5)


def test_shift_and_scale_of_the_logits_change_nothing():
    torch.testing.assert_close(standardized(5 * LOGITS - 3), standardized(LOGITS))


def test_equal_logits_become_zero_and_their_gradient_is_finite():
    logits = torch.full((2, 4), 3.0, requires_grad=True)
    standardized(logits).sum().backward()
    assert logits.grad.isfinite().all()
    assert standardized(logits).abs().max() == 0


@pytest.mark.parametrize(("method", "options"), [(KnowledgeDistillation, Kd), (DecoupledDistillation, Dkd)])
def test_with_it_the_size_of_the_teachers_logits_does_not_matter(method, options):
    def terms(scale, standardize):
        loss = method(options(standardize=standardize)).loss(StepInputs(LOGITS, scale * OTHERS, TARGETS))
        return [value.item() for value in loss.values()]

    assert terms(7, True) == pytest.approx(terms(1, True), rel=1e-5)
    assert terms(7, False) != pytest.approx(terms(1, False), rel=1e-2)


def test_tables_tell_it_from_the_plain_method():
    def label(**options):
        return MethodTraits.of(registry.validate("method", options)).label

    assert label(method="kd") == "student distilled"
    assert label(method="kd", standardize=True) == "student distilled, standardized"
    assert label(method="dkd", standardize=True) == "student, DKD, standardized"


def test_kd_softens_what_was_standardized_and_leaves_the_labels_term_alone():
    plain, other = (KnowledgeDistillation(Kd(standardize=choice)) for choice in (False, True))
    seen = StepInputs(LOGITS, OTHERS, TARGETS)
    assert other.loss(seen)["hard"] == plain.loss(seen)["hard"]
    expected = 0.9 * soft_targets(standardized(LOGITS), standardized(OTHERS), 4)
    assert other.loss(seen)["soft"].item() == pytest.approx(expected.item())
