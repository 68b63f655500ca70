"""Batch norms and the convolutions before them."""

from __future__ import annotations

from typing import Any

from kdcore.compress.step import CompressError
from kdcore.lazy import nn


def followers(network: nn.Module) -> dict[str, str]:
    """Names of the batch norms that can be folded, by the name of the convolution or linear layer before each.

    Those whose layer feeds nothing else and is called once. Raises CompressError for a network with batch norms
    whose Python code cannot be traced.
    """
    from torch import fx

    modules = dict(network.named_modules())
    kinds = nn.modules.batchnorm._BatchNorm
    if not any(isinstance(module, kinds) for module in modules.values()):
        return {}
    try:
        graph: Any = fx.Tracer().trace(network)
    except Exception as error:  # tracing runs the network's own code
        name = type(network).__name__
        raise CompressError(f"batch norm cannot be folded in this {name}: its code cannot be traced") from error
    calls = [node.target for node in graph.nodes if node.op == "call_module"]
    found = {}
    for node in graph.nodes:
        if node.op != "call_module" or not isinstance(modules[node.target], kinds) or calls.count(node.target) > 1:
            continue
        before = node.args[0]
        if (
            before.op == "call_module"
            and isinstance(modules[before.target], nn.Conv2d | nn.Linear)
            and len(before.users) == 1
            and calls.count(before.target) == 1
        ):
            found[before.target] = node.target
    return found
