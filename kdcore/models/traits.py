"""What other parts ask of an architecture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from kdcore.registry import Options, Searched, Traits


def _as_they_are(options: Any) -> Options:
    return options


def _fits(options: Any, shape: Any) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class ArchitectureTraits(Traits):
    """`maps`: whether its features are maps of the image's places. `large`: whether it is counted without its weights.

    `reads`: the kind of input that it takes (`kdcore.inputs`). `blocks`: whether it has `models.blocks`.
    `names`: by (options, classes, image shape), the names of another library's tensors to those of this network.
    `search`: the options that a search for a student varies.
    """

    kind: ClassVar[str] = "architecture"

    maps: bool = True
    large: bool = False
    reads: str = "pictures"
    blocks: bool = False
    names: Callable[[Any, int, tuple[int, int, int]], Mapping[str, str]] | None = None
    search: tuple[Searched, ...] = ()
    pinned: Callable[[Any], Options] = _as_they_are
    unfit: Callable[[Any, Any], Mapping[str, str]] = _fits
