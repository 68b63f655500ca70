"""Registering a row of a table of published data sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from kdcore.data.traits import DatasetTraits
from kdcore.data.types import Fetch, RawImages, Work
from kdcore.registry import Options, register


class Row(Protocol):
    """What every table says of a set."""

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def source(self) -> str: ...


def publish(known: Row, options: type[Options], fetch: Fetch, read: Callable[[Any, Work], RawImages]) -> None:
    """Registers the set under its name; `read` makes it of its options and its files."""
    read.__qualname__ = known.name
    traits = DatasetTraits(fetch=fetch)
    register("dataset", known.name, known.description, source=known.source, options=options, traits=traits)(read)
