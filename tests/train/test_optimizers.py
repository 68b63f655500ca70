import pytest
import torch
from torch import nn

from kdcore.recipe import Train
from kdcore.train.optimizers import factor, optimizer


def test_one_cycle_rises_to_the_peak_at_30_percent_and_falls_to_nothing():
    factors = [factor(Train(schedule="one_cycle", steps=1), step, 1000) for step in range(1000)]
    assert factors[0] == pytest.approx(1 / 25, abs=1e-4)
    assert max(factors) == pytest.approx(1, abs=1e-4)
    assert factors.index(max(factors)) == pytest.approx(300, abs=1)
    assert factors[-1] < 1e-5


def test_cosine_matches_torch():
    sgd = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, T_max=200)
    for step in range(100):
        sgd.step()
        reference.step()  # now at half-step 2 * step + 1 of 200: the middle of our step
        if step:
            sgd.step()
            reference.step()
        assert reference.get_last_lr()[0] == pytest.approx(
            factor(Train(schedule="cosine", steps=1), step, 100), abs=1e-6
        )


def test_a_step_schedule_is_the_published_one():
    train = Train(schedule="step", steps=1)
    factors = [factor(train, step, 240) for step in range(240)]
    assert [factors.index(pytest.approx(0.1**k)) for k in range(4)] == [0, 150, 180, 210]


def test_a_warm_up_rises_in_a_line_and_then_leaves_the_schedule_alone():
    plain, warm = Train(schedule="cosine", steps=1), Train(schedule="cosine", steps=1, warmup=0.1)
    assert factor(warm, 4, 100) == pytest.approx(0.45 * factor(plain, 4, 100))
    assert factor(warm, 10, 100) == factor(plain, 10, 100)


def test_a_constant_rate_stays():
    assert factor(Train(schedule="constant", steps=1), 7, 10) == 1.0


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_biases_and_normalisation_are_not_decayed(name):
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
    made = optimizer(network.parameters(), Train(optimizer=name, weight_decay=0.5, steps=1))
    decays = {tuple(p.shape): group["weight_decay"] for group in made.param_groups for p in group["params"]}
    assert decays == {(4, 1, 3, 3): 0.5, (4,): 0.0}


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_the_published_recipes_decay_everything(name):
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
    made = optimizer(network.parameters(), Train(optimizer=name, weight_decay=0.5, decay_all=True, steps=1))
    assert {group["weight_decay"] for group in made.param_groups} == {0.5}


def test_frozen_weights_are_left_alone():
    network = nn.Linear(3, 2)
    network.bias.requires_grad_(False)
    assert [len(group["params"]) for group in optimizer(network.parameters(), Train(steps=1)).param_groups] == [1, 0]


def followed(train, gradients):
    weights = nn.Parameter(torch.tensor([[1.0]]))
    made = optimizer([weights], train)
    for gradient in gradients:
        weights.grad = torch.tensor([[gradient]])
        made.step()
    return weights.item()


@pytest.mark.parametrize("nesterov", [True, False])
def test_sgd_has_nesterovs_momentum_or_the_plain_one_of_the_published_loops(nesterov):
    expected, velocity = 1.0, 0.0
    for gradient in (0.5, -0.2, 0.3):
        decayed = gradient + 0.1 * expected  # as the published loops have it
        velocity = 0.9 * velocity + decayed
        expected -= 0.05 * (decayed + 0.9 * velocity if nesterov else velocity)
    train = Train(optimizer="sgd", nesterov=nesterov, learning_rate=0.05, weight_decay=0.1, steps=1)
    assert followed(train, (0.5, -0.2, 0.3)) == pytest.approx(expected, rel=1e-6)


def test_adamw_is_adam_with_the_decay_beside_it():
    expected, mean, square = 1.0, 0.0, 0.0
    for step, gradient in enumerate((0.5, -0.2, 0.3), 1):
        expected *= 1 - 0.05 * 0.1
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        expected -= 0.05 * (mean / (1 - 0.9**step)) / ((square / (1 - 0.999**step)) ** 0.5 + 1e-8)
    train = Train(optimizer="adamw", learning_rate=0.05, weight_decay=0.1, steps=1)
    assert followed(train, (0.5, -0.2, 0.3)) == pytest.approx(expected, rel=1e-5)
