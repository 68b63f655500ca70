"""Scenes of several handwritten digits: for learning which digits are in an image, however many."""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import Field, model_validator

from kdcore.data.sets.digits import Digits, digits
from kdcore.data.types import RawImages
from kdcore.registry import Options, register

SIDE = 8  # pixels of one digit
TRIES = 30  # places that are tried for one digit before a scene is laid out on a grid


class DigitScenes(Options):
    """Options of the digit scenes."""

    scenes: int = Field(3000, ge=200, le=20_000, description="Training scenes.")
    test_scenes: int = Field(1000, ge=100, le=10_000, description="Test scenes, composed of test digits only.")
    size: int = Field(24, ge=8, le=64, description="Image size in pixels.")
    digits: int = Field(4, ge=1, le=16, description="Digits per scene (max); each number from 0 is equally likely.")

    @model_validator(mode="after")
    def _room(self) -> Self:
        most = (self.size // SIDE) ** 2
        if self.digits > most:
            raise ValueError(
                f"{self.digits} digits of {SIDE}x{SIDE} pixels do not fit: {self.size}x{self.size} has room for {most}"
            )
        return self


@register(
    "dataset",
    "digit_scenes",
    "Scenes of up to four handwritten digits, with several labels each: which digits are present?",
    source="composed here of scikit-learn's digits (E. Alpaydin and C. Kaynak 1998)",
    options=DigitScenes,
)
def digit_scenes(options: DigitScenes) -> RawImages:
    """Scenes whose label set is the digits in them, 0 to 9; a digit that is there twice counts once.

    Digits lie at random places and never overlap. Training scenes hold training digits alone, test scenes test digits.
    """
    singles = digits(Digits())
    train = _compose(singles.train_images, singles.train_labels, options.scenes, options, stream=1)
    test = _compose(singles.test_images, singles.test_labels, options.test_scenes, options, stream=2)
    return RawImages(*train, *test, singles.classes)


def _compose(
    images: np.ndarray, labels: np.ndarray, count: int, options: DigitScenes, stream: int
) -> tuple[np.ndarray, np.ndarray]:
    """Scenes uint8 (count, size, size, 1) and label sets uint8 (count, 10). RandomState's numbers never change."""
    random = np.random.RandomState([0, stream])
    scenes = np.zeros((count, options.size, options.size, 1), dtype=np.uint8)
    sets = np.zeros((count, 10), dtype=np.uint8)
    for scene, held in zip(scenes, sets, strict=True):
        chosen = random.randint(0, len(images), random.randint(0, options.digits + 1))
        for index, (top, left) in zip(chosen, _places(len(chosen), options.size, random), strict=True):
            scene[top : top + SIDE, left : left + SIDE] = images[index]
            held[labels[index]] = 1
    return scenes, sets


def _places(count: int, size: int, random: np.random.RandomState) -> list[tuple[int, int]]:
    """Top left corners of squares that do not overlap: anywhere, or on a grid where chance leaves no room."""
    places: list[tuple[int, int]] = []
    for _ in range(TRIES * count):
        if len(places) == count:
            break
        top, left = (int(corner) for corner in random.randint(0, size - SIDE + 1, 2))
        if all(abs(top - other) >= SIDE or abs(left - beside) >= SIDE for other, beside in places):
            places.append((top, left))
    if len(places) == count:
        return places
    cells = random.permutation((size // SIDE) ** 2)[:count]
    return [(SIDE * int(cell // (size // SIDE)), SIDE * int(cell % (size // SIDE))) for cell in cells]
