"""Writing a data set's arrays to disk, whole or not at all, in bounded memory."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kdcore import arrays, inputs, registry
from kdcore.data.ordering import images_by_class
from kdcore.data.places import raw_folder, ready
from kdcore.data.types import ARRAYS, ITEMS, LABELS, Progress, RawImages, Work
from kdcore.registry import Options

SCHEMA = 1
LEFT_OUT_NAMES = 5  # of files, that are kept to be shown


def prepare(
    make: Callable[..., RawImages],
    source: Options,
    folder: Path,
    tell: Callable[[Progress], None] | None = None,
) -> None:
    """Calls `make` and writes what it returns, with info.json, beside `folder`, then renames.

    `make` gets a `Work` after the options where `tell` is given. Whoever comes second keeps the first's.
    Raises ValueError where the arrays do not fit together.
    """
    temporary = folder.with_name(f".{folder.name}-{os.getpid()}-{secrets.token_hex(4)}")
    temporary.mkdir(parents=True)
    try:
        given = (source,) if tell is None else (source, Work(raw_folder(source), temporary, tell))
        raw = _checked(make(*given))
        _write(raw, temporary)
        (temporary / "info.json").write_text(json.dumps(_info(raw, source), ensure_ascii=False), "utf-8")
        del raw  # Windows moves no folder whose files are still mapped
        os.replace(temporary, folder)
    except OSError:
        if not ready(folder):
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def leftovers(folder: Path) -> list[Path]:
    """What processes that were killed have left beside `folder`."""
    return list(folder.parent.glob(f".{folder.name}-*"))


def _checked(raw: RawImages) -> RawImages:
    """The same arrays, contiguous, with labels int64 (N,), or uint8 (N, K). Raises ValueError."""
    kind = np.uint8 if raw.train_labels.ndim == 2 else np.int64
    input_kind = inputs.named(raw.kind)
    train, test = (input_kind.checked(images, raw.train_images) for images in (raw.train_images, raw.test_images))
    for images, labels in ((train, raw.train_labels), (test, raw.test_labels)):
        _check_labels(labels, len(images), len(raw.classes), raw.train_labels.ndim == 2)
    counts = images_by_class(raw.train_labels, len(raw.classes))
    if counts.min() < 2 and input_kind.together(train) is None:
        few = raw.classes[int(counts.argmin())]
        raise ValueError(f"class {few!r} has {counts.min()} training images; it needs 2, one of them for validation")
    return raw._replace(
        train_images=train,
        train_labels=np.ascontiguousarray(raw.train_labels, dtype=kind),
        test_images=test,
        test_labels=np.ascontiguousarray(raw.test_labels, dtype=kind),
        classes=tuple(raw.classes),
    )


def _check_labels(labels: np.ndarray, images: int, classes: int, several: bool) -> None:
    if several:
        if labels.shape != (images, classes) or not np.isin(labels, (0, 1)).all():
            raise ValueError(f"every image needs {classes} labels, each 0 or 1")
    elif labels.shape != (images,) or not np.isin(labels, range(classes)).all():
        raise ValueError(f"every image needs one label, from 0 to {classes - 1}")


def _write(raw: RawImages, folder: Path) -> None:
    for name in ITEMS:
        inputs.named(raw.kind).save(getattr(raw, name), folder, name)
    for name in LABELS:
        if not (path := folder / f"{name}.npy").exists():  # else it grew there
            np.save(path, getattr(raw, name))


def _info(raw: RawImages, source: Options) -> dict[str, Any]:
    mean, std = inputs.named(raw.kind).moments(raw.train_images)
    return {
        "schema": SCHEMA,
        "name": raw.name or registry.entry_of("dataset", source).name,
        "source": source.model_dump(mode="json"),
        "kind": raw.kind,
        "classes": list(raw.classes),
        "left_out": list(raw.left_out[:LEFT_OUT_NAMES]),
        "left_out_count": len(raw.left_out),
        "notes": list(raw.notes),
        "fingerprint": fingerprint(raw),
        "mean": mean,
        "std": std,
    }


def fingerprint(raw: RawImages) -> str:
    """sha256 of class names, images and labels, 64 hex digits."""
    digest = hashlib.sha256(json.dumps(raw.classes).encode())
    for name in ARRAYS:
        array = getattr(raw, name)
        digest.update(f"{name} {array.shape}".encode())
        for chunk in inputs.named(raw.kind).chunks(array) if name in ITEMS else arrays.chunks(array):
            digest.update(chunk)
    return digest.hexdigest()
