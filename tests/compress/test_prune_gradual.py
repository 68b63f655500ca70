from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from kdcore.compress.tools.gradual import Gradual, PruningSchedule
from kdcore.inputs.images import InMemoryImages
from kdcore.recipe import RecipeError, Train, parse
from kdcore.train.loop import Task, fit

STEPS = 20
PLAN = PruningSchedule("magnitude", 0.8, "global", STEPS, 0.1, 0.6, {})


def zeros(network: nn.Module) -> float:
    weights = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    return sum(int((weight == 0).sum()) for weight in weights) / sum(weight.numel() for weight in weights)


def test_the_share_follows_the_cubic_course():
    final, first, span = 0.8, 2, 10  # eq. 1 with an initial share of zero
    for step in range(STEPS + 1):
        passed = min(max(step - first, 0), span) / span
        wanted = final + (0 - final) * (1 - passed) ** 3
        assert PLAN.wanted(PLAN.done(step)) == pytest.approx(wanted)
    assert PLAN.due() == set(range(3, 13))
    assert PLAN._replace(begin=0.0, end=1.0, steps=1).due() == {1}
    long = PLAN._replace(begin=0.0, end=1.0, steps=10_000).due()
    assert len(long) == 50
    assert max(long) == 10_000
    assert PLAN._replace(shares={"a": 0.5}).wanted(0.5) == {"a": 0.25}


def train(network, constrain, first, last, optimizer, images, targets):
    for step in range(first, last):
        rows = slice(32 * step, 32 * step + 32)
        nn.functional.cross_entropy(network(images[rows]), targets[rows]).backward()
        optimizer.step()
        optimizer.zero_grad()
        constrain()


@pytest.mark.parametrize(
    ("importance", "scope"),
    [("magnitude", "global"), ("random", "layer"), ("taylor", "global"), ("movement", "layer"), ("wanda", "filter")],
)
def test_interrupted_training_goes_on_as_if_it_had_not_been(
    trained, material, carry_out, images, targets, importance, scope
):
    def begun():
        given = material(trained(width=8), count=200)
        options = {"importance": importance, "scope": scope, "schedule": "gradual", "end": 0.8, "images": 32}
        outcome = carry_out(given, "prune_unstructured", ratio=0.7, finetune={"steps": STEPS}, **options)
        return outcome, torch.optim.AdamW(outcome.network.train().parameters(), 0.01)

    whole, optimizer = begun()
    assert zeros(whole.network) == 0
    train(whole.network, whole.constrain, 0, 9, optimizer, images, targets)
    saved = copy.deepcopy(whole.network.state_dict()), copy.deepcopy(optimizer.state_dict())
    assert 0 < zeros(whole.network) < 0.7
    train(whole.network, whole.constrain, 9, STEPS, optimizer, images, targets)
    assert zeros(whole.network) == pytest.approx(0.7, abs=0.02)

    resumed, optimizer = begun()
    resumed.network.load_state_dict(saved[0])
    optimizer.load_state_dict(saved[1])
    train(resumed.network, resumed.constrain, 9, STEPS, optimizer, images, targets)
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name

    names = set(trained(width=8).state_dict())
    done = whole.finish(whole.network.eval())
    assert set(done.network.state_dict()) == names
    assert sum(row["zeros"] for row in done.report) / sum(row["weights"] for row in done.report) == zeros(done.network)
    assert not any(module._backward_hooks or module._forward_pre_hooks for module in done.network.modules())


def test_movement_prunes_what_training_moves_towards_zero():
    network = nn.Linear(4, 1, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[1.0, -1.0, 0.1, -0.1]]))
    pruning = Gradual(network, PruningSchedule("movement", 0.5, "global", 4, 0.0, 1.0, {}))
    push = torch.tensor([[1.0, -1.0, -1.0, 1.0]])  # gradients: the first two shrink, the others grow
    optimizer = torch.optim.SGD(network.parameters(), 0.01)
    for _ in range(4):
        (network.weight * push).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        pruning.constrain()
    assert (network.weight != 0).tolist() == [[False, False, True, True]]


@pytest.mark.parametrize("ending", [{"ema": 0.9}, {"patience": 1}, {}])
def test_a_training_that_ends_early_or_deploys_a_mean_has_all_zeros(
    trained, material, carry_out, images, targets, tmp_path, ending
):
    given = material(trained(width=8), count=200)
    options = {"schedule": "gradual", "end": 1.0, "finetune": {"steps": STEPS}}
    outcome = carry_out(given, "prune_unstructured", ratio=0.75, **options)
    shown = (images[:128] * 255).byte()
    task = Task(
        InMemoryImages(shown), targets[:128], (shown[:40], targets[:40].argmax(1)),
        Train(steps=STEPS, batch_size=32, learning_rate=0.05, **ending), STEPS, "fp32", seed=0,
        constrain=outcome.constrain,
    )  # fmt: skip
    fit(outcome.network, task, tmp_path)
    done = outcome.finish(outcome.network)
    assert zeros(done.network) == pytest.approx(0.75, abs=1e-3)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"importance": "movement"}, "set schedule to gradual"),
        ({"importance": "movement", "schedule": "gradual"}, "set scope to layer or filter"),
        ({"importance": "wanda"}, "set scope to layer or filter"),
        ({"schedule": "gradual", "finetune": {"steps": 0}}, "set finetune.steps"),
        ({"schedule": "gradual", "begin": 0.5, "end": 0.5}, "set end above begin"),
        ({"schedule": "gradual", "pattern": "2:4"}, "pruned at once"),
        ({"policy": {"head": 0.5}, "pattern": "2:4"}, "no policy"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, reason):
    with pytest.raises(RecipeError, match=reason):
        parse({"compress": [{"step": "prune_unstructured", **options}]})
