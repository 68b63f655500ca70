import pytest
import torch

from kdcore.distill.dist import Dist, RelationDistillation, relation, relations
from kdcore.distill.method import StepInputs

STUDENT = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.7, 3.0], [0.1, -1.0, 0.4]], dtype=torch.float64)
TEACHER = torch.tensor([[1.0, 1.5, 0.0], [0.0, -2.0, 1.0], [2.0, 0.3, -0.5]], dtype=torch.float64)


def pearson(a, b):
    """The correlation of two lists, from sums of products."""
    n = len(a)
    ab, aa, bb = (sum(x * y for x, y in zip(*pair, strict=True)) for pair in ((a, b), (a, a), (b, b)))
    return (n * ab - sum(a) * sum(b)) / ((n * aa - sum(a) ** 2) * (n * bb - sum(b) ** 2)) ** 0.5


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_both_relations_match_the_correlations_written_out(temperature):
    p, q = ((logits / temperature).softmax(1) for logits in (STUDENT, TEACHER))
    rows = 1 - sum(pearson(a, b) for a, b in zip(p.tolist(), q.tolist(), strict=True)) / 3
    columns = 1 - sum(pearson(a, b) for a, b in zip(p.T.tolist(), q.T.tolist(), strict=True)) / 3
    found = [value.item() for value in relations(STUDENT, TEACHER, temperature)]
    assert found == pytest.approx([temperature**2 * rows, temperature**2 * columns])


def test_shifts_and_positive_factors_of_a_row_change_nothing_and_a_negative_one_turns_it_round():
    factors, shifts = torch.tensor([[2.0], [0.1], [30.0]]), torch.tensor([[1.0], [-4.0], [0.0]])
    assert relation(STUDENT, factors * TEACHER + shifts).item() == pytest.approx(relation(STUDENT, TEACHER).item())
    assert relation(STUDENT, STUDENT).item() == pytest.approx(0, abs=1e-12)
    assert relation(STUDENT, -STUDENT).item() == pytest.approx(2)


def test_gradients_agree_with_finite_differences():
    student = STUDENT.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda logits: sum(relations(logits, TEACHER, 4.0)), (student,))


def test_a_constant_row_and_a_single_image_give_finite_gradients():
    student = torch.zeros(1, 3, requires_grad=True)
    sum(relations(student, TEACHER[:1].float(), 4.0)).backward()
    assert student.grad.isfinite().all()


def test_the_terms_carry_the_weights_and_need_no_label():
    loss = RelationDistillation(Dist()).loss(StepInputs(STUDENT, TEACHER, torch.zeros(3, 3, dtype=torch.float64)))
    inter, intra = relations(STUDENT, TEACHER, 4.0)
    assert loss["hard"] == 0
    assert (loss["inter"].item(), loss["intra"].item()) == pytest.approx((2 * inter.item(), 2 * intra.item()))
