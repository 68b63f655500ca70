from __future__ import annotations

import torch
from torch import nn

from kdcore.compress.tools import recalibrate as module
from kdcore.compress.tools.recalibrate import recalibrate


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, momentum=0.3), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 3)
    ).eval()


def test_statistics_are_those_of_the_images():
    made, images = network(), torch.rand(50, 1, 8, 8)
    recalibrate(made, images, seed=0)
    features = made[0](images)
    torch.testing.assert_close(made[1].running_mean, features.mean((0, 2, 3)))
    torch.testing.assert_close(made[1].running_var, features.var((0, 2, 3)))


def test_a_later_norm_sees_what_the_earlier_ones_make_of_a_batch():
    made, images = (
        nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).eval(),
        torch.rand(40, 1, 8, 8),
    )
    recalibrate(made, images, seed=0)
    fresh = (images - images.mean()) / (images.var(correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(made[2].running_mean, made[1](fresh).mean((0, 2, 3)), rtol=1e-4, atol=1e-5)


def test_several_batches_are_averaged_plainly(monkeypatch):
    monkeypatch.setattr(module, "BATCH", 16)
    made, images = network(), torch.rand(50, 1, 8, 8)
    recalibrate(made, images, seed=3)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(3))
    parts = [made[0](images[part]) for part in order.tensor_split(4)]
    means = torch.stack([part.mean((0, 2, 3)) for part in parts])
    torch.testing.assert_close(made[1].running_mean, means.mean(0))
    assert made[1].num_batches_tracked == 4


def test_no_more_images_are_used_than_needed(monkeypatch):
    monkeypatch.setattr(module, "MOST_IMAGES", 10)
    made, seen = network(), []
    made.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    recalibrate(made, torch.rand(50, 1, 8, 8), seed=0)
    assert seen == [10]


def test_everything_else_stays_as_it_was():
    made = network()
    before = {name: value.clone() for name, value in made.state_dict().items()}
    recalibrate(made, torch.rand(20, 1, 8, 8), seed=0)
    changed = {name for name, value in made.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"1.running_mean", "1.running_var", "1.num_batches_tracked"}
    assert not any(module.training for module in made.modules())
    assert made[1].momentum == 0.3


def test_a_network_without_norms_is_left_alone():
    made = nn.Linear(2, 2)
    recalibrate(made, torch.rand(3, 2), seed=0)
    assert made.training
