"""Soft-label files: a teacher's answers about every example of a data set, which teach when the teacher is gone.

A NumPy archive (.npz) without pickles: `logits` or `probabilities` (N, K) of all N training examples in the data set's
order; perhaps `test_logits` or `test_probabilities` (M, K); `fingerprint` of the data set; `classes`, its K names in
order; `temperature`, by which the logits were divided (1: not at all); `source`, a few words on who the teacher is.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kdcore.data.types import Dataset
from kdcore.problems import first_line

SUM_TOLERANCE = 1e-3  # of the probabilities of an image
LEAST = 1e-6  # what a probability of zero counts as: its logarithm must be a number
TEXT_BYTES = 4_000_000  # of the fingerprint, the classes' names and the words
TABLES = ("logits", "probabilities", "test_logits", "test_probabilities")
NAMES = (*TABLES, "fingerprint", "classes", "temperature", "source")


class BadSoftLabels(ValueError):
    """The file cannot teach about this data set; the message says why and what would do."""


class SoftLabels(NamedTuple):
    """`train`: float32 logits (N, K) at temperature 1 of all training examples; `test`: (M, K), or None."""

    train: np.ndarray
    test: np.ndarray | None
    source: str


def read(path: Path, dataset: Dataset) -> SoftLabels:
    """The answers in a soft-label file, checked against the data set that they are about. Raises BadSoftLabels."""
    sizes = {"": len(dataset.train_labels), "test_": len(dataset.test_labels)}
    arrays = _arrays(path, max(sizes.values()) * len(dataset.classes))
    _must_be_about(arrays, dataset)
    temperature = _number(arrays)
    found = {part: _answers(arrays, part, (count, len(dataset.classes)), temperature) for part, count in sizes.items()}
    if found[""] is None:
        raise BadSoftLabels("it contains neither 'logits' nor 'probabilities' of the training examples")
    source = " ".join(str(arrays["source"]).split())[:200] if "source" in arrays else "an unknown teacher"
    return SoftLabels(found[""], found["test_"], source)


def write(
    path: Path,
    dataset: Dataset,
    train: np.ndarray,
    test: np.ndarray | None,
    source: str,
    *,
    kind: str = "logits",
) -> None:
    """Writes a soft-label file; `train` (N, K) and `test` (M, K) are `kind`, "logits" or "probabilities", at T = 1."""
    arrays: dict[str, Any] = {kind: train.astype(np.float32)}
    if test is not None:
        arrays[f"test_{kind}"] = test.astype(np.float32)
    with path.open("wb") as file:
        np.savez_compressed(
            file,
            **arrays,
            fingerprint=np.array(dataset.fingerprint),
            classes=np.array(dataset.classes),
            temperature=np.array(1.0),
            source=np.array(source),
        )


def _arrays(path: Path, most: int) -> dict[str, np.ndarray]:
    """All arrays of the archive; none is unpacked before its size is known to be sound."""
    limit = 8 * most + 4096
    try:
        with zipfile.ZipFile(path) as archive:
            if len(archive.infolist()) > len(NAMES):
                raise BadSoftLabels(f"it contains {len(archive.infolist())} arrays; known are {', '.join(NAMES)}")
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                if name not in NAMES or member.filename == name:
                    raise BadSoftLabels(f"it contains {name[:60]!r}; known are {', '.join(NAMES)}")
                if member.file_size > (limit if name in TABLES else TEXT_BYTES):
                    raise BadSoftLabels(f"{name!r} has more numbers than this data set allows ({most:,})")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except BadSoftLabels:
        raise
    except Exception as error:  # zip, zlib, NumPy and the system each have their own
        raise BadSoftLabels(f"it is not a NumPy archive (.npz) of plain arrays: {first_line(error)}") from None


def _must_be_about(arrays: dict[str, np.ndarray], dataset: Dataset) -> None:
    for name in ("fingerprint", "classes", "temperature"):
        if name not in arrays:
            raise BadSoftLabels(f"it has no {name!r}; `python -m kdcore soften` writes complete files")
    classes = tuple(str(name) for name in np.atleast_1d(arrays["classes"])[: len(dataset.classes) + 1])
    if classes != dataset.classes:
        raise BadSoftLabels(
            f"its classes are {_first(classes)}; those of {dataset.name} are {_first(dataset.classes)}, in this order"
        )
    fingerprint = str(arrays["fingerprint"])[:64]
    if fingerprint != dataset.fingerprint:
        raise BadSoftLabels(
            f"it was written for the data set {fingerprint[:12]}…, and this is {dataset.name}, "
            f"{dataset.fingerprint[:12]}…: the examples, their labels or their order differ"
        )


def _number(arrays: dict[str, np.ndarray]) -> float:
    given = arrays["temperature"]
    value = float(given) if given.shape == () and given.dtype.kind in "fiu" else float("nan")
    if not 0.01 <= value <= 1000:
        raise BadSoftLabels("its 'temperature' must be one number from 0.01 to 1000")
    return value


def _answers(arrays: dict[str, np.ndarray], part: str, shape: tuple[int, int], temperature: float) -> np.ndarray | None:
    """float32 logits at temperature 1; None where the file has none of this part."""
    names = [name for name in (f"{part}logits", f"{part}probabilities") if name in arrays]
    if not names:
        return None
    if len(names) > 1:
        raise BadSoftLabels(f"it contains both {names[0]!r} and {names[1]!r}: keep one of them")
    name, given = names[0], arrays[names[0]]
    if given.shape != shape or given.dtype.kind != "f":
        raise BadSoftLabels(f"{name!r} is {given.dtype} {given.shape}; needed are floating-point numbers {shape}")
    values = given.astype(np.float64)
    if not np.isfinite(values).all():
        raise BadSoftLabels(f"{name!r} contains values that are not finite, first for example {_first_bad(values)}")
    if name.endswith("probabilities"):
        off = np.abs(values.sum(axis=1) - 1)
        if values.min() < 0 or off.max() > SUM_TOLERANCE:
            raise BadSoftLabels(f"{name!r} must be at least 0 and sum to 1; those of example {off.argmax()} do not")
        values = np.log(np.maximum(values, LEAST))
    with np.errstate(over="ignore"):
        made = (values * temperature).astype(np.float32)
    if not np.isfinite(made).all():
        raise BadSoftLabels(f"{name!r} contains values that are too large")
    return made


def _first_bad(values: np.ndarray) -> int:
    return int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])


def _first(names: tuple[str, ...]) -> str:
    return ", ".join(name[:40] for name in names[:4]) + ", …" * (len(names) > 4)


_judged: dict[tuple[Path, int, int, str], tuple[str, bool]] = {}


def about(path: Path, dataset: Dataset) -> tuple[str, bool]:
    """Who the teacher of a file is, and whether it has the test images too. Reads a file once.

    Raises BadSoftLabels.
    """
    state = path.stat()
    name = (path, state.st_mtime_ns, state.st_size, dataset.fingerprint)
    if name not in _judged:
        found = read(path, dataset)
        _judged[name] = found.source, found.test is not None
    return _judged[name]
