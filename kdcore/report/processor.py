"""What a processor's int8 instructions do for speed, in words."""

from __future__ import annotations

from collections.abc import Collection

from kdcore import machine

WITH, WITHOUT = 3.4, 1.8  # static int8 of resnet18 at 224x224, times as fast as fp32: "Rivals" in docs/results.md


def int8_words(flags: Collection[str]) -> str:
    """A sentence on the speed of int8 with these instruction sets (`machine.cpu_flags`); empty where not known."""
    if machine.VNNI & set(flags):
        return (
            f"This processor has VNNI instructions: with them int8 runs resnet18 (224×224) about {WITH:g}× as fast as "
            f"fp32, without them {WITHOUT:g}×."
        )
    if "avx2" in flags:
        return (
            f"This processor has no VNNI instructions: int8 runs resnet18 (224×224) about {WITHOUT:g}× as fast as "
            f"fp32, with VNNI about {WITH:g}×."
        )
    return ""


def computes_int8(stage: str, note: str | None) -> bool:
    """Whether a row of the comparison computes in int8: it is quantized, and no note says otherwise."""
    return "quantize" in stage and (not note or "computes in int8" in note)
