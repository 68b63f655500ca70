"""From one network's features to the channels and the size of another's."""

from __future__ import annotations

from torch import nn


def regressor(own: tuple[int, ...], other: tuple[int, ...]) -> nn.Module:
    """Between features of these shapes without the batch, (C, H, W) or (F,).

    Maps: a convolution, batch norm, ReLU. Student's maps of twice the teacher's size are halved (3x3, stride 2), those
    of half its size doubled (4x4, transposed); other sizes must be equal (1x1). Vectors: a linear layer, batch norm.
    """
    inputs, outputs = own[0], other[0]
    if len(own) == 1:
        return nn.Sequential(nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs))
    convolution: nn.Module
    if halves(own, other):
        convolution = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
    elif halves(other, own):
        convolution = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)
    else:
        convolution = nn.Conv2d(inputs, outputs, 1)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def halves(larger: tuple[int, ...], smaller: tuple[int, ...]) -> bool:
    """Whether maps (..., H, W) have exactly twice the height and width of others."""
    return larger[-2:] == tuple(2 * side for side in smaller[-2:])
