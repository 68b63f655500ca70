"""Weight sharing: the weights of a layer take a few values only, kept in a codebook."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pydantic import Field

from kdcore.compress.step import CompressError, StepInput, StepResult
from kdcore.compress.tools.finetune import Finetune
from kdcore.compress.tools.masks import layers_of
from kdcore.compress.tools.recalibrate import recalibrate
from kdcore.compress.traits import StepTraits, any_graph
from kdcore.inputs import EVERY
from kdcore.lazy import torch
from kdcore.registry import Options, Searched, by_options, register

MOST_ROUNDS = 300  # of Lloyd's algorithm, which mostly settles in a few dozen


class Share(Options):
    """Options of weight sharing."""

    bits: int = Field(5, ge=1, le=8, description="Bits of a codebook index: 5 bits are 32 values per layer.")
    finetune: Finetune = Field(Finetune(), description="Training of the codebooks, to recover accuracy.")


def _undone(step: str) -> str | None:
    return None if step == "code" else "it changes the shared values, and only code turns those into a small file"


@register(
    "step",
    "share",
    "A codebook of few values per layer (k-means): smaller only when coded, no faster",
    source="Han et al. 2016, arXiv:1510.00149, section 3: eq. 2, linear initialisation, gradients as in eq. 3",
    options=Share,
    traits=StepTraits(
        variant="shared",
        stage="share",
        label=by_options(lambda options: f"shared {options.bits} bits"),
        faster=False,
        undone_by=_undone,
        graph=any_graph,
        why="Storage only: the file that runs stores every weight in four bytes, with batch norm folded in, "
        "and runs at the same speed. The step 'code' writes the small file.",
        search=(Searched("bits", 2, 6, step=1, smallest=2),),
        coded=True,
        reads=EVERY,
        formula=r"W_{ij} \leftarrow c_{k(i, j)} \\ \min_{c, k} \sum (W_{ij} - c_{k(i,j)})^2, \; |c| \le 2^b",
        helps="Before coding: few distinct values cost few bits. Alone it makes the deployed file no smaller.",
    ),
)
def share(material: StepInput, options: Share) -> StepResult:
    """Gives the weights of every layer at most 2^bits values, the best in squared error, and recalibrates batch norm.

    Zeros, as pruning leaves them, stay zeros and are not counted. In fine-tuning all weights of one value get the sum
    of their gradients, so they move as one. Raises CompressError where there is nothing to share.
    """
    layers = layers_of(material.network)
    unique = {id(module.weight): name for name, module in reversed(layers.items())}  # tied layers have one codebook
    codebooks, report = [], []
    for name in (name for name in layers if unique[id(layers[name].weight)] == name):
        weight: Any = layers[name].weight
        whole = weight.detach().clone()
        codebooks.append(Codebook(weight, 2**options.bits))
        report.append(_row(name, options.bits, codebooks[-1], whole, weight.detach()))
    if not codebooks:
        raise CompressError("no convolution or linear layer has weights to share")
    recalibrate(material.network, material.images, material.seed)
    return StepResult(material.network, report, constrain=_constrain(codebooks))


class Codebook:
    """The shared values of one weight tensor, and which of its weights takes which: place 0 is zero, and stays so."""

    def __init__(self, weight: torch.Tensor, size: int):
        self.weight = weight
        flat = weight.detach().reshape(-1)
        self.places = torch.zeros(len(flat), dtype=torch.long)
        used = flat != 0
        values, self.places[used] = kmeans(flat[used], size)
        self.places[used] += 1
        self.count = len(values) + 1
        self.first = torch.zeros(self.count, dtype=torch.long)  # of each value, a weight that has it
        backwards = torch.arange(len(flat) - 1, -1, -1)
        self.first[self.places[backwards]] = backwards
        self._write(torch.cat([torch.zeros(1), values.to(flat.dtype)]))
        weight.register_hook(self.summed)

    def _write(self, values: torch.Tensor) -> None:
        with torch.no_grad():
            self.weight.copy_(values[self.places].view(self.weight.shape))

    def summed(self, gradient: torch.Tensor) -> torch.Tensor:
        """Each weight's gradient is the sum over all weights of its value (eq. 3); those at zero have none."""
        self.places = self.places.to(gradient.device)
        sums = torch.zeros(self.count, dtype=gradient.dtype, device=gradient.device)
        sums.index_add_(0, self.places, gradient.reshape(-1))
        sums[0] = 0
        return sums[self.places].view(gradient.shape)

    def restore(self) -> None:
        """Weights of one value, which an optimizer may have moved apart by a rounding, are made equal; zeros zero."""
        device = self.weight.device
        self.places, self.first = self.places.to(device), self.first.to(device)
        values = self.weight.detach().reshape(-1)[self.first]
        values[0] = 0
        self._write(values)


def _constrain(codebooks: list[Codebook]) -> Callable[[], None]:
    def constrain() -> None:
        for codebook in codebooks:
            codebook.restore()

    return constrain


def kmeans(weights: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """At most `size` values (k,), ascending, and the place (n,) of each of the weights (n,) among them.

    Lloyd's algorithm from values evenly spread between the smallest and the largest weight. In one dimension a
    cluster is a stretch of the sorted weights, so its mean is a difference of cumulative sums.
    """
    import numpy as np

    order = weights.double().numpy().argsort(kind="stable")
    ascending = weights.double().numpy()[order]
    distinct = np.unique(ascending)
    values = distinct
    if len(distinct) > size:
        values = np.linspace(ascending[0], ascending[-1], size)
        sums = np.concatenate([[0.0], ascending.cumsum()])
        ends = None
        for _ in range(MOST_ROUNDS):
            before, ends = ends, _stretches(ascending, values)
            if before is not None and np.array_equal(before, ends):
                break
            counts = np.diff(ends)
            filled = counts > 0
            values[filled] = np.diff(sums[ends])[filled] / counts[filled]
            values.sort()
        values = np.unique(values[np.diff(_stretches(ascending, values)) > 0].astype(np.float32)).astype(np.float64)
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.repeat(np.arange(len(values)), np.diff(_stretches(ascending, values)))
    return torch.from_numpy(values), torch.from_numpy(places)


def _stretches(ascending: Any, values: Any) -> Any:
    """Where the stretch of each value begins, and where the last ends, (k + 1,)."""
    import numpy as np

    middles = (values[1:] + values[:-1]) / 2
    return np.concatenate([[0], np.searchsorted(ascending, middles), [len(ascending)]])


def _row(name: str, bits: int, codebook: Codebook, whole: torch.Tensor, shared: torch.Tensor) -> dict[str, Any]:
    """`distinct`: values in use beside zero. `entropy_bits`: of the places, a weight that is not zero.

    `weight_error`: ‖W - Ŵ‖ / ‖W‖. `shared_bytes`: the places at `bits` each and the codebook at four bytes a value,
    without the positions of the zeros; storage only.
    """
    counts = torch.bincount(codebook.places, minlength=codebook.count)
    used = int(counts[1:].sum())
    shares = counts[1:][counts[1:] > 0].double() / max(used, 1)
    distinct = len(shares)
    return {
        "name": name,
        "bits": bits,
        "weights": whole.numel(),
        "zeros": int(counts[0]),
        "distinct": distinct,
        "entropy_bits": max(0.0, float(-(shares * shares.log2()).sum())),
        "weight_error": float((whole - shared).norm() / whole.norm().clamp(min=1e-30)),
        "shared_bytes": math.ceil(used * bits / 8) + 4 * distinct,
    }
