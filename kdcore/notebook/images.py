"""Images and labels as a notebook has them, made into what the engine takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

from kdcore import machine
from kdcore.data.prepare import fingerprint
from kdcore.data.splits import Split
from kdcore.data.types import Dataset, RawImages
from kdcore.execute.material import Material
from kdcore.problems import Problem, RecipeError

NAME = "images from Python"
VALIDATION = f"{NAME} (validation)"  # where these judge the files, as there are no test images
UNLABELLED = -1
EXACT = 1e-3  # of a level of 255: floats that are whole levels are the pixels of an image


class Given(NamedTuple):
    """`images`: uint8 or float32 (N, C, H, W). `labels`: int64 (N,), UNLABELLED where an image has none."""

    images: np.ndarray
    labels: np.ndarray

    @property
    def none(self) -> Given:
        """No image of this kind."""
        return Given(self.images[:0], self.labels[:0])


def refuse(argument: str, message: str) -> NoReturn:
    """Raises RecipeError for one argument."""
    raise RecipeError([Problem(argument, message)])


def read(given: Any, argument: str, *, labels: bool = True) -> Given:
    """Images and labels out of a tensor or array, an (images, labels) pair, a Dataset or a DataLoader.

    `labels`: whether every image must have one. Raises RecipeError, which names the argument.
    """
    images, known = _parts(given, argument)
    if images.ndim != 4:
        hint = "; add a channel with images[:, None]" if images.ndim == 3 else ""
        refuse(argument, f"images must be (N, C, H, W), not {tuple(images.shape)}{hint}")
    if images.dtype != np.uint8:
        if not np.issubdtype(images.dtype, np.floating):
            refuse(argument, f"images must be uint8 or float, not {images.dtype}")
        images = images.astype(np.float32)
        if not np.isfinite(images).all():
            refuse(argument, "the images hold values that are not finite")
    if len(images) < 2:
        refuse(argument, f"two images at least are needed, not {len(images)}")
    if known is None:
        known = np.full(len(images), UNLABELLED)
    if known.shape != (len(images),) or not np.issubdtype(known.dtype, np.integer):
        refuse(argument, f"labels must be whole numbers (N,), not {known.dtype} {known.shape} for {len(images)} images")
    if labels and (known < 0).any():
        refuse(argument, "every image needs a label here: give an (images, labels) pair")
    return Given(images, known.astype(np.int64))


def _parts(given: Any, argument: str) -> tuple[np.ndarray, np.ndarray | None]:
    if _is_array(given):
        return _array(given), None
    if isinstance(given, tuple | list) and len(given) == 2 and all(map(_is_array, given)):
        return _array(given[0]), _array(given[1])
    if isinstance(given, DataLoader | IterableDataset):
        found = [_pair(item, argument) for item in given]
        images, labels = [np.concatenate([_array(part) for part in parts]) for parts in _columns(found, argument)]
        return images, labels
    if hasattr(given, "__getitem__") and hasattr(given, "__len__"):
        items = [_pair(given[place], argument) for place in range(len(given))]
        images, labels = [np.stack([_array(part) for part in parts]) for parts in _columns(items, argument)]
        return images, labels
    refuse(argument, f"takes images, an (images, labels) pair, a Dataset or a DataLoader, not {type(given).__name__}")


def _is_array(value: Any) -> bool:
    return isinstance(value, torch.Tensor | np.ndarray)


def _array(value: Any) -> np.ndarray:
    """As an array; a picture of PIL as (C, H, W)."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy()
    if hasattr(value, "getbands"):
        picture = np.asarray(value)
        return picture[None] if picture.ndim == 2 else picture.transpose(2, 0, 1)
    return np.asarray(value)


def _pair(item: Any, argument: str) -> tuple[Any, Any]:
    if isinstance(item, tuple | list) and len(item) == 2:
        return item[0], item[1]
    refuse(argument, "its items must be (image, label) pairs")


def _columns(items: Sequence[tuple[Any, Any]], argument: str) -> Iterator[Sequence[Any]]:
    if not items:
        refuse(argument, "it is empty")
    shapes = {tuple(np.shape(_array(image)))[-3:] for image, _ in items}
    if len(shapes) > 1:
        refuse(argument, f"images must have one size, not {' and '.join(map(str, sorted(shapes)[:2]))}: resize them")
    yield from zip(*items, strict=True)


def material(train: Given, validation: Given, test: Given | None, classes: Sequence[str]) -> Material:
    """What the engine works with. Without test images, files are judged by the validation images.

    Raises RecipeError.
    """
    parts = {"train": train, "validation": validation, **({"test": test} if test else {})}
    _check(parts, train.images.shape[1:], len(classes))
    images = dict(zip(parts, _alike([part.images for part in parts.values()]), strict=True))
    tested, judged = ("test", test) if test else ("validation", validation)
    pool = np.arange(len(train.images))
    labelled = np.flatnonzero(train.labels >= 0)
    shares = Split(labelled, labelled, pool, len(pool) + np.arange(len(validation.images)))
    known = np.concatenate([train.labels, validation.labels])
    seen = np.concatenate([images["train"], images["validation"]])
    names = tuple(classes)
    about = fingerprint(RawImages(seen[:0], known[:0], images[tested], judged.labels, names))
    plain = (0.0,) * seen.shape[-1], (1.0,) * seen.shape[-1]  # a person's network normalises its input itself
    dataset = Dataset(NAME if test else VALIDATION, seen, images[tested], known, judged.labels, names, about, *plain)
    return Material(dataset, shares, torch.device(machine.device()))


def judged_by(material: Material) -> str:
    """Which images judge a file: "test", or "validation" where there are no others."""
    return "test" if material.dataset.name == NAME else "validation"


def calibrates(material: Material) -> bool:
    """Whether there are validation images beside those that judge a file."""
    return judged_by(material) == "test" and len(material.shares.seen) > 0


def _check(parts: dict[str, Given], shape: tuple[int, ...], classes: int) -> None:
    kinds = {part.images.dtype for part in parts.values()}
    if len(kinds) > 1:
        refuse("train", "train, validation and test must be of one type: uint8 all, or float all")
    for name, part in parts.items():
        if part.images.shape[1:] != shape:
            refuse(name, f"its images are {part.images.shape[1:]}, those of train {shape}")
        highest = part.labels.max(initial=UNLABELLED)
        if highest >= classes:
            refuse(name, f"label {highest} is none of the {classes} classes that the network gives")


def _alike(images: list[np.ndarray]) -> list[np.ndarray]:
    """All as (N, H, W, C): as uint8 where their floats are whole levels of 255, else as they are."""
    whole = all(part.dtype != np.uint8 and _levels(part) for part in images)
    made: Iterable[np.ndarray] = [np.rint(part * 255).astype(np.uint8) for part in images] if whole else images
    return [np.ascontiguousarray(part.transpose(0, 2, 3, 1)) for part in made]


def _levels(images: np.ndarray) -> bool:
    if images.min() < 0 or images.max() > 1:
        return False
    levels = images * 255
    return bool((np.abs(levels - np.rint(levels)) < EXACT).all())
