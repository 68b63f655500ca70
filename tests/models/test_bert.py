"""BERT: the published function and sizes, evenly spaced layers of a folder, and folders that cannot be used."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kdcore import hub, models
from kdcore.inputs.text import TextShape
from kdcore.inputs.wordpiece import WordPieces
from kdcore.models.traits import ArchitectureTraits
from kdcore.registry import validate
from tests import folders


def shape(folder, longest=12):
    splits = WordPieces.of_folder(folder, longest)
    return TextShape("text", 6, longest, splits.vocabulary, splits.digest)


def options(folder, **more):
    return validate("architecture", folders.MODEL | {"weights": str(folder)} | more)


def made(folder, **more):
    return models.create(options(folder, **more), 3, shape(folder), [], []).eval()


@pytest.mark.parametrize(
    ("sizes", "published"),
    [({"depth": 6, "dim": 384, "heads": 12}, 22_713_216), ({"depth": 12, "dim": 768, "heads": 12}, 109_482_240)],
)
def test_parameters_are_those_of_the_published_models(sizes, published):
    asked = validate("architecture", {"architecture": "bert", **sizes})
    with torch.device("meta"):
        network = models.create(asked, 2, TextShape("text", 20, 512, 30522, "x"), [], [])
    count = sum(one.numel() for one in network.parameters())
    assert count - sum(one.numel() for one in network.head.parameters()) == published


def test_it_is_transformers_bert(tmp_path):
    transformers = pytest.importorskip("transformers", reason="compares with transformers: pip install transformers")
    torch.manual_seed(0)
    theirs = transformers.BertForSequenceClassification(transformers.BertConfig(**folders.SIZES, num_labels=3)).eval()
    with torch.no_grad():
        for weight in theirs.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    folder = folders.folder(tmp_path, weights={name: value.numpy() for name, value in theirs.state_dict().items()})
    ours = made(folder, depth=4)
    ours.head.load_state_dict(theirs.classifier.state_dict())
    ids = torch.tensor([[5, 1, 2, 3, 7, 6], [5, 8, 6, 0, 0, 0]])
    with torch.no_grad():
        expected = theirs(input_ids=ids, attention_mask=(ids != 0).long()).logits
        torch.testing.assert_close(ours(ids), expected, atol=1e-5, rtol=1e-5)


def test_a_shallower_network_takes_evenly_spaced_layers(tmp_path):
    folder = folders.folder(tmp_path)
    whole, half = made(folder, depth=4), made(folder)
    for place, layer in enumerate((0, 2)):
        for own, other in zip(half.stage1[place].parameters(), whole.stage1[layer].parameters(), strict=True):
            assert torch.equal(own, other)
    saved = torch.from_numpy(folders.tensors()["encoder.layer.2.attention.self.key.weight"])
    assert torch.equal(half.stage1[1].attention.key.weight, saved)
    assert half.stem.position.weight.shape == (12, 16)


def without(name):
    return {key: value for key, value in folders.tensors().items() if key != name}


HOSTILE = {
    "another model": ({"config": folders.SIZES | {"model_type": "roberta"}}, "model_type roberta"),
    "another width": ({"config": folders.SIZES | {"hidden_size": 32}}, "set dim to it"),
    "no layers": ({"config": folders.SIZES | {"num_hidden_layers": "many"}}, "how many layers"),
    "no object": ({"config": [1]}, "not a JSON object"),
    "a tensor less": ({"weights": without("encoder.layer.2.output.dense.bias")}, "no tensor"),
    "a wrong shape": (
        {"weights": folders.tensors() | {"embeddings.LayerNorm.bias": np.zeros(7, np.float32)}},
        "is needed",
    ),
    "no numbers": (
        {"weights": folders.tensors() | {"embeddings.LayerNorm.bias": np.full(16, np.nan, np.float32)}},
        "no numbers",
    ),
    "byte pairs": ({"words": folders.tokenizer(model={"type": "BPE"})}, "not the WordPiece tokenizer"),
    "no padding": ({"words": folders.tokenizer(folders.WORDS[1:])}, r"must be \[PAD\]"),
    "a gap": ({"words": folders.tokenizer() | {"model": {"type": "WordPiece", "vocab": {"[PAD]": 3}}}}, "count from 0"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_folder_that_cannot_be_used_is_refused_in_one_message(tmp_path, name):
    right, folder = folders.folder(tmp_path / "right"), folders.folder(tmp_path / "wrong", **HOSTILE[name][0])
    with pytest.raises(hub.BadFolder, match=HOSTILE[name][1]) as refused:
        models.create(options(folder), 3, shape(right), [], [])
    assert len(str(refused.value)) < 300


def test_files_are_tensors_of_a_bounded_size_and_never_pickles(tmp_path, monkeypatch):
    folder = folders.folder(tmp_path)
    (folder / "model.safetensors").write_bytes(b"\x80\x04garbage" * 40)
    with pytest.raises(hub.BadFolder, match="cannot be read as safetensors"):
        made(folder)
    monkeypatch.setitem(hub.MOST_BYTES, hub.WEIGHTS, 100)
    with pytest.raises(hub.BadFolder, match="1 to 100 are accepted"):
        made(folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(hub.BadFolder, match="pickles such as"):
        made(folder)


def test_the_file_must_be_the_one_that_was_planned_with(tmp_path):
    folder = folders.folder(tmp_path)
    planned = ArchitectureTraits.of(options(folder)).pinned(options(folder))
    assert planned.sha256 == hub.digest(folder)
    folders.folder(tmp_path, weights=folders.tensors() | {"pooler.dense.bias": np.ones(16, np.float32)})
    with pytest.raises(hub.BadFolder, match="SHA-256 differs"):
        models.create(planned, 3, shape(folder), [], [])
    published = validate("architecture", {"architecture": "bert", "weights": next(iter(hub.PUBLISHED))})
    assert ArchitectureTraits.of(published).pinned(published).sha256.startswith("53aa5117")


def test_a_name_without_a_network_or_the_extra_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("KDCORE_DATA", str(tmp_path))
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(hub.BadFolder, match=r"pip install 'kdcore\[text\]'"):
        hub.fetched("someone/no-such-model")
    with pytest.raises(hub.BadFolder, match="is no folder with"):
        hub.fetched(str(tmp_path / "gone"))
