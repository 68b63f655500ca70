from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kdcore import registry
from kdcore.data import dataset, places
from kdcore.data.fetch import fetch
from kdcore.data.types import Dataset, RawImages
from kdcore.recipe import Data
from kdcore.registry import Options


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One folder of data sets for all tests: digits is prepared once."""
    folder = str(tmp_path_factory.mktemp("data"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDCORE_DATA", folder)
        yield folder


@pytest.fixture(scope="session")
def digits(data_folder: str) -> Dataset:
    return dataset.load(Data().source)


def raw(**changes: object) -> RawImages:
    """Four training and two test images of 2x3 pixels and two channels, in two classes."""
    images = np.arange(4 * 2 * 3 * 2, dtype=np.uint8).reshape(4, 2, 3, 2)
    whole = RawImages(images, np.array([0, 1, 0, 1]), images[:2] + 100, np.array([1, 0]), ("cat", "dog"))
    return whole._replace(**changes)


@pytest.fixture
def tiny(tmp_path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Options]]:
    """Registers `raw(**changes)` as the data set "tiny", in a data folder of its own, for one test."""
    monkeypatch.setenv("KDCORE_DATA", str(tmp_path))
    registry.entries("dataset")

    def tiny_images(version: int = 1, **changes: object) -> Options:
        registry._entries.pop(("dataset", "tiny"), None)
        registry.register("dataset", "tiny", "For tests", version=version)(lambda options: raw(**changes))
        return registry.validate("dataset", "tiny")

    yield tiny_images
    registry._entries.pop(("dataset", "tiny"), None)


@pytest.fixture
def pictures(tmp_path) -> Callable[..., Path]:
    """Writes a folder of PNG pictures, each of one colour: name to (value, pixels a side)."""

    def write(files: dict[str, tuple[int, int]], name: str = "mine") -> Path:
        top = tmp_path / name
        for inner, (value, side) in files.items():
            path = top / inner
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (side, side), (value % 256, 0, 0)).save(path)
        return top

    return write


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """Puts files by hand where the message says, and fetches the data set from them."""
    monkeypatch.setenv("KDCORE_DATA", str(tmp_path))
    monkeypatch.setenv("KDCORE_CIFAR100", str(tmp_path / "none"))

    def make(options: dict, **files: bytes) -> Dataset:
        source = registry.validate("dataset", options)
        raw = places.raw_folder(source)
        raw.mkdir(parents=True, exist_ok=True)
        known = registry.entry_of("dataset", source).traits.fetch
        expected = []
        for remote in known.files(source):
            content = files[remote.name]
            (raw / remote.name).write_bytes(content)
            expected.append(remote._replace(md5=hashlib.md5(content).hexdigest()))
        monkeypatch.setattr(known, "_files", tuple(expected))
        return fetch(source)

    return make
