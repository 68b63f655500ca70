"""GKD: the divergence by scipy, and what the student writes judged by both networks."""

import pytest
import torch
from scipy.special import rel_entr

from kdcore import inputs
from kdcore.distill.gkd import GeneralizedDistillation, Gkd, generalized_jsd, written_on
from kdcore.distill.method import StepInputs
from tests import pairs

STUDENT = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]], dtype=torch.float64)
TEACHER = torch.tensor([[1.0, 1.0, 0.0], [0.0, -2.0, 1.0]], dtype=torch.float64)


@pytest.mark.parametrize("beta", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_it_is_the_divergence_of_the_paper(beta):
    q, p = (torch.softmax(logits, 1).numpy() for logits in (STUDENT, TEACHER))
    mixed = beta * p + (1 - beta) * q
    expected = {0: rel_entr(p, q), 1: rel_entr(q, p)}.get(
        beta, beta * rel_entr(p, mixed) + (1 - beta) * rel_entr(q, mixed)
    )
    assert generalized_jsd(STUDENT, TEACHER, beta).item() == pytest.approx(expected.sum() / 2)


def test_its_gradient_tends_to_those_of_both_divergences():
    def gradient(beta: float) -> torch.Tensor:
        student = STUDENT.clone().requires_grad_()
        generalized_jsd(student, TEACHER, beta).backward()
        return student.grad

    torch.testing.assert_close(gradient(1e-5) / 1e-5, gradient(0), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(gradient(1 - 1e-5) / 1e-5, gradient(1), rtol=1e-3, atol=1e-4)


@pytest.fixture(scope="module")
def networks():
    items, labels = pairs.passages()
    kind = inputs.named("passages")
    shape = kind.shape(items)
    student, teacher = pairs.writer(1, 0, shape), pairs.writer(2, 1, shape).eval()
    return student, teacher, kind.tensor(items), torch.eye(38)[torch.from_numpy(labels)]


def test_the_beginning_stays_and_the_rest_follows_the_student(networks):
    student, _, ids, _ = networks
    certain = torch.nn.Linear(8, 38)
    torch.nn.init.zeros_(certain.weight)
    with torch.no_grad():
        certain.bias.copy_(100.0 * torch.nn.functional.one_hot(torch.tensor(5), 38))
    kept, student.head = student.head, certain
    text = written_on(student, ids, 3, torch.Generator().manual_seed(0))
    student.head = kept
    torch.testing.assert_close(text[:, :3], ids[:, :3])
    assert (text[:, 3:] == 7).all()  # class 5 is the character with the id 7


def test_the_student_is_judged_where_it_has_written_and_the_same_seed_writes_the_same(networks):
    student, teacher, ids, targets = networks
    method = GeneralizedDistillation(Gkd(own_share=1, written=2, beta=1, hard_weight=0))
    logits = student(ids)
    seen = StepInputs(logits, teacher(ids).detach(), targets, seed=3, shown=ids)
    method.prepare(student, teacher, seen, 12)
    loss = method.loss(seen)["soft"]
    chance = torch.Generator().manual_seed(3)
    torch.rand(1, generator=chance)
    text = written_on(student, ids, 6, chance)
    said = [network(text).unflatten(0, (12, 8))[:, 5:7].flatten(0, 1) for network in (student, teacher)]
    q, p = (torch.softmax(one.double(), 1) for one in said)
    assert loss.item() == pytest.approx(0.9 * (q * (q / p).log()).sum(1).mean().item(), rel=1e-4)
    assert method.loss(seen)["soft"].item() == loss.item()
    loss.backward()
    assert student.head.weight.grad.abs().sum() > 0


def test_without_own_text_it_learns_from_the_data(networks):
    student, teacher, ids, targets = networks
    method = GeneralizedDistillation(Gkd(own_share=0, beta=0, hard_weight=0))
    seen = StepInputs(student(ids), teacher(ids), targets, shown=ids)
    assert method.loss(seen)["soft"].item() == pytest.approx(
        0.9 * generalized_jsd(seen.student, seen.teacher, 0).item()
    )
