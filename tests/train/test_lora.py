"""LoRA: what is trained, what stays, what the merged network computes, and a resume."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import torch

from kdcore import models, registry
from kdcore.train import lora
from kdcore.train.loop import fit
from tests import pairs
from tests.train.conftest import same, state, stop_after

METHOD = registry.validate("method", "distilbert")
RANK = 2


@pytest.fixture
def peft():
    return pytest.importorskip("peft", reason="adapts with peft: pip install 'kdcore[text]'")


def taught(**train):
    student, task = pairs.taught(METHOD, steps=8)
    return student, replace(task, train=task.train.model_copy(update={"lora": RANK, **train}))


def test_the_trunk_stays_and_the_merged_network_is_a_plain_one(peft, tmp_path):
    network, task = taught()
    before = state(network)
    fit(network, task, tmp_path)
    after = state(network)
    assert list(after) == list(before)
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    adapted = {f"stage1.{number}.attention.{layer}.weight" for number in (0, 1) for layer in ("query", "value")}
    assert changed == adapted | {"head.weight", "head.bias"}
    for name in adapted:
        assert torch.linalg.matrix_rank(after[name] - before[name], rtol=1e-4) == RANK
    assert all(weight.requires_grad for weight in network.parameters())


def test_merging_changes_no_answer_and_the_count_is_that_of_peft(peft):
    network, _ = taught()
    counted = lora.trainable(network, RANK)
    lora.attach(network, RANK)
    assert sum(weight.numel() for weight in network.parameters() if weight.requires_grad) == counted
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
        ids = torch.randint(1, 20, (3, 5))
        before = network.eval()(ids)
        lora.merge(network)
        torch.testing.assert_close(network(ids), before)


def test_it_resumes_to_the_same_bits(peft, tmp_path):
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    whole, task = taught()
    fit(whole, task, tmp_path / "whole")
    stopped, task = taught()
    with pytest.raises(KeyboardInterrupt):
        fit(stopped, task, tmp_path / "stopped", check=stop_after(7))
    again, task = taught()
    fit(again, task, tmp_path / "stopped")
    assert same(state(whole), state(again))


def test_a_network_without_attention_is_refused(peft):
    cnn = models.create(registry.validate("architecture", "cnn"), 3, (1, 8, 8), [0.3], [0.4])
    with pytest.raises(ValueError, match="no attention layers"):
        lora.attach(cnn, RANK)


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ValueError, match="pip install"):
        lora.attach(taught()[0], RANK)
