from __future__ import annotations

import json
import pickle

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from kdcore.export import weights
from kdcore.export.weights import DamagedWeights


@pytest.mark.parametrize(("architecture", "options"), [("cnn", {"width": 8}), ("mlp", {}), ("resnet", {"depth": 8})])
def test_a_network_comes_back_exactly(make, describe, tmp_path, architecture, options):
    network = make(architecture, **options)
    weights.save(tmp_path, network, describe(architecture, **options))
    again = weights.load(tmp_path)
    assert not again.training
    assert again.state_dict().keys() == network.state_dict().keys()
    for name, value in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    images = torch.rand(4, 1, 8, 8)
    assert torch.equal(again(images), network(images))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["architecture.json", "model.safetensors"]


def test_equal_weights_give_equal_bytes_whatever_their_memory_format(make, describe, tmp_path):
    for name, form in (("a", torch.contiguous_format), ("b", torch.channels_last)):
        (tmp_path / name).mkdir()
        weights.save(tmp_path / name, make(width=8).to(memory_format=form), describe(width=8))
    for file in ("model.safetensors", "architecture.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_weights_are_written_in_fp32(make, describe, tmp_path):
    weights.save(tmp_path, make(width=8).bfloat16(), describe(width=8))
    kinds = {value.dtype for name, value in load_file(tmp_path / "model.safetensors").items() if "num_" not in name}
    assert kinds == {torch.float32}


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3, bias=False)
        self.second = nn.Linear(3, 3, bias=False)
        self.second.weight = self.first.weight
        self.register_buffer("empty", torch.zeros(0))
        self.register_buffer("nothing", torch.zeros(0))


def test_tied_weights_are_written_once_and_come_back_in_both_places(tmp_path, monkeypatch):
    monkeypatch.setattr(weights.models, "rebuild", lambda document, tensors: (document, tensors))
    network = Tied()
    weights.save(tmp_path, network, {"schema": 1, "name": "tied"})
    assert sorted(load_file(tmp_path / "model.safetensors")) == ["empty", "first.weight", "nothing"]
    document, tensors = weights.load(tmp_path)
    assert document == {"schema": 1, "name": "tied"}
    assert torch.equal(tensors["second.weight"], network.first.weight)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model.safetensors", b""),
        ("model.safetensors", b"garbage" * 100),
        ("model.safetensors", (2**62).to_bytes(8, "little") + b"{}"),
        ("model.safetensors", pickle.dumps({"weight": [1.0]})),
        ("architecture.json", b"{"),
        ("architecture.json", b"\xff\xfe\x00"),
    ],
)
def test_damaged_files_are_told_as_such(make, describe, tmp_path, file, content):
    weights.save(tmp_path, make(width=8), describe(width=8))
    (tmp_path / file).write_bytes(content)
    with pytest.raises(DamagedWeights, match="cannot be read"):
        weights.load(tmp_path)


def test_a_truncated_file_is_told_as_such(make, describe, tmp_path):
    weights.save(tmp_path, make(width=8), describe(width=8))
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DamagedWeights, match="cannot be read"):
        weights.load(tmp_path)


def test_tensors_of_another_network_are_refused_by_name(make, describe, tmp_path):
    weights.save(tmp_path, make(width=8), describe("mlp"))
    with pytest.raises(ValueError, match=r"stem\.linear"):
        weights.load(tmp_path)


def test_a_missing_file_is_named(make, describe, tmp_path):
    weights.save(tmp_path, make(width=8), describe(width=8))
    (tmp_path / "architecture.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"architecture\.json is missing"):
        weights.load(tmp_path)


def test_a_failed_write_leaves_the_old_file(make, describe, tmp_path):
    weights.save(tmp_path, make(width=8), describe(width=8))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(TypeError):
        weights.save(tmp_path, make(width=8, seed=1), {"not": json})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
