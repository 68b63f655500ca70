"""One training over several devices, a process on each: what they compute is what a single one computes.

Every process draws the whole batch with the same views, and runs the networks on its share alone. The answers are then
gathered, so that each process has those of the whole batch and computes the whole loss: methods that compare images
with each other or keep a memory of them work as ever, and no mean depends on how the batch was divided. Batch norms use
mean and variance of the whole batch. DistributedDataParallel averages the gradients, and every process makes the same
step. What remains is rounding, and what networks draw at random (dropout), which differs between the processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from inspect import signature
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn
from torch.autograd import Function
from torch.autograd.function import FunctionCtx
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel
from torch.overrides import TorchFunctionMode

WAIT = timedelta(hours=1)  # for another process, which may be judging the network; one that dies is noticed at once


class Alone:
    """A training on one device. `count`: of the processes that train together, `rank`: which of them this one is."""

    count, rank = 1, 0

    def answers(self, network: Callable[[torch.Tensor], torch.Tensor], inputs: torch.Tensor) -> torch.Tensor:
        """What the network answers to a whole batch of inputs."""
        return network(inputs)

    def whole(self, found: torch.Tensor, inputs: int) -> torch.Tensor:
        """What a network computed on the way to its last `answers`, of the whole batch of so many inputs."""
        return found

    def wrapped(self, step: nn.Module) -> nn.Module:
        """A module whose call gives the loss of one step, so that after `backward` the gradients are those of all."""
        return step

    def agreed(self, values: Callable[[], Sequence[float]], count: int) -> list[float]:
        """These `count` numbers, which the first process alone computes."""
        return list(values())

    def wait(self) -> None:
        """Returns once all processes are here."""


class Team(Alone):
    """This process among `count` that train together; see `joined`."""

    def __init__(self, rank: int, count: int, device: torch.device):
        self.rank, self.count, self._device = rank, count, device

    def answers(self, network: Callable[[torch.Tensor], torch.Tensor], inputs: torch.Tensor) -> torch.Tensor:
        with _WholeBatch():
            own = network(inputs[self._share(len(inputs))])
        return self.whole(own, len(inputs))

    def whole(self, found: torch.Tensor, inputs: int) -> torch.Tensor:
        share = self._share(inputs)
        of_each = len(found) // (share.stop - share.start)  # language models answer in several rows to one input
        sizes = [of_each * (part.stop - part.start) for part in self._shares(inputs)]
        gathered: torch.Tensor = _Gathered.apply(found.float(), sizes, self.rank)
        return gathered

    def wrapped(self, step: nn.Module) -> nn.Module:
        # buffers are equal already; torch 2.15 has renamed the option
        names = signature(DistributedDataParallel).parameters.keys() & {"forward_sync_buffers"} or {"broadcast_buffers"}
        options: dict[str, Any] = {"find_unused_parameters": True, **dict.fromkeys(names, False)}
        return DistributedDataParallel(step, **options)

    def agreed(self, values: Callable[[], Sequence[float]], count: int) -> list[float]:
        numbers = torch.zeros(count, dtype=torch.float64, device=self._device)
        if not self.rank:
            numbers.copy_(torch.tensor(list(values()), dtype=torch.float64))
        distributed.broadcast(numbers, 0)
        return numbers.tolist()

    def wait(self) -> None:
        distributed.barrier()

    def _share(self, inputs: int) -> slice:
        return self._shares(inputs)[self.rank]

    def _shares(self, inputs: int) -> list[slice]:
        """Which inputs of a batch each process computes: as many, or one more. Raises ValueError where one has none."""
        if inputs < self.count:
            raise ValueError(f"a batch of {inputs} inputs cannot be divided among {self.count} devices")
        ends = [inputs * number // self.count for number in range(self.count + 1)]
        return [slice(start, end) for start, end in pairwise(ends)]


ALONE = Alone()


@contextmanager
def joined(rank: int, count: int, meeting: Path, device: torch.device) -> Iterator[Team]:
    """Meets the others, who name the same new file, and leaves them at the end. Each process once.

    A process in which the training fails must end: to leave those who are still at work may take for ever.
    """
    backend = "nccl" if device.type == "cuda" and distributed.is_nccl_available() else "gloo"
    place = meeting.absolute().as_uri()
    distributed.init_process_group(backend, init_method=place, rank=rank, world_size=count, timeout=WAIT)
    yield Team(rank, count, device)
    distributed.destroy_process_group()


class _Gathered(Function):
    """The rows of all processes, in their order, from this one's (R, ...).

    Each process computes the whole loss from them. So the gradient of the own rows is complete as it is; it passes on
    times the number of processes, over which DistributedDataParallel takes the mean.
    """

    @staticmethod
    def forward(ctx: Any, own: torch.Tensor, sizes: list[int], rank: int) -> torch.Tensor:
        ctx.first, ctx.rows, ctx.count = sum(sizes[:rank]), sizes[rank], len(sizes)
        padded = own.new_zeros(max(sizes), *own.shape[1:])
        padded[: len(own)] = own
        parts = [torch.empty_like(padded) for _ in sizes]
        distributed.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return gradients[0][ctx.first : ctx.first + ctx.rows] * ctx.count, None, None


class _Summed(Function):
    """The sum over all processes; each has uses of its own for it, whose gradients are summed too."""

    @staticmethod
    def forward(ctx: FunctionCtx, own: torch.Tensor) -> torch.Tensor:
        return _total(own)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: torch.Tensor) -> torch.Tensor:
        return _total(gradients[0])


def _total(own: torch.Tensor) -> torch.Tensor:
    total = own.clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(total)
    return total


class _WholeBatch(TorchFunctionMode):
    """While it is entered, batch norms in training use the statistics of all processes' inputs."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        used = _batch_norm if function is functional.batch_norm else function
        return used(*args, **(kwargs or {}))


def _batch_norm(
    found: torch.Tensor,
    running_mean: torch.Tensor | None,
    running_var: torch.Tensor | None,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> torch.Tensor:
    """`functional.batch_norm` over all processes: of features (B, C, ...), of which each has some.

    nn.SyncBatchNorm does the same on GPUs alone.
    """
    if not training:
        return functional.batch_norm(found, running_mean, running_var, weight, bias, training, momentum, eps)
    features, others = found.float(), [axis for axis in range(found.ndim) if axis != 1]
    shape = [1, -1, *[1] * (found.ndim - 2)]
    own = features.new_full((1,), features.numel() / features.shape[1])
    *sums, count = _Summed.apply(torch.cat([features.sum(others), own])).split([features.shape[1], 1])
    mean = sums[0] / count
    centred = features - mean.view(shape)
    variance = _Summed.apply(centred.square().sum(others)) / count
    with torch.no_grad():
        if running_mean is not None and running_var is not None:
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            running_var.lerp_((variance * count / (count - 1)).to(running_var.dtype), momentum)
    scale = (variance + eps).rsqrt() if weight is None else (variance + eps).rsqrt() * weight
    normed = centred * scale.view(shape)
    return (normed if bias is None else normed + bias.view(shape)).to(found.dtype)
