from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch

from kdcore.export import runtime
from kdcore.measure.evaluate import evaluate
from kdcore.measure.quality import hidden_recall, quality
from kdcore.models.cost import macs


def test_the_report_is_that_of_the_file_on_both_splits(trained, write, digits, shares):
    path = write(trained)
    found = evaluate(path, trained, digits, shares)
    with torch.no_grad():
        test = trained(torch.from_numpy(runtime.pixels(digits.test_images))).numpy()
        validation = trained(torch.from_numpy(runtime.pixels(digits.train_images[shares.validation]))).numpy()
    np.testing.assert_allclose(found.logits["test"], test, atol=1e-4)
    np.testing.assert_allclose(found.logits["validation"], validation, atol=1e-4)
    assert found.logits["test"].dtype == np.float32
    measured = dict(found.report["quality"])
    assert measured.pop("hidden") == []
    assert measured == quality(found.logits["test"], digits.test_labels, digits.classes)
    assert 0.2 < measured["accuracy"] < 0.99
    assert found.report["size"]["size_bytes"] == path.stat().st_size
    json.dumps(found.report, allow_nan=False)


def test_what_is_measured_is_the_file_and_not_the_network(trained, write, digits, shares):
    other = copy.deepcopy(trained)
    torch.nn.init.zeros_(other.head.weight)
    torch.nn.init.zeros_(other.head.bias)
    other.head.bias.data[3] = 1.0  # says 3 to everything
    found = evaluate(write(other), trained, digits, shares).report
    threes = int((digits.test_labels == 3).sum())
    assert found["quality"]["correct"] == threes
    assert found["quality"]["per_class"][3]["recall"] == 1
    assert found["layers"][-1]["zeros"] == other.head.weight.numel()
    assert found["cost"]["sparsity"] > 0


def test_costs_worked_out_by_hand(trained, write, digits, shares):
    sparse = copy.deepcopy(trained)
    sparse.stage1.conv.weight.data[:4] = 0
    found = evaluate(write(sparse), sparse, digits, shares).report
    params = sum(parameter.numel() for parameter in sparse.parameters())
    weights = 8 * 9 + 8 * 8 * 9 + 16 * 8 * 9 + 16 * 10
    assert found["cost"] == {
        "params": params,
        "nonzero_params": params - 4 * 8 * 9,
        "sparsity": pytest.approx(4 * 8 * 9 / weights),
        "macs": macs(sparse, digits.shape),
    }


def test_hidden_classes_are_told_with_and_without_their_prior(trained, write, digits, shares):
    found = evaluate(write(trained), trained, digits, shares, hidden=("3", "8"))
    rows = found.report["quality"]["hidden"]
    assert [row["class"] for row in rows] == ["3", "8"]
    labels = digits.test_labels, digits.train_labels[shares.validation]
    test, validation = zip((found.logits["test"], found.logits["validation"]), labels, strict=True)
    assert rows[1] == {"class": "8"} | hidden_recall(test, validation, 8)
    assert rows[0]["recall"] == pytest.approx(found.report["quality"]["per_class"][3]["recall"])


def test_a_damaged_file_is_refused(trained, digits, shares, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"garbage")
    with pytest.raises(ValueError, match=r"model\.onnx is no model"):
        evaluate(tmp_path / "model.onnx", trained, digits, shares)
