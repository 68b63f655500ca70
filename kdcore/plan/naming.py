"""The rows of a comparison, one for each set of models, in table order, under names that differ."""

from __future__ import annotations

from typing import Any

from kdcore import registry
from kdcore.compress.traits import StepTraits
from kdcore.workspace import keys
from kdcore.workspace.plans import Stage, Variant

Identity = tuple[str, ...]  # a row's name and its models' keys: a teacher may be the very student of the first seed


def named(rows: list[Variant]) -> list[Variant]:
    """The rows of all points of a sweep, each once, in table order.

    Rows of one name differ by the values of the sweep in which they differ, else by numbers.
    """
    distinct = {_identity(row): row for row in reversed(rows)}
    ordered = sorted(dict.fromkeys(map(_identity, rows)), key=lambda made: _rank(rows, made))
    renamed = {}
    for made in ordered:
        row = distinct[made]
        twins = [other for other in distinct.values() if other.name == row.name]
        telling = [path for path in row.values if len({keys.canonical(twin.values[path]) for twin in twins}) > 1]
        name = row.name
        if len({_telling(twin, telling) for twin in twins}) == len(twins) > 1:
            name += f" ({_telling(row, telling)})"
        elif len(twins) > 1:
            name += f" {1 + [_identity(twin) for twin in reversed(twins)].index(made)}"
        renamed[made] = row.model_copy(update={"name": name, "values": _values(rows, made)})
    return [_with_parent(made, rows, renamed) for made in ordered]


def _telling(row: Variant, paths: list[str]) -> str:
    return ", ".join(f"{_short(path)} {describe(row.values[path])}" for path in paths)


def describe(value: Any) -> str:
    """A swept value in words: a chain of steps by their labels, anything else as it is."""
    if not isinstance(value, list | tuple) or not all(isinstance(step, dict) and "step" in step for step in value):
        return str(value)
    chosen = [registry.validate("step", step) for step in value]
    return " > ".join(StepTraits.of(step).label for step in chosen) or "none"


def titled(stages: list[Stage], variants: list[Variant]) -> list[Stage]:
    """Stages with titles that people read: the variant, and the seed where there is more than one."""
    names = {key: variant for variant in reversed(variants) for key in variant.keys}
    made = []
    for stage in stages:
        variant = names[stage.key]
        title = variant.name if len(variant.keys) == 1 else f"{variant.name}, seed {stage.seed}"
        made.append(stage.model_copy(update={"title": title, "variant": variant.name}))
    return made


def _identity(row: Variant) -> Identity:
    return (row.name, *row.keys)


def _values(rows: list[Variant], made: Identity) -> dict[str, Any]:
    """The swept values that these models depend on: all points that they belong to share them, and others do not."""

    def different(path: str, among: list[Variant]) -> bool:
        return len({keys.canonical(row.values[path]) for row in among}) > 1

    mine = [row for row in rows if _identity(row) == made]
    return {
        path: value for path, value in mine[0].values.items() if different(path, rows) and not different(path, mine)
    }


def _rank(rows: list[Variant], made: Identity) -> tuple[int, int]:
    """Table order: the place of the row within its point, then the point."""
    points_seen: list[list[Variant]] = []
    for row in rows:
        if row.name == rows[0].name:  # each point begins with its teacher, or the model that it compresses
            points_seen.append([])
        points_seen[-1].append(row)
    return next(
        (place, number)
        for number, point in enumerate(points_seen)
        for place, row in enumerate(point)
        if _identity(row) == made
    )


def _with_parent(made: Identity, rows: list[Variant], renamed: dict[Identity, Variant]) -> Variant:
    """The row under its own new name, with its parent's new name."""
    row = renamed[made]
    if row.parent is None:
        return row
    original = next(i for i, other in enumerate(rows) if _identity(other) == made)
    parent = next(other for other in reversed(rows[:original]) if other.name == row.parent)
    return row.model_copy(update={"parent": renamed[_identity(parent)].name})


def _short(path: str) -> str:
    return path.rsplit(".", 1)[-1].replace("_", " ")
