import numpy as np
import pytest

from kdcore.export import openvino_runtime, runtime
from kdcore.export.onnx_file import export

pytest.importorskip("openvino")


@pytest.fixture
def file(make, tmp_path_factory):
    path = tmp_path_factory.mktemp("openvino") / "model.onnx"
    network, images = make(), np.random.default_rng(0).random((4, 1, 8, 8), dtype=np.float32)
    export(network, (1, 8, 8), path, images=images)
    return path


@pytest.mark.parametrize("count", [1, 5])
def test_its_logits_are_those_of_onnxruntime(file, count):
    images = np.random.default_rng(count).random((count, 1, 8, 8), dtype=np.float32)
    given = openvino_runtime.Model(file).logits(images)
    assert given == pytest.approx(runtime.logits(file, images), abs=1e-4)


def test_one_model_runs_batches_of_several_sizes(file):
    model = openvino_runtime.Model(file)
    images = np.random.default_rng(0).random((4, 1, 8, 8), dtype=np.float32)
    whole, single = model.ready(images), model.ready(images[:1])
    assert whole()[0][0] == pytest.approx(single()[0][0], abs=1e-4)


def test_what_it_cannot_run_is_refused(file, tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"garbage")
    with pytest.raises(runtime.UnreadableModel, match=r"bad\.onnx"):
        openvino_runtime.Model(tmp_path / "bad.onnx")
    with pytest.raises(runtime.UnreadableModel):
        openvino_runtime.Model(file).ready(np.zeros((1, 3, 8, 8), np.float32))
