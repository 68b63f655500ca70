"""What can be chosen: data sets, architectures, teachers, distillation methods and schemes, steps, launchers.

An entry joins by decorating its implementation:

    class Kd(Options):
        temperature: float = Field(4.0, gt=0, le=100, description="Temperature (T) of the soft targets.")

    @register("method", "kd", "Soft targets of the teacher", source="Hinton et al. 2015, eq. 1", options=Kd)
    class SoftTargets: ...

and can then be written in a Recipe as `{"method": "kd", "temperature": 4}`. Forms, command-line help,
catalogs and messages are generated from the entry, so no option is written in a second place.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from functools import cache
from typing import Any, ClassVar, Literal, Self, TypeVar, cast

from pydantic import BaseModel, ConfigDict, create_model
from pydantic_core import PydanticCustomError

from kdcore.json_input import fault

T = TypeVar("T")
V = TypeVar("V")

# Where the entries of each kind live: every module of the package is imported on first use.
PACKAGES = {
    "dataset": "kdcore.data.sets",
    "architecture": "kdcore.models",
    "method": "kdcore.distill",
    "scheme": "kdcore.distill.schemes",
    "teacher": "kdcore.distill.teachers",
    "step": "kdcore.compress",
    "launcher": "kdcore.jobs.launchers",
}

# The class of each kind's traits; a kind that is not here has none.
TRAITS = {
    "dataset": "kdcore.data.traits:DatasetTraits",
    "architecture": "kdcore.models.traits:ArchitectureTraits",
    "method": "kdcore.distill.traits:MethodTraits",
    "scheme": "kdcore.distill.traits:SchemeTraits",
    "teacher": "kdcore.distill.traits:TeacherTraits",
    "step": "kdcore.compress.traits:StepTraits",
}


class Options(BaseModel):
    """Base of every entry's options: frozen, no unknown fields, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class _ByOptions:
    function: Callable[[Any], Any]


def by_options(function: Callable[[Any], V]) -> V:
    """A trait that depends on the options: `label=by_options(lambda options: f"{options.bits} bits")`."""
    return cast(V, _ByOptions(function))


@dataclass(frozen=True)
class Traits:
    """Facts about an entry that other parts ask for. Each kind has a class of its own, whose fields they are."""

    kind: ClassVar[str] = ""

    @classmethod
    def of(cls, options: Options) -> Self:
        """Those of the entry that these options belong to; what is `by_options` has its value for these."""
        return cast(Self, entry_of(cls.kind, options).traits).worked_out(options)

    @classmethod
    def named(cls, name: str) -> Self:
        """Those of the entry of this name; what is `by_options` has no value. Raises UnknownEntry."""
        return cast(Self, entry(cls.kind, name).traits)

    def worked_out(self, options: Options) -> Self:
        """With the values for these options."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return replace(
            self, **{name: value.function(options) for name, value in values.items() if isinstance(value, _ByOptions)}
        )


@dataclass(frozen=True)
class Entry:
    """One thing that can be chosen.

    `options` validates `{kind: name, **options}`. `version` is part of every key that the entry takes
    part in: raise it when the entry computes something else from the same options. `traits`: of the
    class that TRAITS names for the kind; ask for them by `MethodTraits.of(options)` and its like.
    """

    kind: str
    name: str
    description: str
    source: str
    version: int
    options: type[Options]
    implementation: Any
    traits: Traits


class UnknownEntry(ValueError):
    """No entry of this kind has this name; the message lists those that there are."""


_entries: dict[tuple[str, str], Entry] = {}


def register(
    kind: str,
    name: str,
    description: str,
    *,
    source: str = "",
    version: int = 1,
    options: type[Options] = Options,
    traits: Traits | None = None,
) -> Callable[[T], T]:
    """A decorator that adds the decorated function or class to the registry as `kind`, `name`.

    Raises ValueError when the kind is unknown or the name is taken by something else, TypeError when the traits are
    missing or another kind's.
    """
    if kind not in PACKAGES:
        raise ValueError(f"no registry for {kind!r}; there are {', '.join(PACKAGES)}")
    wanted: type[Traits] = pkgutil.resolve_name(TRAITS[kind]) if kind in TRAITS else Traits
    known = wanted() if traits is None else traits
    if not isinstance(known, wanted):
        raise TypeError(f"the traits of {kind} {name!r} are {type(known).__name__}, not {wanted.__name__}")

    def add(implementation: T) -> T:
        taken = _entries.get((kind, name))
        if taken and taken.implementation.__qualname__ != getattr(implementation, "__qualname__", None):
            raise ValueError(f"{kind} {name!r} is registered twice")
        tagged: Any = {kind: (Literal[name], name)}
        model = create_model(f"{options.__name__}Choice", __base__=options, **tagged)
        model.__doc__ = options.__doc__
        _entries[kind, name] = Entry(kind, name, description, source, version, model, implementation, known)
        return implementation

    return add


@cache
def _load(kind: str) -> None:
    package = importlib.import_module(PACKAGES[kind])
    for module in pkgutil.iter_modules(package.__path__):
        if not module.ispkg and not module.name.startswith("__"):
            importlib.import_module(f"{package.__name__}.{module.name}")


def entries(kind: str) -> list[Entry]:
    """All entries of a kind, by name."""
    _load(kind)
    return [entry for (of, _), entry in sorted(_entries.items()) if of == kind]


def offered(kind: str) -> list[Entry]:
    """Those that forms and catalogs show: all but the hidden ones."""
    return [known for known in entries(kind) if not getattr(known.traits, "hidden", False)]


def entry(kind: str, name: str) -> Entry:
    """The entry of this kind and name. Raises UnknownEntry, whose message lists the names that exist."""
    _load(kind)
    found = _entries.get((kind, name))
    if found is None:
        names = ", ".join(known.name for known in entries(kind))
        raise UnknownEntry(f"there is no {kind} {name!r}; there are: {names}")
    return found


def entry_of(kind: str, options: Options) -> Entry:
    """The entry that these options belong to."""
    return entry(kind, getattr(options, kind))


def validate(kind: str, value: Any) -> Options:
    """Options of the entry that `value[kind]` names. Takes a mapping, a bare name, or options already made."""
    if isinstance(value, str):
        value = {kind: value}
    if isinstance(value, Options):
        value = value.model_dump()
    if not isinstance(value, Mapping) or kind not in value:
        raise PydanticCustomError("choice", "needs '{kind}': the name of a {kind}", {"kind": kind})
    if not isinstance(value[kind], str):
        raise PydanticCustomError("choice", "'{kind}' takes the name of a {kind}, as text", {"kind": kind})
    if wrong := fault(value):
        raise PydanticCustomError("choice", "{message}", {"message": wrong.message})
    try:
        chosen = entry(kind, value[kind])
    except UnknownEntry as error:
        raise PydanticCustomError("choice", "{message}", {"message": str(error)}) from None
    return chosen.options.model_validate(dict(value))


def _in_catalog(known: Entry) -> dict[str, Any]:
    """The traits that are words, or yes or no, and not the usual; by the default options where they depend on them."""
    traits = known.traits
    if not any(option.is_required() for option in known.options.model_fields.values()):
        traits = traits.worked_out(known.options())
    found = {}
    for one in fields(traits):
        own, value = getattr(known.traits, one.name), getattr(traits, one.name)
        optional = isinstance(own, _ByOptions) and isinstance(value, bool) and one.default is not MISSING
        if isinstance(value, str | bool) and own != one.default and not optional:
            found[one.name] = value
    return found


def catalog(kind: str) -> list[dict[str, Any]]:
    """What `kind` offers, as plain JSON: name, description, source and the JSON schema of each option."""
    return [
        {
            "name": known.name,
            "description": known.description,
            "source": known.source,
            **_in_catalog(known),
            "options": {
                name: option for name, option in known.options.model_json_schema()["properties"].items() if name != kind
            },
        }
        for known in offered(kind)
    ]
