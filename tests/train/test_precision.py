"""Half precision: what is computed in it, the loss scale, and a teacher that is turned once."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from kdcore import models, registry
from kdcore.models.fold import folded
from kdcore.train.loop import Trainer, fit
from kdcore.train.precision import autocast, frozen
from tests.train.conftest import network, same, state

CPU = torch.device("cpu")


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_it_learns_in_half_precision_while_its_weights_stay_whole(task, tmp_path, precision):
    rows, seen, model = [], set(), network()
    model[3].register_forward_hook(lambda module, inputs, output: seen.add(output.dtype))
    fit(model, replace(task, precision=precision), tmp_path, on_epoch=rows.append)
    assert seen == {torch.bfloat16 if precision == "bf16" else torch.float16}
    assert rows[-1]["val_accuracy"] > 0.9
    assert {value.dtype for name, value in state(model).items() if "num_batches" not in name} == {torch.float32}


def test_the_scaled_gradients_of_fp16_are_followed_unscaled(task):
    """Its first step goes as far as one in fp32, but for rounding."""
    moved = []
    for precision in ("fp32", "fp16"):
        train = task.train.model_copy(
            update={"optimizer": "sgd", "schedule": "constant", "learning_rate": 0.1, "clip_norm": 0.05}
        )
        model = network()
        before = model[5].weight.detach().clone()
        trainer = Trainer(model, replace(task, precision=precision, train=train), lambda: None)
        trainer.steps(0, 1, torch.Generator().manual_seed(0))
        moved.append(model[5].weight.detach() - before)
    assert (moved[1] - moved[0]).norm() < 0.02 * moved[0].norm()


def test_a_step_whose_fp16_gradients_overflow_is_left_out_and_the_scale_halved(task):
    model = network()
    trainer = Trainer(model, replace(task, precision="fp16"), lambda: None)
    trainer.steps(0, 1, torch.Generator().manual_seed(0))
    trainer.scaler.load_state_dict({**trainer.scaler.state_dict(), "scale": 2.0**126})
    before = state(model)
    trainer.steps(1, 2, torch.Generator().manual_seed(0))
    learnt = {name for name, _ in model.named_parameters()}
    assert all(torch.equal(before[name], value) for name, value in state(model).items() if name in learnt)
    assert trainer.scaler.get_scale() == 2.0**125


@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize("precision", ["bf16", "fp16", "fp32"])
@pytest.mark.parametrize("architecture", ["resnet", "mlp", "cnn"])
def test_a_frozen_network_answers_to_the_bit_as_autocast_would(architecture, precision, fold):
    torch.manual_seed(0)
    teacher = models.create(registry.validate("architecture", architecture), 10, (1, 8, 8), [0.3], [0.4]).eval()
    teacher = (folded(teacher) if fold else teacher).requires_grad_(False)
    images, before = torch.rand(5, 1, 8, 8), state(teacher)
    with torch.no_grad(), autocast(CPU, precision):
        assert torch.equal(frozen(teacher, precision)(images), teacher(images))
    assert same(before, state(teacher)), "the teacher itself was turned"
    turned = {type(module) for module in frozen(teacher, "bf16").modules() if hasattr(module, "weight")}
    assert turned & {nn.Conv2d, nn.Linear}
