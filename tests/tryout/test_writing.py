"""Language models that write on: from their file, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kdcore import inputs
from kdcore.export import onnx_file, runtime
from kdcore.tryout.writing import written
from tests import gpt2, pairs


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    items, _ = pairs.passages()
    kind = inputs.named("passages")
    shape = kind.shape(items)
    network = pairs.writer(1, 0, shape).eval()
    with torch.no_grad():
        network.head.weight.mul_(50)
    path = tmp_path_factory.mktemp("writer") / "m.onnx"
    onnx_file.export(network, shape, path, images=kind.samples(items))
    return runtime.session(path), items.tokenizer, network


def test_at_temperature_zero_the_characters_are_the_networks_own(model):
    session, tokenizer, network = model
    text = "".join(tokenizer.alphabet[:3])
    for _ in range(10):  # further than the window, which moves on
        ids = torch.tensor([[tokenizer.alphabet.index(one) + 2 for one in text[-8:]]])
        with torch.no_grad():
            text += tokenizer.alphabet[int(network(ids)[-1].argmax())]
    found = written(session, tokenizer, text[:3], 10, temperature=0)
    assert found.text == text[3:]
    assert found.pace > 0


def test_a_seed_writes_the_same_again_and_another_something_else(model):
    session, tokenizer, _ = model
    texts = [written(session, tokenizer, "xy", 30, temperature=1.5, seed=seed).text for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    with pytest.raises(ValueError, match="one character"):
        written(session, tokenizer, "", 3, temperature=1)


def test_by_tokens_it_writes_as_many_characters(tmp_path):
    items = gpt2.passages(gpt2.folder(tmp_path), 8)
    kind, splits = inputs.named("tokens"), items.tokenizer
    shape = kind.shape(items)
    network = pairs.writer(1, 0, shape, classes=len(splits.words)).eval()
    with torch.no_grad():
        network.head.weight.mul_(50)
    onnx_file.export(network, shape, tmp_path / "m.onnx", images=kind.samples(items))
    found = written(runtime.session(tmp_path / "m.onnx"), splits, "def sum", 25, temperature=0)
    assert len(found.text) == 25
    given = ids = splits.opening("def sum")
    while splits.characters[ids[len(given) :] - 2].sum() < 25:
        with torch.no_grad():
            ids = np.append(ids, int(network(torch.from_numpy(ids[None, -8:]).long())[-1].argmax()) + 2)
    assert splits.decoded(ids)[: len("def sum") + 25] == "def sum" + found.text
