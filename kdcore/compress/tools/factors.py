"""A weight as the product of two or three smaller ones: singular values, the factors, their size."""

from __future__ import annotations

from collections.abc import Sequence

from kdcore.lazy import torch


def kind_of(weight: torch.Tensor, convolutions: str) -> str:
    """How a weight (O, I) or (O, I, kh, kw) is split where `convolutions` are split so: along one direction alone, by
    channel."""
    return "channel" if weight.ndim == 2 or 1 in weight.shape[2:] else convolutions


def unfoldings(weight: torch.Tensor, kind: str) -> list[torch.Tensor]:
    """The matrices, float64, whose ranks are cut, of a weight (O, I) or (O, I, kh, kw).

    channel: (O, I·kh·kw). spatial: (I·kh, O·kw). tucker: (I, O·kh·kw) and (O, I·kh·kw).
    """
    weight = weight.double()
    if kind == "spatial":
        return [weight.permute(1, 2, 0, 3).flatten(2).flatten(0, 1)]
    return [weight.transpose(0, 1).flatten(1), weight.flatten(1)] if kind == "tucker" else [weight.flatten(1)]


def spectra(weight: torch.Tensor, kind: str) -> list[torch.Tensor]:
    """The singular values, largest first, for each rank of the split."""
    return [torch.linalg.svdvals(matrix) for matrix in unfoldings(weight, kind)]


def factors(weight: torch.Tensor, kind: str, ranks: list[int]) -> list[torch.Tensor]:
    """The weights of the layers in place of one, in their order, float64; exact at full rank."""
    cut = []
    for matrix, rank in zip(unfoldings(weight, kind), ranks, strict=True):
        left, values, right = torch.linalg.svd(matrix, full_matrices=False)
        cut.append((left[:, :rank], values[:rank].sqrt(), right[:rank]))
    if kind == "tucker":
        (inner, _, _), (outer, _, _) = cut
        core = torch.einsum("oihw,or,is->rshw", weight.double(), outer, inner)
        return [inner.T[..., None, None], core, outer[..., None, None]]
    left, root, right = cut[0]
    left, right = left * root, root[:, None] * right
    if kind == "spatial":
        outputs, inputs, height, width = weight.shape
        column = left.T.reshape(-1, inputs, height, 1)
        return [column, right.reshape(-1, outputs, width).transpose(0, 1)[:, :, None]]
    return [right.reshape(-1, *weight.shape[1:]), left.reshape(*left.shape, *[1] * (weight.ndim - 2))]


def product(parts: list[torch.Tensor], kind: str) -> torch.Tensor:
    """The one weight that does what the parts do one after another."""
    if kind == "tucker":
        return torch.einsum("si,rshw,or->oihw", parts[0][..., 0, 0], parts[1], parts[2][..., 0, 0])
    if kind == "spatial":
        return torch.einsum("rih,orw->oihw", parts[0][..., 0], parts[1][:, :, 0])
    return torch.tensordot(parts[1].flatten(1), parts[0], 1)


def weights(shape: Sequence[int], kind: str, ranks: Sequence[int]) -> int:
    """How many weights the factors of a weight of this shape have."""
    outputs, inputs, *kernel = shape
    area = kernel[0] * kernel[1] if kernel else 1
    if kind == "tucker":
        return inputs * ranks[0] + ranks[0] * ranks[1] * area + ranks[1] * outputs
    if kind == "spatial":
        return ranks[0] * (inputs * kernel[0] + outputs * kernel[1])
    return ranks[0] * (inputs * area + outputs)


def rank(share: float, full: int) -> int:
    """A share of the full rank, at least 1."""
    return max(1, round(share * full))
