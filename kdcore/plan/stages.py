"""What a plan is made of: stages, and the rows of the comparison that stand for their models. No torch."""

from __future__ import annotations

from typing import Any, Literal

from kdcore import registry
from kdcore.distill.traits import asks
from kdcore.recipe import Part

Kind = Literal["train", "given", "distill", "compress"]


class Stage(Part):
    """One step of the work. `spec` holds all that its result depends on beside its inputs, data and seed.

    `parent`: the model that a step compresses. `teacher` and `others`: the models that teach together. `macs`: of one
    image, told where the spec names no architecture. A "given" stage trains nothing: it takes in a teacher that is
    there already.
    """

    key: str
    title: str
    kind: Kind
    variant: str
    role: str
    seed: int
    parent: str | None = None
    teacher: str | None = None
    others: tuple[str, ...] = ()
    spec: dict[str, Any]
    macs: int | None = None

    @property
    def asked(self) -> tuple[str, ...]:
        """The models whose answers the method wants in every step."""
        if "method" not in self.spec or not asks(registry.validate("method", self.spec["method"])):
            return ()
        return tuple(key for key in (self.teacher, *self.others) if key)


class Variant(Part):
    """A row of the comparison: one model a seed. `values` tells the sweep's point that it belongs to."""

    name: str
    role: str
    stage: str
    keys: tuple[str, ...]
    parent: str | None = None
    values: dict[str, Any] = {}
    note: str = ""
