import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, recall_score

from kdcore.inputs import corruptions
from kdcore.inputs.corruptions import CORRUPTIONS, corrupt
from kdcore.inputs.kind import SEVERITIES
from kdcore.measure import robustness as module
from kdcore.measure.robustness import MOST_IMAGES, chosen, packed, protocol, robustness, unpacked


def linear(path, weights, bias, shape):
    """An ONNX classifier that is one linear layer; `weights` (K, C * H * W)."""
    nodes = [
        helper.make_node("Flatten", ["images"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w", "b"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", *shape])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(bias)])],
        [
            numpy_helper.from_array(weights.T.astype(np.float32), "w"),
            numpy_helper.from_array(bias.astype(np.float32), "b"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    return path


def flat(images):
    return images.transpose(0, 3, 1, 2).reshape(len(images), -1).astype(np.float32) / 255


@pytest.fixture(scope="module")
def learnt(digits):
    return LogisticRegression(max_iter=1000).fit(flat(digits.train_images), digits.train_labels)


@pytest.fixture(scope="module")
def files(learnt, digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("linear")
    weights, bias = learnt.coef_, learnt.intercept_
    return {
        "good": linear(folder / "good.onnx", weights, bias, digits.shape),
        "coarse": linear(folder / "coarse.onnx", np.round(weights), bias, digits.shape),
    }


@pytest.fixture(scope="module")
def documents(files, digits):
    return robustness(files, digits.test_images, digits.test_labels, digits.classes)


def test_every_number_is_scikit_learns_on_the_corrupted_images(documents, learnt, digits):
    found = documents["good"]
    truth = digits.test_labels
    assert found["clean"] == pytest.approx(learnt.score(flat(digits.test_images), truth))
    scores = []
    for group in found["corruptions"]:
        recalls = []
        for row in group["severities"]:
            images = corrupt(digits.test_images, group["corruption"], row["severity"])
            said = learnt.predict(flat(images))
            right = unpacked(row["right"], len(truth))
            assert (right != (said == truth)).mean() < 0.01, "float32 against float64 may turn a near tie"
            assert row["score"] == right.mean()
            recalls.append(recall_score(truth, said, average=None))
            scores.append(row["score"])
        assert group["score"] == pytest.approx(np.mean(scores[-5:]))
        told = [row[group["corruption"]] for row in found["classes"]]
        assert told == pytest.approx(np.mean(recalls, axis=0), abs=0.02)
    assert found["corrupted"] == pytest.approx(np.mean(scores))
    assert [row["n"] for row in found["classes"]] == np.bincount(truth).tolist()


def test_the_document_is_json_and_says_what_was_done(documents, digits):
    found = json.loads(json.dumps(documents["good"], allow_nan=False))
    assert (found["measure"], found["n"]) == ("accuracy", len(digits.test_labels))
    assert found["protocol"] == protocol(len(digits.test_labels), digits.shape)
    assert [group["corruption"] for group in found["corruptions"]] == list(CORRUPTIONS)
    assert [row["severity"] for row in found["corruptions"][0]["severities"]] == list(SEVERITIES)
    assert len(json.dumps(found)) < 10_000


def test_models_beside_each_other_get_what_they_get_alone(documents, files, digits):
    assert documents["coarse"]["corrupted"] < documents["good"]["corrupted"]
    alone = robustness({"coarse": files["coarse"]}, digits.test_images, digits.test_labels, digits.classes)
    assert alone["coarse"] == documents["coarse"]


def test_images_are_corrupted_once_for_all_models(files, digits, monkeypatch):
    asked = []

    def counting(images, corruption, severity, seed):
        asked.append((corruption, severity, len(images)))
        return corrupt(images, corruption, severity, seed)

    monkeypatch.setattr(corruptions, "corrupt", counting)
    robustness(files, digits.test_images[:20], digits.test_labels[:20], digits.classes)
    assert asked == [(name, severity, 20) for name in CORRUPTIONS for severity in SEVERITIES]


def test_many_images_are_capped_to_the_same_ones_each_time(files, digits):
    rows = chosen(len(digits.test_labels), 50)
    assert (rows == chosen(len(digits.test_labels), 50)).all()
    assert len(set(rows.tolist())) == 50
    assert (np.diff(rows) > 0).all()
    capped = robustness(files, digits.test_images, digits.test_labels, digits.classes, most=50)["good"]
    only = robustness(files, digits.test_images[rows], digits.test_labels[rows], digits.classes)["good"]
    assert (capped["protocol"]["images"], capped["protocol"]["of"]) == (50, len(digits.test_labels))
    assert capped | {"protocol": None} == only | {"protocol": None}
    assert len(chosen(10, MOST_IMAGES)) == 10


def test_several_labels_are_judged_by_average_precision(files, digits):
    images = digits.test_images[:120]
    labels = np.zeros((120, 10), np.uint8)
    labels[np.arange(120), digits.test_labels[:120]] = 1
    labels[::3, 4] = 1
    labels[:, 9] = 0
    found = robustness(files, images, labels, digits.classes)["good"]
    assert (found["measure"], found["right"], found["corruptions"][0]["severities"][0]["right"]) == ("mAP", None, None)

    weights = {one.name: numpy_helper.to_array(one) for one in onnx.load(files["good"]).graph.initializer}
    logits = flat(images) @ weights["w"] + weights["b"]
    averages = [average_precision_score(labels[:, k], logits[:, k]) for k in range(9)]
    assert [row["clean"] for row in found["classes"]] == [*(pytest.approx(one, abs=1e-6) for one in averages), None]
    assert found["clean"] == pytest.approx(np.mean(averages))
    assert found["classes"][9]["noise"] is None


def test_progress_goes_up_to_one_and_may_end_it(files, digits):
    told = []
    robustness(files, digits.test_images[:10], digits.test_labels[:10], digits.classes, on_progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1
    with pytest.raises(ZeroDivisionError):
        robustness(files, digits.test_images, digits.test_labels, digits.classes, on_progress=lambda share: 1 // 0)


def test_memory_holds_some_images_at_a_time(files, digits, documents, monkeypatch):
    """A batch is bounded in pixel values, so images of any size fit; and batches change nothing."""
    asked = []

    def counting(images, corruption, severity, seed):
        asked.append(images.size)
        return corrupt(images, corruption, severity, seed)

    monkeypatch.setattr(corruptions, "corrupt", counting)
    monkeypatch.setattr(module, "AT_ONCE", 6500)
    found = robustness({"good": files["good"]}, digits.test_images, digits.test_labels, digits.classes)
    assert max(asked) == 6464
    assert found["good"] == documents["good"]


def test_a_model_that_answers_with_no_numbers_is_refused(tmp_path, digits):
    path = linear(tmp_path / "nan.onnx", np.full((10, 64), np.nan), np.zeros(10), digits.shape)
    with pytest.raises(ValueError, match="not finite"):
        robustness({"nan": path}, digits.test_images[:4], digits.test_labels[:4], digits.classes)


@pytest.mark.parametrize("count", [1, 7, 8, 9, 600])
def test_what_is_packed_is_unpacked(count):
    right = np.random.default_rng(count).random(count) < 0.5
    assert (unpacked(packed(right), count) == right).all()
