"""GPT-2: the published function for the tokens that are kept, and folders that cannot be used."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kdcore import hub, inputs, models
from kdcore.export import onnx_file, runtime, weights
from kdcore.inputs.text import TextShape
from kdcore.models.gpt2 import unfit
from kdcore.models.traits import ArchitectureTraits
from kdcore.registry import validate
from tests import gpt2

KIND = inputs.named("tokens")
LENGTH = 12


def items(folder):
    return gpt2.passages(folder, LENGTH)


def shape(folder):
    return KIND.shape(items(folder))


def options(folder, **more):
    return validate("architecture", gpt2.MODEL | {"weights": str(folder)} | more)


def made(folder, **more):
    of = shape(folder)
    return models.create(options(folder, **more), of.vocabulary - 2, of, [], []).eval()


@pytest.mark.parametrize("prefix", ["transformer.", ""])
def test_it_is_transformers_gpt2_on_the_tokens_that_are_kept(tmp_path, prefix):
    transformers = pytest.importorskip("transformers", reason="compares with transformers: pip install transformers")
    torch.manual_seed(0)
    config = {name: value for name, value in gpt2.SIZES.items() if name != "model_type"}
    theirs = transformers.GPT2LMHeadModel(transformers.GPT2Config(**config)).eval()
    with torch.no_grad():
        for weight in theirs.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    state = {name.removeprefix("transformer."): value.numpy() for name, value in theirs.state_dict().items()}
    head = {"lm_head.weight": state.pop("lm_head.weight")} if prefix else {}
    folder = gpt2.folder(tmp_path, weights={prefix + name: value for name, value in state.items()} | head)
    ours, known = made(folder), items(folder)
    places = torch.tensor(known.tokenizer.places)
    ids = KIND.tensor(known)
    with torch.no_grad():
        expected = theirs(input_ids=places[ids - 2]).logits[..., places]
        torch.testing.assert_close(ours(ids), expected.flatten(0, 1), atol=1e-4, rtol=1e-4)


def test_its_file_holds_one_table_and_it_comes_back_tied(tmp_path):
    folder = gpt2.folder(tmp_path / "folder")
    network, of = made(folder), shape(folder)
    onnx_file.export(network, of, tmp_path / "m.onnx", images=KIND.samples(items(folder)))
    size = sum(one.numel() for one in network.parameters()) * 4
    assert (tmp_path / "m.onnx").stat().st_size < size + of.vocabulary * 32 * 4  # not twice
    weights.save(tmp_path, network, models.describe(options(folder), of.vocabulary - 2, of, [], [], network))
    back = weights.load(tmp_path)
    ids = KIND.tensor(items(folder))[:2, :7]
    with torch.no_grad():
        np.testing.assert_allclose(runtime.logits(tmp_path / "m.onnx", ids.numpy()), network(ids), atol=1e-3)
        torch.testing.assert_close(back(ids), network(ids))
    assert back.head.weight is back.stem.token.weight


def test_a_shallower_network_takes_evenly_spaced_layers_and_the_blocks_are_its_taps(tmp_path):
    folder = gpt2.folder(tmp_path, config=gpt2.SIZES | {"n_layer": 4}, weights=gpt2.tensors(n_layer=4))
    half = made(folder)
    saved = torch.from_numpy(gpt2.tensors(n_layer=4)["h.2.mlp.c_fc.weight"])
    assert torch.equal(half.stage2.mlp.linear1.weight, saved.T)
    assert list(models.taps(half)) == ["stem", "stage1", "stage2"]
    assert list(models.blocks(half)) == ["stage1", "stage2"]


def test_at_gpt_2s_size_it_has_gpt_2s_parameters():
    asked = validate("architecture", "gpt2")
    with torch.device("meta"):
        network = models.create(asked, 50_257, TextShape("tokens", 1024, 1024, 50_259, ""), [], [])
    assert sum(one.numel() for one in network.parameters()) == 124_439_808


def without(name):
    return {key: value for key, value in gpt2.tensors().items() if key != name}


def changed(**config):
    return {"config": gpt2.SIZES | config}


HOSTILE = {
    "another model": (changed(model_type="llama"), "give a folder of GPT-2's family"),
    "another width": (changed(n_embd=64), "set dim to it"),
    "other heads": (changed(n_head=2), "set heads to it"),
    "another function": (changed(activation_function="relu"), "not supported"),
    "another inner width": (changed(n_inner=32), "not supported"),
    "no layers": (changed(n_layer="many"), "how many layers"),
    "too few layers": (changed(n_layer=1), "has 1 layers"),
    "too few places": (changed(n_positions=8), "set data.source.window to no more"),
    "too few words": (changed(vocab_size=100), "the tokenizer that the model was trained with"),
    "fewer rows than it says": ({"weights": gpt2.tensors(vocab_size=100)}, "is needed"),
    "a tensor less": ({"weights": without("h.1.mlp.c_proj.bias")}, "no tensor"),
    "a wrong shape": ({"weights": gpt2.tensors() | {"ln_f.bias": np.zeros(7, np.float32)}}, "is needed"),
    "no numbers": ({"weights": gpt2.tensors() | {"ln_f.bias": np.full(32, np.nan, np.float32)}}, "no numbers"),
    "a head of its own": (
        {"weights": gpt2.tensors() | {"lm_head.weight": np.zeros((300, 32), np.float32)}}, "not its embedding",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_folder_that_cannot_be_used_is_refused_in_one_message(tmp_path, name):
    right, folder = gpt2.folder(tmp_path / "right"), gpt2.folder(tmp_path / "wrong", **HOSTILE[name][0])
    of = shape(right)
    with pytest.raises(hub.BadFolder, match=HOSTILE[name][1]) as refused:
        models.create(options(folder), of.vocabulary - 2, of, [], [])
    assert len(str(refused.value)) < 200 + 2 * len(str(folder))


def test_characters_or_another_tokenizer_are_refused_with_the_remedy(tmp_path):
    folder = gpt2.folder(tmp_path / "one")
    other = gpt2.folder(tmp_path / "other", words=gpt2.tokenizer("another text, and another cut of it", 280))
    asked = options(folder)
    assert unfit(asked, shape(folder)) == {}
    for of in (shape(other), TextShape("passages", 8, 8, 40, "")):
        assert f"set data.source.tokenizer to {folder}" in unfit(asked, of)["weights"]


def test_files_are_tensors_and_those_that_were_planned_with(tmp_path):
    folder = gpt2.folder(tmp_path)
    planned = ArchitectureTraits.of(options(folder)).pinned(options(folder))
    assert planned.sha256 == hub.digest(folder)
    of = shape(folder)
    gpt2.folder(tmp_path, weights=gpt2.tensors() | {"ln_f.bias": np.ones(32, np.float32)})
    with pytest.raises(hub.BadFolder, match="SHA-256 differs"):
        models.create(planned, of.vocabulary - 2, of, [], [])
    (folder / "model.safetensors").write_bytes(b"\x80\x04garbage" * 40)
    with pytest.raises(hub.BadFolder, match="cannot be read as safetensors"):
        made(folder)
