"""Batch norm folded into the layers before it: the same function in fewer operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from kdcore.lazy import nn

if TYPE_CHECKING:
    from torch import fx


def folded(network: nn.Module) -> fx.GraphModule | None:
    """A copy of `network` (in evaluation mode) as a graph without batch norm, and without gradients.

    The logits are the same up to rounding. None when the network's Python code cannot be traced.
    """
    from torch.fx.experimental.optimization import fuse

    try:
        return cast("fx.GraphModule", fuse(network).requires_grad_(False))
    except Exception:  # tracing runs the network's own code
        return None
