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
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from functools import cache
from typing import Any, ClassVar, Literal, Self, TypeVar, cast

from pydantic import BaseModel, ConfigDict, create_model
from pydantic_core import PydanticCustomError

from kdcore import plugins
from kdcore.json_input import fault
from kdcore.plugins import Failure, Plugin
from kdcore.problems import first_line

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
    """Base of every entry's options: frozen, no unknown fields, no NaN or infinity.

    `added`: options that are younger than people's models; at their defaults, which change nothing, they are in no key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    added: ClassVar[tuple[str, ...]] = ()


def newer(asked: Any) -> set[str]:
    """The fields, of options or a Train, that no key has: those that are younger than people's models and at their
    defaults."""
    return {name for name in asked.added if getattr(asked, name) == type(asked).model_fields[name].default}


@dataclass(frozen=True)
class Searched:
    """An option that a search varies: from `low` to `high`, in steps of `step` where there is one, or among `choices`.

    `log`: on a logarithmic scale. `smallest`: the end, or the choice, with the smallest model; None where its size does
    not depend on it. `by_layer`: the option that takes the value by layer, where layers may differ; `sensitivity`: the
    kind of layer sensitivity that says where (`kdcore.compress.tools.sensitivity`). An entry's options that are worth
    searching stand in its traits, and nowhere else.
    """

    option: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None
    choices: tuple[str | int | float, ...] = ()
    smallest: float | str | None = None
    by_layer: str = ""
    sensitivity: str = ""


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
    class that TRAITS names for the kind; ask for them by `MethodTraits.of(options)` and its like. `plugin`: where it
    comes from; None for one of ours.
    """

    kind: str
    name: str
    description: str
    source: str
    version: int
    options: type[Options]
    implementation: Any
    traits: Traits
    plugin: Plugin | None = None

    @property
    def stamp(self) -> int | list[int | str]:
        """What keys hold of it: its version, and of a plug-in's entry the digest of its source too."""
        return [self.version, self.plugin.digest] if self.plugin else self.version


class UnknownEntry(ValueError):
    """No entry of this kind has this name; the message lists those that there are."""


_entries: dict[tuple[str, str], Entry] = {}
_failures: list[Failure] = []
_state = threading.RLock()  # plug-ins are loaded once; who asks meanwhile from another thread waits
_plugged = False
_thread = threading.local()  # `importing`: whether this thread imports our own entries just now
_current: Plugin | None = None  # whose code is being imported


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
        if taken and taken.plugin != _current:
            raise ValueError(
                f"the name of {kind} {name!r} is taken by {taken.plugin.name if taken.plugin else 'kdcore'}"
            )
        if taken and taken.implementation.__qualname__ != getattr(implementation, "__qualname__", None):
            raise ValueError(f"{kind} {name!r} is registered twice")
        tagged: Any = {kind: (Literal[name], name)}
        model = create_model(f"{options.__name__}Choice", __base__=options, **tagged)
        model.__doc__ = options.__doc__
        shown = f"{description} (plug-in: {_current.name})" if _current else description
        _entries[kind, name] = Entry(kind, name, shown, source, version, model, implementation, known, _current)
        return implementation

    return add


def _load(kind: str) -> None:
    """The entries of our own, then those of plug-ins, which find all our names taken."""
    _import(kind)
    if not _plugged and not getattr(_thread, "importing", False):
        _plug_in()


def _plug_in() -> None:
    global _plugged  # noqa: PLW0603
    with _state:
        if _plugged:
            return
        _plugged = True  # also for what a plug-in's own code asks for
        for plugin in plugins.found():
            for kind in PACKAGES:
                _import(kind)
            _add(plugin)


def _add(plugin: Plugin) -> None:
    """All that the plug-in registers, or nothing of it."""
    global _current  # noqa: PLW0603
    try:
        _current = plugins.with_digest(plugin)
        plugins.load(_current)
    except (Exception, SystemExit) as error:  # a person's own code
        for key in [key for key, entry in _entries.items() if entry.plugin and entry.plugin == _current]:
            del _entries[key]
        _failures.append(Failure(plugin.name, f"{type(error).__name__}: {first_line(error)}"))
        print(f"kdcore: plug-in {plugin.name} was not loaded. {_failures[-1].reason}", file=sys.stderr)
    finally:
        _current = None


def plugged() -> dict[str, list[Entry]]:
    """What plug-ins have registered, by the plug-in's name."""
    found: dict[str, list[Entry]] = {}
    for kind in PACKAGES:
        for known in entries(kind):
            if known.plugin:
                found.setdefault(known.plugin.name, []).append(known)
    return found


def failures() -> list[Failure]:
    """The plug-ins that were left out."""
    _load("method")
    return list(_failures)


@cache
def _import(kind: str) -> None:
    before = getattr(_thread, "importing", False)
    _thread.importing = True
    try:
        _import_all(PACKAGES[kind])
    finally:
        _thread.importing = before


def _import_all(name: str) -> None:
    package = importlib.import_module(name)
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
            **({"plugin": known.plugin.name} if known.plugin else {}),
            **_in_catalog(known),
            "options": {
                name: option for name, option in known.options.model_json_schema()["properties"].items() if name != kind
            },
        }
        for known in offered(kind)
    ]
