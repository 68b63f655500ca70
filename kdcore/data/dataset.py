"""Data sets on disk: prepared once as plain arrays, then memory-mapped by every process that reads them."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kdcore import registry
from kdcore.home import data_home
from kdcore.registry import Options

SCHEMA = 1
ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


class RawImages(NamedTuple):
    """What a registered data set returns: images uint8 (N, H, W, C), labels (N,) that index `classes`."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Dataset:
    """A prepared data set.

    `train_images`, `test_images`: uint8 (N, H, W, C), memory-mapped. `train_labels`, `test_labels`: int64 (N,).
    `fingerprint`: sha256 of images, labels and class names, 64 hex digits. `mean`, `std`: of the training
    pixels in 0..1, one a channel; `std` is at least 1/255, so that it can be divided by.
    """

    name: str
    train_images: np.ndarray
    test_images: np.ndarray
    train_labels: np.ndarray
    test_labels: np.ndarray
    classes: tuple[str, ...]
    fingerprint: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        height, width, channels = self.train_images.shape[1:]
        return channels, height, width


def load(source: Options) -> Dataset:
    """The data set that these options choose, prepared on first use in `data_home()/<name>/<options' digest>/`.

    Raises ValueError where the registered data set returns arrays that do not fit together.
    """
    entry = registry.entry_of("dataset", source)
    chosen = json.dumps({"version": entry.version, **source.model_dump(mode="json")}, sort_keys=True)
    folder = data_home() / entry.name / hashlib.sha256(chosen.encode()).hexdigest()[:12]
    if not (folder / "info.json").exists():
        _prepare(entry.implementation(source), folder, entry.name)
    info = json.loads((folder / "info.json").read_text("utf-8"))
    # Copy on write: torch shares only writable arrays, and nothing that is written reaches the disk.
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="c") for name in ARRAYS}
    return Dataset(
        name=info["name"],
        classes=tuple(info["classes"]),
        fingerprint=info["fingerprint"],
        mean=tuple(info["mean"]),
        std=tuple(info["std"]),
        **arrays,
    )


def _prepare(raw: RawImages, folder: Path, name: str) -> None:
    """Writes the arrays and info.json beside `folder`, then renames; whoever comes second keeps the first's."""
    raw = _checked(raw)
    temporary = folder.with_name(f".{folder.name}-{os.getpid()}-{secrets.token_hex(4)}")
    temporary.mkdir(parents=True)
    try:
        for array in ARRAYS:
            np.save(temporary / f"{array}.npy", getattr(raw, array))
        (temporary / "info.json").write_text(json.dumps(_info(raw, name), ensure_ascii=False), "utf-8")
        os.replace(temporary, folder)
    except OSError:
        if not (folder / "info.json").exists():
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _checked(raw: RawImages) -> RawImages:
    """The same arrays, contiguous and with int64 labels. Raises ValueError."""
    for images, labels in ((raw.train_images, raw.train_labels), (raw.test_images, raw.test_labels)):
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != raw.train_images.shape[1:]:
            raise ValueError(f"images must be uint8 (N, H, W, C) of one size, not {images.dtype} {images.shape}")
        if labels.shape != images.shape[:1] or not np.isin(labels, range(len(raw.classes))).all():
            raise ValueError(f"every image needs one label, from 0 to {len(raw.classes) - 1}")
    counts = np.bincount(raw.train_labels.astype(np.int64), minlength=len(raw.classes))
    if counts.min() < 2:
        few = raw.classes[int(counts.argmin())]
        raise ValueError(f"class {few!r} has {counts.min()} training images; it needs 2, one of them for validation")
    return RawImages(
        train_images=np.ascontiguousarray(raw.train_images),
        train_labels=np.ascontiguousarray(raw.train_labels, dtype=np.int64),
        test_images=np.ascontiguousarray(raw.test_images),
        test_labels=np.ascontiguousarray(raw.test_labels, dtype=np.int64),
        classes=tuple(raw.classes),
    )


def _info(raw: RawImages, name: str) -> dict[str, Any]:
    mean, std = _moments(raw.train_images)
    return {
        "schema": SCHEMA,
        "name": name,
        "classes": list(raw.classes),
        "fingerprint": _fingerprint(raw),
        "mean": mean,
        "std": std,
    }


def _fingerprint(raw: RawImages) -> str:
    digest = hashlib.sha256(json.dumps(raw.classes).encode())
    for name in ARRAYS:
        array = getattr(raw, name)
        digest.update(f"{name} {array.shape}".encode())
        digest.update(array.data)
    return digest.hexdigest()


def _moments(images: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel in 0..1, from its histogram: exact, and no float copy."""
    levels = np.arange(256) / 255
    mean, std = [], []
    for channel in np.moveaxis(images, -1, 0):
        share = np.bincount(channel.ravel(), minlength=256) / channel.size
        centre = float(share @ levels)
        mean.append(centre)
        std.append(max(float(np.sqrt(share @ (levels - centre) ** 2)), 1 / 255))
    return mean, std
