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
    default those with taps do, and those of weights), "labels" (whether it is made for "one" label an image, which is
    the default, for "many", or for "both").
    """
    found = registry.entry_of("method", options).traits.get(name, default)
    return found(options) if callable(found) else found


def short(options: Options) -> str:
    """The method's name in a list of several: "KD", "DIST"."""
    label: str = trait(options, "label")
    return trait(options, "short") or label.removeprefix("student, ")


def parts(options: Options) -> tuple[Options, ...]:
    """The methods that these options stand for: those of a combination, or the one itself."""
    return trait(options, "parts", (options,))


def takes(options: Options, labels: Literal["one", "many"]) -> bool:
    """Whether the method works with one label an image, or with many."""
    return all(trait(part, "labels", "one") in (labels, "both") for part in parts(options))
