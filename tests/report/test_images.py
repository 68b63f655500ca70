"""What a form says of few images before anything runs."""

from __future__ import annotations

import math

import pytest

from kdcore.recipe import parse
from kdcore.report.images import interval_width, looked_at

FEW = {"seen": 28, "test": 8, "multilabel": False, "shape": [1, 8, 8]}
STEPS = [
    {"step": "prune_structured", "finetune": {"steps": 70}},
    {"step": "prune_unstructured", "importance": "wanda", "scope": "layer", "finetune": {"steps": 0}},
    {"step": "int8", "images": 16},
]


def test_each_step_says_how_many_images_it_looks_at_and_how_many_there_are():
    recipe = parse({"compress": STEPS, "train": {"batch_size": 32}})
    assert looked_at(recipe, FEW) == [
        "Pruned 50 % is fine-tuned on 28 images, each 80 times.",
        "80 % zeros uses at most 256 images; there are 28.",
        "Int8 uses at most 16 images.",
    ]


@pytest.mark.parametrize("count", [8, 360])
def test_the_interval_of_so_many_test_images_is_wilsons(count):
    right = round(0.9 * count)
    share, z2 = right / count, 1.959964**2
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = math.sqrt(z2) / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    said = interval_width(FEW | {"test": count})
    assert f"interval of {100 * (centre - half):.1f} to {100 * (centre + half):.1f} %" in said
    assert f"{count} test images" in said


def test_of_several_labels_an_image_there_is_no_accuracy():
    assert interval_width(FEW | {"multilabel": True}) == ""
