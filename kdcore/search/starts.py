"""Where a search begins beside the uniform chains: the mixes that layer sensitivity proposes, by groups of layers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kdcore.compress.tools.sensitivity import Kind
from kdcore.execute.sensitivity import of_model
from kdcore.registry import Searched
from kdcore.search.fitting import Fits
from kdcore.search.groups import Groups, groups
from kdcore.search.space import Settings, Space
from kdcore.search.uniform import largest

BUDGETS = (0.5, 0.25)  # shares of the bytes, where no limit says how small a file must be
LEAST, MOST = 0.02, 0.98


def measured(space: Space, model: Path, check: Callable[[], None]) -> dict[str, Groups]:
    """By step, the groups of the layers of the network in the folder `model`, on which chains of steps begin.

    Measured once: the documents stay beside the model. Raises CompressError.
    """
    recipe = space.search.recipe
    found = {}
    for step, searched in space.by_layer():
        kind: Kind = searched.sensitivity  # type: ignore[assignment]
        made = groups(of_model(model, recipe, kind, on_layer=lambda *_: check()))
        if made:
            found[step] = made
    return found


def by_sensitivity(space: Space, fits: Fits | None, check: Callable[[], None]) -> list[Settings]:
    """For each step whose layers may differ, the mix that fits and loses least; alone, before int8."""
    found: list[Settings] = []
    for step, searched in space.by_layer():
        for last in space.usual_lasts() if step in space.shrinking else [step]:
            check()
            if step in space.groups:
                found += _mixes(space, (step, searched, last), fits)
    return found


def _mixes(space: Space, of: tuple[str, Searched, str], fits: Fits | None) -> list[Settings]:
    step, searched, last = of

    def at(budget: float) -> Settings:
        return space.apart(step, space.groups[step].start(budget, searched), last)

    budgets = [largest(LEAST, MOST, lambda budget: fits(at(budget)))] if fits else BUDGETS
    mixes = [at(budget) for budget in budgets if budget is not None]
    prefix = f"{step}.{searched.option}."
    return [mix for mix in mixes if len({mix[name] for name in mix if name.startswith(prefix)}) > 1]
