"""What other parts ask of a data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from kdcore.data.types import Fetch
from kdcore.registry import Traits


def _no_files(options: Any) -> str:
    return ""


@dataclass(frozen=True)
class DatasetTraits(Traits):
    """`fetch`: how it is fetched, where that must happen before it is loaded. `stamp`: of a data set that is not: what
    changes when the files that its options name do; empty where they name none."""

    kind: ClassVar[str] = "dataset"

    fetch: Fetch | None = None
    stamp: Callable[[Any], str] = _no_files
