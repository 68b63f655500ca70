"""A run's plan: its data, its stages in an order that works, and the rows that they make. No torch."""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator
from typing_extensions import TypedDict

from kdcore import inputs, registry
from kdcore.distill.traits import asks
from kdcore.files import SCHEMA, Damaged, read_json
from kdcore.recipe import MOST_DEVICES
from kdcore.workspace.shapes import Count, Key, misshapen

Kind = Literal["train", "given", "distill", "compress"]


class Data(TypedDict):
    """The data set as the run's stages see it: how many images the teacher, the student and the tests have.

    `shape`: channels, height, width of an image, or of another kind of input. `start`: the Recipe's. `teacher`: the
    kind of teacher. `hidden`: classes that no student saw. `labelled_of_points`: where a sweep varies `labelled`.
    """

    name: str
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{1,64}$")]
    classes: list[str]
    shape: Annotated[list[Any], AfterValidator(inputs.sound)]
    train: Count
    labelled: Count
    seen: Count
    validation: Count
    test: Count
    hidden: list[str]
    start: NotRequired[str]
    teacher: NotRequired[str]
    multilabel: NotRequired[bool]
    labelled_of_points: NotRequired[list[Count]]


class _Part(BaseModel):
    # A later version may tell more; and building the validators takes milliseconds, so it waits for the first plan.
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, defer_build=True)


P = TypeVar("P", bound=_Part)


class Foreign(TypedDict):
    """The plug-in that an entry of the run comes from, and the sha256 of its source when the run was planned."""

    plugin: str
    digest: str


class Stage(_Part):
    """One step of the work. `spec` holds all that its result depends on beside its inputs, data and seed.

    `parent`: the model that a step compresses. `teacher` and `others`: the models that teach together. `macs`: of one
    image, given where the spec names no architecture. A "given" stage trains nothing: it takes in a teacher that is
    there already.
    """

    key: Key
    title: str
    kind: Kind
    variant: str
    role: str
    seed: int
    parent: Key | None = None
    teacher: Key | None = None
    others: tuple[Key, ...] = ()
    spec: dict[str, Any]
    macs: Count | None = None

    @field_validator("spec")
    @classmethod
    def _trains(cls, spec: dict[str, Any]) -> dict[str, Any]:
        steps = spec.get("train", {}).get("steps", 0) if isinstance(spec.get("train", {}), dict) else None
        if not isinstance(steps, int) or not 0 <= steps < 2**53:
            raise ValueError("its training has no number of steps")
        devices = spec.get("train", {}).get("devices", 1)
        if not isinstance(devices, int) or not 1 <= devices <= MOST_DEVICES:
            raise ValueError("its training has no number of devices")
        return spec

    @property
    def steps(self) -> int:
        """Of its training; 0 for one that trains nothing."""
        return self.spec.get("train", {}).get("steps", 0)

    @property
    def devices(self) -> int:
        """That train it together."""
        return self.spec.get("train", {}).get("devices", 1)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The models that must be there first."""
        return tuple(key for key in (self.parent, self.teacher, *self.others) if key)

    @property
    def asked(self) -> tuple[str, ...]:
        """The models whose answers the method wants in every step."""
        if "method" not in self.spec or not asks(registry.validate("method", self.spec["method"])):
            return ()
        return tuple(key for key in (self.teacher, *self.others) if key)


class Variant(_Part):
    """A row of the comparison: one model a seed. `values`: the sweep's point that it belongs to."""

    name: str
    role: str
    stage: str
    keys: Annotated[tuple[Key, ...], Field(min_length=1)]
    parent: str | None = None
    values: dict[str, Any] = {}
    note: str = ""


class Plan(_Part):
    """What a run will do. One that measures models of other runs has neither stages nor variants.

    `files`: where the content (a sha256, or a model's key) of a teacher that is not trained here was found. `plugins`:
    by "kind:name", where entries that are not ours come from.
    """

    dataset: Data
    precision: str = ""
    stages: tuple[Stage, ...]
    variants: tuple[Variant, ...]
    files: dict[Key, str] = {}
    plugins: dict[str, Foreign] = {}

    def document(self) -> dict[str, Any]:
        """What plan.json holds."""
        ours = set() if self.plugins else {"plugins"}
        return {"schema": SCHEMA} | self.model_dump(mode="json", exclude=ours)

    def lacks(self, *, unchanged: bool = False) -> str:
        """Which of its plug-ins is not here, in a sentence; "" where none is. `unchanged`: or is not as it was."""
        for place, asked in self.plugins.items():
            kind, _, name = place.partition(":")
            try:
                now = registry.entry(kind, name).plugin
            except registry.UnknownEntry:
                now = None
            if now is None:
                return f"The plug-in {asked['plugin']} ({kind} {name}) is not here: put it back to run this again."
            if unchanged and now.digest != asked["digest"]:
                return f"The plug-in {asked['plugin']} has changed since the run was planned: duplicate the run."
        return ""


class _Named(_Part):
    """As much of a stage as says which model it makes."""

    key: Key


class _Names(_Part):
    """As much of a plan as says which models it names."""

    stages: tuple[_Named, ...]
    files: dict[Key, str] = {}


def models_of(path: Path) -> frozenset[str]:
    """The keys of all models that the plan in this file names, whatever else is wrong with it: what a teacher is made
    of may be a model of another data set. Raises Damaged."""
    found = _checked(_Names, path)
    return frozenset(map(sys.intern, (*(stage.key for stage in found.stages), *found.files)))


def read(path: Path) -> Plan:
    """The plan in this file. Raises Damaged."""
    try:
        info = path.stat()
    except OSError as error:
        raise Damaged(path, "is missing" if isinstance(error, FileNotFoundError) else "cannot be opened") from None
    return _read(path, (info.st_mtime_ns, info.st_size))


@lru_cache(maxsize=256)
def _read(path: Path, _identity: tuple[int, int]) -> Plan:
    return _checked(Plan, path)


def _checked(kind: type[P], path: Path) -> P:
    try:
        return kind.model_validate(read_json(path))
    except FileNotFoundError:
        raise Damaged(path, "is missing") from None
    except ValidationError as error:
        raise misshapen(path, error) from None
