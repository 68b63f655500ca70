"""Data sets that are larger than memory: prepared, fingerprinted and mapped in pieces."""

from __future__ import annotations

import hashlib
import json
import os
import tracemalloc

import numpy as np
import psutil
import pytest

from kdcore import arrays, registry
from kdcore.data import dataset, types
from kdcore.data.fetch import fetch
from kdcore.data.traits import DatasetTraits
from kdcore.data.types import Fetch, RawImages


def test_pieces_change_neither_fingerprint_nor_moments(tiny, monkeypatch):
    images = np.random.RandomState(0).randint(0, 256, (7, 2, 3, 2)).astype(np.uint8)
    labels = np.array([0, 1, 0, 1, 1, 0, 0])
    monkeypatch.setattr(arrays, "CHUNK_BYTES", 30)  # two images and a half
    made = dataset.load(tiny(train_images=images, train_labels=labels))
    whole = hashlib.sha256(json.dumps(["cat", "dog"]).encode())
    for name in types.ARRAYS:
        array = getattr(made, name)
        whole.update(f"{name} {array.shape}".encode() + array.tobytes())
    assert made.fingerprint == whole.hexdigest()
    np.testing.assert_allclose(made.mean, images.mean(axis=(0, 1, 2)) / 255, rtol=1e-12)
    np.testing.assert_allclose(made.std, images.std(axis=(0, 1, 2)) / 255, rtol=1e-9)


def test_preparing_takes_little_memory(tmp_path, monkeypatch):
    monkeypatch.setenv("KDCORE_DATA", str(tmp_path))
    registry.entries("dataset")

    def vast(options, work) -> RawImages:
        train = work.array("train_images", (1000, 128, 128, 3))  # 49 MB
        for row in reversed(range(len(train))):
            train[row] = row % 251
        test = work.array("test_images", (2, 128, 128, 3))
        return RawImages(train, np.arange(1000) % 2, test, np.array([0, 1]), ("a", "b"))

    registry.register("dataset", "vast", "For tests", traits=DatasetTraits(fetch=Fetch("Vast")))(vast)
    try:
        source = registry.validate("dataset", "vast")
        tracemalloc.start()
        made = fetch(source)
        assert tracemalloc.get_traced_memory()[1] < 2e7
    finally:
        tracemalloc.stop()
        registry._entries.pop(("dataset", "vast"))
    assert made.train_images[[0, 250, 251, 999], 0, 0, 0].tolist() == [0, 250, 0, 246]
    assert made.mean[0] == pytest.approx(np.mean(np.arange(1000) % 251) / 255)


def test_an_array_larger_than_memory_can_be_mapped(tmp_path):
    path = tmp_path / "vast.npy"
    images = int(1.5 * (psutil.virtual_memory().total + psutil.swap_memory().total)) // 10**6
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": (images, 1000, 1000, 1)}
        )
        try:
            file.truncate(file.tell() + images * 10**6)  # holes: nothing is written
        except OSError:
            pytest.skip("this disk keeps no files with holes")
    mapped = arrays.mapped(path)
    assert mapped[images - 1, 999, 999].tolist() == [0]
    assert not mapped.flags.writeable
    os.unlink(path)
