"""What other parts ask of a data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kdcore.data.types import Fetch
from kdcore.registry import Traits


@dataclass(frozen=True)
class DatasetTraits(Traits):
    """`fetch`: how it is fetched, where that must happen before it is loaded."""

    kind: ClassVar[str] = "dataset"

    fetch: Fetch | None = None
