"""What other parts ask of a method with its options: facts that some methods only know once their options are set."""

from __future__ import annotations

from typing import Any, Literal

from kdcore import registry
from kdcore.registry import Options


def trait(options: Options, name: str, default: Any = None) -> Any:
    """The trait of the method that these options belong to; a function among the traits is asked about the options.

    Known traits: "family", "label" (in tables), "short" (beside others, as in "KD + DIST"), "role", "teacher" (whether
    one is needed; by default yes), "mixup" (whether it takes mixed images; by default yes), "taps", "standardize",
    "maps" (whether it compares feature maps), "inside" (whether it looks into the teacher for more than answers; by
    default those with taps do, and those of weights), "answers" (whether it wants the teacher's answers in every step;
    by default those that need a teacher do), "labels" (whether it is made for "one" label an image, which is the
    default, for "many", or for "both"), "borrows" (for a student that is deployed with its teacher's classifier: how
    many times narrower inside the projector to it is).
    """
    return registry.trait("method", options, name, default)


def short(options: Options) -> str:
    """The method's name in a list of several: "KD", "DIST"."""
    label: str = trait(options, "label")
    return trait(options, "short") or label.removeprefix("student, ")


def parts(options: Options) -> tuple[Options, ...]:
    """The methods that these options stand for: those of a combination, or the one itself."""
    return trait(options, "parts", (options,))


def asks(options: Options) -> bool:
    """Whether the method wants the teacher's answers in every step, and does not only begin from its weights."""
    return any(trait(part, "answers", trait(part, "teacher", True)) for part in parts(options))


def looks_inside(options: Options) -> bool:
    """Whether the method wants the teacher's features or weights, and not its answers alone."""
    return any(
        trait(part, "inside", trait(part, "taps", False) or trait(part, "family") == "weights")
        for part in parts(options)
    )


def taps_teacher(options: Options) -> bool:
    """Whether the method wants features of the teacher, which must then be asked with its layers as they are."""
    return any(trait(part, "taps", False) and trait(part, "inside", True) for part in parts(options))


def takes(options: Options, labels: Literal["one", "many"]) -> bool:
    """Whether the method works with one label an image, or with many."""
    return all(trait(part, "labels", "one") in (labels, "both") for part in parts(options))
