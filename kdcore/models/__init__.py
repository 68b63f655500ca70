"""The zoo: networks by name, for any image size from 8 up, and what they cost."""

from __future__ import annotations

from kdcore.models.zoo import BEFORE_ACTIVATION, blocks, create, describe, head, rebuild, taps

__all__ = ["BEFORE_ACTIVATION", "blocks", "create", "describe", "head", "rebuild", "taps"]
