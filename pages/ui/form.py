"""The form, generated: every control comes from a pydantic field and the registries, none is written twice.

The draft is the only state. A control begins with the draft's value; when somebody changes it, a
callback puts the new value into the draft, before the page runs.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import annotated_types
import streamlit as st
from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from kdcore import registry
from kdcore.recipe import Problem
from pages.ui import draft
from pages.ui.text import plain

SEGMENTS = 4  # more choices than this go into a list that opens


class Kind(NamedTuple):
    """What a field takes: a plain type, and whether it may be empty, is a list, or is a choice from a registry."""

    base: Any
    optional: bool
    many: bool
    registry: str | None


class Form:
    """Draws parts of the draft. `problems` stand at their fields; `known` lists the names that a field can take."""

    def __init__(self, problems: Sequence[Problem], known: Mapping[str, Sequence[str]]):
        self.problems = problems
        self.known = known

    def part(self, model: type[BaseModel], path: str, names: Sequence[str] | None = None) -> None:
        """The fields of a model, or only those named, whose values are at `path` in the draft."""
        fields = {name: model.model_fields[name] for name in names or model.model_fields}
        if {"steps", "epochs"} <= fields.keys():
            self._budget(model, path)
            fields = {name: field for name, field in fields.items() if name not in ("steps", "epochs")}
        grid = None  # plain fields that follow each other stand side by side
        for name, field in fields.items():
            kind, where = kind_of(field), f"{path}.{name}" if path else name
            if is_plain(kind):
                grid = grid or st.grid(2, min_column_width=240)
                with grid.cell():
                    control(field, kind, where, self.known.get(where, ()))
                    self.say(where, below=True)
            else:
                grid = None
                self._compound(kind, where)

    def _compound(self, kind: Kind, path: str) -> None:
        if kind.registry and kind.many:
            self._several(kind.registry, path)
        elif kind.registry:
            self.choice(kind.registry, path)
        elif kind.base is not dict:
            st.caption(f"**{label(path)}**")
            self.part(kind.base, path)

    def choice(self, kind: str, path: str) -> None:
        """Which entry of a registry, what it is, and its options."""
        name = draft.at(draft.get(), path)[kind]
        _pick(label(kind), [entry.name for entry in registry.entries(kind)], name, draft.key(f"{path}.{kind}"),
              on_change=_choose, args=(kind, path))  # fmt: skip
        entry = registry.entry(kind, name)
        source = f". Source: {entry.source}" if entry.source else ""
        st.caption(plain(entry.description + source))
        self.say(path)
        self.say(f"{path}.{kind}")
        options = [option for option in entry.options.model_fields if option != kind]
        if options:
            self.part(entry.options, path, options)

    def say(self, path: str, *, below: bool = False) -> None:
        """The problems of this field; of its items too (`seeds.1`) where they have no controls of their own."""
        for problem in self.problems:
            if problem.field == path or (below and problem.field.startswith(f"{path}.")):
                st.error(plain(problem.message), icon=":material/error:")

    def _several(self, kind: str, path: str) -> None:
        """A list of choices: each with its options and a button that takes it out, and a menu to add one."""
        chosen = draft.at(draft.get(), path)
        for index in range(len(chosen)):
            with st.container(border=True):
                self.choice(kind, f"{path}.{index}")
                st.button(
                    "Take out",
                    key=draft.key(f"{path}.{index}.out"),
                    icon=":material/close:",
                    type="tertiary",
                    on_click=draft.take_out,
                    args=(path, index),
                )
        self.say(path)
        picked = st.menu_button(
            f"Add a {kind}",
            [entry.name for entry in registry.entries(kind)],
            key=draft.key(f"{path}.add"),
            icon=":material/add:",
            format_func=lambda name: f"{name}: {registry.entry(kind, name).description}",
        )
        if picked:
            chosen.append(draft.fresh(kind, picked))
            st.rerun()

    def _budget(self, model: type[BaseModel], path: str) -> None:
        """The budget is steps or epochs, so there is one number and a switch between the two."""
        unit = "steps" if draft.at(draft.get(), path)["steps"] is not None else "epochs"
        with st.container(horizontal=True, vertical_alignment="bottom"):
            key = draft.key(f"{path}.budget")
            _pick("Budget in", ["steps", "epochs"], unit, key, on_change=_change_unit, args=(path, key))
            field = model.model_fields[unit]
            control(field, kind_of(field)._replace(optional=False), f"{path}.{unit}", ())
        for name in ("", ".steps", ".epochs"):
            self.say(f"{path}{name}")


def kind_of(field: FieldInfo) -> Kind:
    """What the field's annotation asks for."""
    base, optional, many = field.annotation, False, False
    if get_origin(base) in (Union, types.UnionType):
        base, optional = next(part for part in get_args(base) if part is not type(None)), True
    chosen = _registry_of(field.metadata)
    if get_origin(base) is tuple:
        base, many = get_args(base)[0], True
        if get_origin(base) is Annotated:
            base, *metadata = get_args(base)
            chosen = chosen or _registry_of(metadata)
    return Kind(dict if get_origin(base) is dict else base, optional, many, chosen)


def is_plain(kind: Kind) -> bool:
    """Whether one widget holds the value."""
    nested = isinstance(kind.base, type) and issubclass(kind.base, (BaseModel, dict))
    return not nested and kind.registry is None


def _registry_of(metadata: Sequence[Any]) -> str | None:
    for one in metadata:
        arguments = getattr(getattr(one, "func", None), "args", ())
        if isinstance(one, BeforeValidator) and arguments and arguments[0] in registry.PACKAGES:
            return arguments[0]
    return None


def control(field: FieldInfo, kind: Kind, path: str, known: Sequence[str]) -> None:
    """The widget for a field of a plain type, with the field's description as its help and its bounds."""
    key, name = draft.key(path), field.title or label(path)
    value = draft.at(draft.get(), path)
    about: dict[str, Any] = {"key": key, "help": field.description, "on_change": _take, "args": (path, key, kind)}
    if kind.many and known:
        st.multiselect(name, known, [one for one in value if one in known], **about)
    elif kind.many:
        st.text_input(f"{name} (separated by commas)", ", ".join(map(str, value)), **about)
    elif kind.base is bool:
        st.toggle(name, value, **about)
    elif get_origin(kind.base) is Literal:
        _pick(name, list(get_args(kind.base)), value, **about)
    elif kind.base in (int, float):
        _number(field, kind, name, value, about)
    else:
        st.text_input(name, value, **about)


def _pick(name: str, options: list[Any], chosen: Any, key: str, **about: Any) -> None:
    """One of a few options, all to be seen; one of many in a list that opens."""
    about |= {"key": key, "format_func": lambda option: str(option).replace("_", " ")}
    if len(options) <= SEGMENTS:
        st.segmented_control(name, options, default=chosen, required=True, **about)
    else:
        st.selectbox(name, options, options.index(chosen), **about)


def _number(field: FieldInfo, kind: Kind, name: str, value: Any, about: dict[str, Any]) -> None:
    read: Callable[[Any], Any] = kind.base
    low, high, value = (None if number is None else read(number) for number in (*bounds(field), value))
    if kind.optional:  # only a number that begins empty can be emptied, so this one's value comes after it
        st.session_state.setdefault(about["key"], value)
        value = None
    extra: Any = field.json_schema_extra or {}
    step: Any = extra.get("step", 1) if read is int else _step(value)
    st.number_input(
        name,
        min_value=low,
        max_value=high,
        value=value,
        step=step,
        format="%d" if read is int else "%.6g",
        placeholder="all" if kind.optional else None,
        **about,
    )


def bounds(field: FieldInfo) -> tuple[float | None, float | None]:
    """Lowest and highest value; an open bound is given as it is, and validation says that it is not reached."""
    low: Any = None
    high: Any = None
    for one in field.metadata:
        if isinstance(one, annotated_types.Ge):
            low = one.ge
        elif isinstance(one, annotated_types.Gt):
            low = one.gt
        elif isinstance(one, annotated_types.Le):
            high = one.le
        elif isinstance(one, annotated_types.Lt):
            high = one.lt
    return low, high


def _step(value: float | None) -> float:
    """The value's order of magnitude, at most 1."""
    return min(1.0, 10.0 ** math.floor(math.log10(value))) if value else 0.1


def label(path: str) -> str:
    """A field's name as a label: `learning_rate` reads "Learning rate"."""
    last = [part for part in path.split(".") if not part.isdigit()][-1]
    return last.replace("_", " ").capitalize()


def _taken(value: Any, kind: Kind) -> Any:
    """A widget's value as the Recipe takes it. What is no number stays text, and validation says so."""
    if not kind.many or isinstance(value, list):
        return value
    parts = [part.strip() for part in value.split(",") if part.strip()]
    read: Callable[[str], Any] = _number_or_text if kind.base in (int, float) else str
    return [read(part) for part in parts]


def _number_or_text(text: str) -> Any:
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text


def _take(path: str, key: str, kind: Kind) -> None:
    draft.put(draft.get(), path, _taken(st.session_state[key], kind))


def _choose(kind: str, path: str) -> None:
    draft.put(draft.get(), path, draft.fresh(kind, st.session_state[draft.key(f"{path}.{kind}")]))


def _change_unit(path: str, key: str) -> None:
    values = draft.at(draft.get(), path)
    unit = st.session_state[key]
    other = "epochs" if unit == "steps" else "steps"
    values[unit], values[other] = (300 if unit == "steps" else 30), None
