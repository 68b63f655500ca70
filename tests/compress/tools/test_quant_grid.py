from __future__ import annotations

import numpy as np
import pytest
import torch

from kdcore.compress.tools import quant_grid


def errors(rows: np.ndarray, steps: np.ndarray, top: int) -> np.ndarray:
    """Squared error (R, S) of each row on the symmetric grid of each step."""
    codes = np.clip(np.rint(rows[:, None] / steps[None, :, None]), -top, top)
    return np.square(rows[:, None] - codes * steps[None, :, None]).sum(2)


def test_codes_are_the_nearest_levels():
    weight = torch.tensor([[0.9, -0.3, 0.1, -1.0]])
    assert quant_grid.codes(weight, torch.tensor([[0.5]]), 2).tolist() == [[1, -1, 0, -1]]
    assert quant_grid.codes(weight, torch.tensor([[0.1]]), 4).tolist() == [[7, -3, 1, -7]]
    assert quant_grid.codes(torch.tensor([[0.0, -0.2, 3.0]]), torch.tensor([[1.0]]), 1).tolist() == [[1, -1, 1]]


@pytest.mark.parametrize(("bits", "top"), [(8, 127), (5, 15), (4, 7), (3, 3), (2, 1)])
def test_without_clipping_the_largest_weight_is_the_last_level(bits, top):
    weight = torch.randn(4, 3, 3, 3)
    scale = quant_grid.scales(weight, bits)
    assert scale.shape == (4, 1, 1, 1)
    torch.testing.assert_close(scale.flatten() * top, weight.flatten(1).abs().amax(1))
    assert (weight - quant_grid.codes(weight, scale, bits) * scale).abs().max() <= 0.5001 * scale.max()


@pytest.mark.parametrize("bits", [4, 3, 2])
def test_clipping_by_error_is_as_good_as_trying_every_step(bits):
    weight = torch.randn(3, 40, generator=torch.Generator().manual_seed(bits))
    top = quant_grid.span(bits)[1]
    found = quant_grid.scales(weight, bits, clip="mse").numpy()[:, 0]
    mine = np.array([errors(row[None], step[None], top)[0, 0] for row, step in zip(weight.numpy(), found, strict=True)])
    tried = errors(weight.numpy(), np.linspace(0.02, 1.0, 4000) * float(weight.abs().max()) / top, top).min(1)
    assert (mine <= 1.02 * tried).all()
    plain = quant_grid.scales(weight, bits).numpy()[:, 0]
    unclipped = [errors(row[None], step[None], top)[0, 0] for row, step in zip(weight.numpy(), plain, strict=True)]
    assert (mine <= np.array(unclipped) + 1e-9).all()


def test_one_more_level_below_zero():
    weight = torch.tensor([[-2.0, -0.9, 0.1, 1.0]])
    assert quant_grid.span(2, symmetric=False) == (-2, 1)
    assert quant_grid.span(8, symmetric=False) == (-127, 127)
    scale = quant_grid.scales(weight, 2, symmetric=False)
    assert scale.tolist() == [[1.0]]
    assert quant_grid.codes(weight, scale, 2, symmetric=False).tolist() == [[-2, -1, 0, 1]]


def test_a_grid_that_is_not_symmetric_takes_what_is_never_negative():
    values = torch.rand(1, 500) * 3
    step = float(quant_grid.least_error(values, 0, 15)[0])
    assert step == pytest.approx(3 / 15, rel=0.05)


def test_one_bit_has_the_scale_of_least_error():
    weight = torch.randn(2, 50)
    scale = quant_grid.scales(weight, 1)
    signs = np.where(weight.numpy() < 0, -1, 1)
    for row, sign, found in zip(weight.numpy(), signs, scale.numpy()[:, 0], strict=True):
        tried = np.linspace(0.01, 3, 5000)
        best = tried[np.square(row[None] - tried[:, None] * sign[None]).sum(1).argmin()]
        assert found == pytest.approx(best, abs=1e-3)


def test_one_scale_for_the_layer():
    weight = torch.tensor([[1.0, -2.0], [0.1, 0.2]])
    assert quant_grid.scales(weight, 2, per_channel=False).tolist() == [[2.0]]
    assert quant_grid.codes(weight, quant_grid.scales(weight, 2, per_channel=False), 2)[1].tolist() == [0, 0]


@pytest.mark.parametrize("clip", ["max", "mse"])
@pytest.mark.parametrize("bits", [1, 2, 8])
def test_a_filter_of_zeros_stays_one(bits, clip):
    weight = torch.zeros(2, 5)
    scale = quant_grid.scales(weight, bits, clip=clip)
    assert (scale == 1).all()
    if bits > 1:
        assert not quant_grid.codes(weight, scale, bits).any()


def test_the_report_tells_the_error_and_where_it_comes_from():
    whole = torch.tensor([[4.0, 1.0, -1.2, 0.0]])
    scale = torch.tensor([[1.0]])
    rounded = quant_grid.codes(whole, scale, 2) * scale  # 1, 1, -1, 0
    row = quant_grid.row("layer", 2, whole, rounded, scale, (-1, 1))
    assert row["weight_error"] == pytest.approx(np.sqrt((9 + 0.04) / (16 + 1 + 1.44)))
    assert row["sqnr_db"] == pytest.approx(-20 * np.log10(row["weight_error"]))
    assert row["clipped"] == 0.25
    assert row["clipping"] == pytest.approx(9 / 9.04)
    assert row["coded_bytes"] == 1 + 4
    assert quant_grid.row("layer", 8, whole, whole, scale, (-127, 127))["sqnr_db"] is None
