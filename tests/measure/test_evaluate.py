from __future__ import annotations

import copy
import json

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from kdcore.data.splits import Split
from kdcore.data.types import Dataset
from kdcore.export import runtime
from kdcore.inputs.text import KIND
from kdcore.inputs.tokens import Characters, Texts
from kdcore.measure.calibration import calibration
from kdcore.measure.evaluate import evaluate
from kdcore.measure.privacy import losses, privacy
from kdcore.measure.quality import hidden_recall, quality
from kdcore.models.cost import macs


def labels_of(digits, shares):
    return digits.train_labels[shares.validation]


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
    answers = (found.logits["test"], digits.test_labels), (found.logits["validation"], labels_of(digits, shares))
    assert measured.pop("calibration") == calibration(*answers)
    assert measured == quality(found.logits["test"], digits.test_labels, digits.classes)
    assert 0.2 < measured["accuracy"] < 0.99
    assert found.report["size"]["size_bytes"] == path.stat().st_size
    json.dumps(found.report, allow_nan=False)


def test_layers_and_logits_tell_the_noise_against_the_file_that_they_came_from(trained, write, digits, shares):
    other, parent = copy.deepcopy(trained), write(trained)
    other.stage1.norm.weight.data *= 0.99  # folded into the convolution: its output but for the shift is 1 % off
    other.stage1.norm.bias.data *= 0.99
    found = evaluate(write(other), other, digits, shares, came_from=parent).report
    rows = {row["name"]: row for row in found["layers"]}
    assert rows["stem.conv"]["sqnr_db"] is None
    assert rows["stem.conv"]["sqnr_note"] == "the outputs are equal"
    assert rows["stage2.conv"]["sqnr_note"] == ""
    assert 20 < rows["stage1.conv"]["sqnr_db"] < 60
    assert found["sqnr"] == {"images": 64, "logits_db": rows["head"]["sqnr_db"], "logits_note": ""}
    alone = evaluate(parent, trained, digits, shares).report
    assert alone["sqnr"] is None
    assert {row["sqnr_db"] for row in alone["layers"]} == {None}


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


def test_members_are_told_from_the_strangers_of_their_classes(trained, write, digits, shares):
    """A class that no member has is none of the non_members': what was kept from a model is not what is asked."""
    members = shares.labelled[digits.train_labels[shares.labelled] != 3][:60]
    found = evaluate(write(trained), trained, digits, shares, members=members)
    with torch.no_grad():
        logits = trained(torch.from_numpy(runtime.pixels(digits.train_images[members])))
    labels = torch.from_numpy(digits.train_labels[members])
    expected = torch.nn.functional.cross_entropy(logits, labels, reduction="none").numpy()
    np.testing.assert_allclose(found.members.losses, expected, atol=1e-4)
    kept = digits.test_labels != 3
    told = found.report["privacy"]
    assert told == privacy(found.members.losses, losses(found.logits["test"][kept], digits.test_labels[kept]))
    assert (told["members"], told["others"]) == (60, int(kept.sum()))


def test_without_known_members_there_is_no_attack_and_it_says_why(trained, write, digits, shares):
    found = evaluate(write(trained), trained, digits, shares)
    assert found.members is None
    assert found.report["privacy"]["auc"] is None
    assert "not trained here" in found.report["privacy"]["reason"]


def test_a_damaged_file_is_refused(trained, digits, shares, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"garbage")
    with pytest.raises(ValueError, match=r"model\.onnx is not a model"):
        evaluate(tmp_path / "model.onnx", trained, digits, shares)


def test_texts_are_evaluated_by_length_and_answers_stay_in_order(tmp_path, monkeypatch):
    chance = np.random.default_rng(0)
    words = ["".join(chance.choice(list("abcd"), chance.integers(1, 200))) for _ in range(700)]
    texts, labels = Texts.of(words, Characters("abcd", 200)), np.arange(700) % 2
    path = tmp_path / "counts.onnx"
    onnx.save(counting(), path)
    fed, feed = [], type(KIND).feed
    monkeypatch.setattr(type(KIND), "feed", lambda kind, items: fed.append(feed(kind, items)) or fed[-1])
    dataset = Dataset("words", texts, texts, labels, labels, ("even", "odd"), "0" * 64, (), (), KIND)
    rows = chance.permutation(700)[:300]
    found = evaluate(path, None, dataset, Split(rows, rows, rows, validation=rows)).logits
    sums = np.array([[ids.sum(), (ids > 0).sum()] for ids in map(texts.ids.row, range(700))])
    assert (found["test"] == sums).all()
    assert (found["validation"] == sums[rows]).all()
    assert sum(ids.size for ids in fed) < 1.6 * (sums[:, 1].sum() + sums[rows, 1].sum())


def counting():
    """A file whose logits are the sum of a text's ids, and how many there are."""
    nodes = [
        helper.make_node("Sign", ["ids"], ["known"]),
        *(helper.make_node("ReduceSum", [one, "axis"], [f"{one} sum"], keepdims=1) for one in ("ids", "known")),
        helper.make_node("Concat", ["ids sum", "known sum"], ["both"], axis=1),
        helper.make_node("Cast", ["both"], ["logits"], to=TensorProto.FLOAT),
    ]
    graph = helper.make_graph(
        nodes,
        "counts",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])],
        [helper.make_tensor("axis", TensorProto.INT64, [1], [1])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
