from __future__ import annotations

import os
import shutil

from kdcore.measure.size import size


def test_bytes_are_those_of_the_file_and_of_its_zip(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(os.urandom(5000) + bytes(100_000))
    found = size(path)
    assert found["size_bytes"] == 105_000
    assert 5000 < found["zip_bytes"] < 5500  # zeros vanish, noise stays
    archive = shutil.make_archive(str(tmp_path / "by_hand"), "zip", tmp_path, path.name)
    assert abs(found["zip_bytes"] - os.path.getsize(archive)) < 200
