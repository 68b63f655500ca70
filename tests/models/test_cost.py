from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from kdcore import models
from kdcore.models import cost as costing
from kdcore.models.cost import Cost, CostError, costs, macs
from kdcore.paths import CHECKOUT
from kdcore.registry import validate

torch.set_num_threads(1)

CNN = validate("architecture", {"architecture": "cnn", "width": 32})
MLP = validate("architecture", {"architecture": "mlp", "widths": [128, 64]})


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("KDCORE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def asked(monkeypatch) -> list[int]:
    """How many networks each subprocess was asked for; the counting itself happens here."""
    calls = []

    def ask(documents):
        calls.append(len(documents))
        return [costing._count(document) for document in documents]

    monkeypatch.setattr(costing, "_ask", ask)
    return calls


def cost(*question) -> Cost:
    return costs([question])[0]


def test_macs_counted_by_hand(asked):
    convolutions = 64 * (9 * 1 * 32) + 64 * (9 * 32 * 32) + 16 * (9 * 32 * 64)  # 8x8 pixels, then 4x4
    found = cost(CNN, 10, (1, 8, 8))
    assert found == Cost(28_842, convolutions + 64 * 10, 4 * 28_842, ["stem", "stage1", "stage2"])
    assert cost(MLP, 10, (1, 8, 8)).macs == 64 * 128 + 128 * 64 + 64 * 10


def test_a_borrowed_classifier_and_its_projector_are_counted(asked):
    teacher = validate("architecture", {"architecture": "cnn", "width": 64})  # ends in 128 channels, the student in 64
    (found,) = costs([costing.Question(CNN, 10, (1, 8, 8), costing.Borrowed(teacher, 2))])
    convolutions = 64 * 64 + 9 * 64 * 64 + 64 * 128
    norms, classifiers = 2 * (64 + 64 + 128), (128 * 10 + 10) - (64 * 10 + 10)
    alone = cost(CNN, 10, (1, 8, 8))
    assert found.params == alone.params + convolutions + norms + classifiers
    places = (found.macs - alone.macs - 128 * 10 + 64 * 10) / convolutions
    assert places == 16, "the last maps of 8x8 images are 4x4"


def test_macs_are_those_of_torchs_own_counter(network):
    """Of attention by its plain kernel: what is counted of the fused ones depends on torch's version."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, 16, 16))
    assert macs(network, (3, 16, 16)) == counter.get_total_flops() // 2 > 0


@pytest.mark.parametrize("kernel", ["MATH", "FLASH_ATTENTION"])
def test_attention_counts_the_same_by_every_kernel(kernel):
    from torch.nn.attention import SDPBackend, sdpa_kernel

    class Attention(nn.Module):
        def forward(self, queries):
            keys = values = torch.zeros(2, 3, 7, 8)
            return nn.functional.scaled_dot_product_attention(queries.expand(2, 3, 5, 8), keys, values) + self.bias

    layer = Attention()
    layer.bias = nn.Parameter(torch.zeros(1))
    with sdpa_kernel(getattr(SDPBackend, kernel)):
        assert macs(layer, (1, 5, 8)) == 2 * (2 * 3 * 5 * 7 * 8)


def test_attention_is_counted_and_the_network_is_left_as_it_was():
    layer = nn.TransformerEncoderLayer(32, 4, dim_feedforward=48, batch_first=True)
    projections, scores, forward = 4 * 5 * 32 * 32, 2 * 5 * 5 * 32, 2 * 5 * 32 * 48
    assert macs(layer, (5, 32)) == projections + scores + forward
    assert layer.training
    assert torch.backends.mha.get_fastpath_enabled()
    assert macs(layer.eval(), (5, 32)) == projections + scores + forward
    assert not layer.training


def test_large_images_are_counted_without_arithmetic_and_with_the_same_result(monkeypatch):
    document = costing._document(costing.Question(CNN, 10, (3, 65, 64)))
    without = costing._count(document)
    monkeypatch.setattr(costing, "_CPU_VALUES", 10**6)
    assert costing._count(document) == without


def test_all_that_is_unknown_is_asked_at_once_and_then_remembered(asked, home):
    first = cost(CNN, 10, (1, 8, 8))
    questions = [(MLP, 10, (1, 8, 8)), (CNN, 10, (1, 8, 8)), (CNN, 10, (1, 16, 16)), (MLP, 10, (1, 8, 8))]
    answers = costs(questions)
    assert asked == [1, 2]
    assert answers[1] == first
    assert answers[0] == answers[3] != first
    assert answers[2].macs == 4 * (first.macs - 640) + 640
    assert costs(questions) == answers
    assert asked == [1, 2]
    assert len(list((home / "cache" / "costs").iterdir())) == 3
    assert costs([]) == []


def test_two_that_ask_at_once_are_answered_by_one_count(asked, home):
    with ThreadPoolExecutor() as pool:
        first, *others = pool.map(lambda _: cost(CNN, 10, (1, 8, 8)), range(3))
    assert asked == [1]
    assert others == [first, first]


def test_a_damaged_answer_is_counted_again(asked, home):
    first = cost(CNN, 10, (1, 8, 8))
    (file,) = (home / "cache" / "costs").iterdir()
    for text in ("{", '{"params": 1}', "[]"):
        file.write_text(text)
        assert cost(CNN, 10, (1, 8, 8)) == first
    assert asked == [1] * 4


ASK = """
import sys
from kdcore.models.cost import costs
from kdcore.registry import validate
resnet20 = validate("architecture", {"architecture": "resnet", "depth": 20})
print(*costs([(resnet20, 100, (3, 32, 32))])[0][:3], "torch" in sys.modules)
"""


def test_a_process_without_torch_gets_the_answer_from_another_folder(home):
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=home,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=True,
    )
    network = models.create(
        validate("architecture", {"architecture": "resnet", "depth": 20}), 100, (3, 32, 32), [0.0] * 3, [1.0] * 3
    )
    assert done.stdout.split() == ["278324", str(macs(network, (3, 32, 32))), str(4 * 278_324), "False"]


def test_a_failure_is_told_in_a_line_and_nothing_is_remembered(home):
    with pytest.raises(CostError, match="4x4 pixels are too small") as caught:
        cost(CNN, 10, (1, 4, 4))
    assert "\n" not in str(caught.value)
    assert not [*(home / "cache" / "costs").iterdir()]


def test_a_subprocess_that_hangs_is_given_up(monkeypatch):
    monkeypatch.setattr(costing, "TIMEOUT_SECONDS", 0.05)
    with pytest.raises(CostError, match=r"longer than 0\.05 s"):
        cost(CNN, 10, (1, 8, 8))
