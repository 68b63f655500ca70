"""Rounding by hand agrees with the step that rounds."""

import numpy as np
import pytest
import torch

from kdcore.compress.tools import quant_grid
from kdcore.data.dataset import load
from kdcore.export.runtime import pixels
from kdcore.lessons.rounding import Grid, Layers, rounded, sqnr

WEIGHT = np.random.default_rng(0).normal(size=(8, 4, 3, 3)).astype(np.float32)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("per_channel", [True, False])
def test_it_rounds_as_the_compression_step_does(bits, symmetric, per_channel):
    tensor = torch.from_numpy(WEIGHT)
    scale = quant_grid.scales(tensor, bits, per_channel=per_channel, symmetric=symmetric)
    expected = quant_grid.codes(tensor, scale, bits, symmetric) * scale
    mine = rounded(WEIGHT, Grid(bits, symmetric, per_channel))
    assert mine == pytest.approx(expected.numpy(), abs=1e-5)


def test_clipping_for_least_error_and_a_scale_a_filter_lose_less():
    def lost(**grid):
        return sqnr(WEIGHT, rounded(WEIGHT, Grid(3, **grid)))

    assert lost(clip="mse") > lost(clip="max") > lost(per_channel=False)
    assert sqnr(WEIGHT, WEIGHT) is None


def test_the_accuracy_is_of_the_file_with_the_changed_weights(small):
    row = small.row("student distilled")
    layers = Layers(small.workspace.model(row["model_key"]) / "model.onnx")
    dataset = load(small.recipe.data.source)
    images, labels = pixels(dataset.test_images), np.asarray(dataset.test_labels)
    first = small.reports("student distilled")[0]["quality"]["accuracy"]
    assert layers.accuracy(images, labels) == pytest.approx(first, abs=0.002)
    head = list(layers.weights)[-1]
    nothing = layers.accuracy(images, labels, {head: np.zeros_like(layers.weights[head])})
    assert nothing < 0.2
    assert layers.accuracy(images, labels) == pytest.approx(first, abs=0.002)
