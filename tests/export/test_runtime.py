from __future__ import annotations

import numpy as np
import pytest

from kdcore.export import runtime
from kdcore.export.onnx_file import export
from kdcore.export.runtime import UnreadableModel


@pytest.fixture
def path(make, cache, tmp_path, images):
    export(make(width=8), (1, 8, 8), tmp_path / "model.onnx", images=images, cache=cache)
    return tmp_path / "model.onnx"


def test_a_session_has_one_thread_and_the_cpu(path):
    running = runtime.session(path)
    options = running.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert running.get_providers() == ["CPUExecutionProvider"]
    assert runtime.session(path, threads=2).get_session_options().intra_op_num_threads == 2


@pytest.mark.parametrize("batch", [1, 5, 16, 100])
def test_logits_do_not_depend_on_the_batch(path, images, batch):
    whole = runtime.session(path).run(None, {"images": images})[0]
    np.testing.assert_allclose(runtime.logits(path, images, batch), whole, rtol=1e-5, atol=1e-6)
    assert runtime.logits(runtime.session(path), images).dtype == np.float32


@pytest.mark.parametrize("content", [b"", b"not a model at all", b"\x08\x0a" + bytes(1000)])
def test_files_that_are_no_models_are_refused(tmp_path, content):
    (tmp_path / "bad.onnx").write_bytes(content)
    with pytest.raises(UnreadableModel, match=r"bad\.onnx is not a model"):
        runtime.session(tmp_path / "bad.onnx")


def test_a_truncated_model_is_refused(path):
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UnreadableModel, match="is not a model"):
        runtime.logits(path, np.zeros((1, 1, 8, 8), np.float32))


def test_a_missing_model_is_refused(tmp_path):
    with pytest.raises(UnreadableModel, match=r"absent\.onnx"):
        runtime.session(tmp_path / "absent.onnx")


@pytest.mark.parametrize("wrong", [np.zeros((2, 3, 8, 8), np.float32), np.zeros((2, 1, 8, 8), np.uint8)])
def test_images_that_do_not_fit_are_refused(path, wrong):
    with pytest.raises(ValueError, match=r"does not run on .*\(2, [13], 8, 8\)"):
        runtime.logits(path, wrong)


def test_pixels_are_scaled_and_transposed():
    images = np.zeros((2, 3, 4, 1), np.uint8)
    images[1, 2, 3, 0] = 51
    pixels = runtime.pixels(images)
    assert pixels.shape == (2, 1, 3, 4)
    assert pixels.dtype == np.float32
    assert pixels[1, 0, 2, 3] == np.float32(0.2)
    assert np.count_nonzero(pixels) == 1
    assert pixels.flags.c_contiguous
