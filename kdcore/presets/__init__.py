"""The one-click experiments: a Recipe each, with the words that present it. One JSON file each."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from kdcore.recipe import Recipe

Group = Literal["start", "lessons", "papers"]


@dataclass(frozen=True)
class Preset:
    """A Recipe that ships with the product, and the words that present it.

    `group` and `order`: its place on the home page. `wants`: what it needs to be done soon; empty: any machine will do.
    `asks`: what a person must give first, a sentence each; empty: nothing.
    `first`: how the name of the chart begins that Compare shows first (`figures.one_run`); empty: accuracy and cost.
    """

    name: str
    title: str
    summary: str
    look_for: str
    icon: str
    group: Group
    order: int
    wants: str
    asks: tuple[str, ...]
    first: str
    document: dict[str, Any] = field(repr=False, hash=False)

    @cached_property
    def recipe(self) -> Recipe:
        """The Recipe; it is validated only when somebody asks for it."""
        from kdcore.recipe import parse

        return parse({"name": self.title, **self.document})


class UnknownPreset(LookupError):
    """There is no preset of this name; the message lists those that there are."""


@cache
def presets() -> tuple[Preset, ...]:
    """All presets, in the order of the home page."""
    found = [_read(path) for path in Path(__file__).parent.glob("*.json")]
    return tuple(sorted(found, key=lambda preset: (preset.order, preset.name)))


def preset(name: str) -> Preset:
    """The preset of this name. Raises UnknownPreset."""
    for known in presets():
        if known.name == name:
            return known
    raise UnknownPreset(f"there is no preset {name!r}; there are: {', '.join(known.name for known in presets())}")


def first_chart(name: str | None) -> str:
    """How the name of a run's first chart begins, by the name of the preset that it was made from; else empty."""
    return next((known.first for known in presets() if known.name == name), "")


def _read(path: Path) -> Preset:
    document = json.loads(path.read_text("utf-8"))
    words = {name: document[name] for name in ("title", "summary", "look_for", "icon", "order")}
    words |= {"group": document.get("group", "lessons")}
    words |= {name: document.get(name, "") for name in ("wants", "first")}
    words |= {"asks": tuple(document.get("asks", ()))}
    return Preset(name=path.stem, document=document["recipe"], **words)
