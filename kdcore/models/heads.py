"""What the options of networks with attention heads have to keep to."""

from __future__ import annotations


def check_whole(dim: int, heads: int) -> None:
    """Raises ValueError, for a validator of options, where the heads cannot share the dimension equally."""
    if dim % heads:
        below = dim - dim % heads
        raise ValueError(f"dim must be a multiple of heads ({heads}); the nearest are {below} and {below + heads}")
