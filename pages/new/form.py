"""The form, generated: every control comes from a pydantic field and the registries, none is written twice.

The draft is the only state. A control begins with the draft's value; when somebody changes it, a
callback puts the new value into the draft, before the page runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from kdcore import registry
from kdcore.plan.rules.kinds import reading
from kdcore.recipe import Problem
from kdcore.registry import Entry
from pages.new import vary
from pages.shared import draft, families
from pages.shared.fields import SEGMENTS, Kind, control, is_plain, kind_of, label, pick
from pages.shared.text import plain


class Form:
    """Draws parts of the draft. `problems` stand at their fields; `known` lists the names that a field can take.

    `read_as`: what the data set is read as (`kdcore.inputs`): entries that do not read it are not offered. None while
    that is not known.
    """

    def __init__(self, problems: Sequence[Problem], known: Mapping[str, Sequence[str]], read_as: str | None = None):
        self.problems = problems
        self.known = known
        self.read_as = read_as
        self._places: dict[str, Any] = {}

    def part(self, model: type[BaseModel], path: str, names: Sequence[str] | None = None) -> None:
        """The fields of a model, or only those named, whose values are at `path` in the draft."""
        fields = {name: model.model_fields[name] for name in names or model.model_fields}
        if {"steps", "epochs"} <= fields.keys():
            self._budget(model, path)
            fields = {name: field for name, field in fields.items() if name not in ("steps", "epochs")}
        grid = None  # plain fields that follow each other stand side by side
        for name, field in fields.items():
            kind, where = kind_of(field), f"{path}.{name}" if path else name
            if is_plain(kind) or (kind.base is dict and name != "sweep"):  # the sweep has an editor of its own
                grid = grid or st.grid(2, min_column_width=240)
                with grid.cell():
                    self._control(field, kind, where)
                    self.say(where, below=True)
            else:
                grid = None
                self._compound(kind, where)

    def _control(self, field: FieldInfo, kind: Kind, path: str) -> None:
        """The field's control for one value, or for several where it is varied."""
        one = partial(control, field, kind, path, self.known.get(path, ()))
        vary.field(kind, path, field.title or label(path), one)
        self.say(f"sweep.{path}", below=True)

    def _compound(self, kind: Kind, path: str) -> None:
        if kind.registry and kind.many:
            self._several(kind.registry, path)
        elif kind.registry:
            self.choice(kind.registry, path)
        elif kind.base is dict:
            return
        elif kind.many:
            self._weighed(kind.base, path)
        else:
            st.caption(f"**{label(path)}**")
            self.part(kind.base, path)

    def choice(
        self,
        kind: str,
        path: str,
        line: Callable[[str], str] | None = None,
        without: Sequence[str] = (),
        unfit: Sequence[str] = (),
    ) -> None:
        """Which entry of a registry, what it is, and its options.

        `line`: an entry's line in a list that opens. `without`: options that the caller draws by itself. `unfit`:
        entries that cannot be chosen here, unless one of them is.
        """
        name = draft.at(draft.get(), path)[kind]
        left_out = {*unfit, *self._unread(kind)} - {name}
        known = (entry.name for entry in registry.entries(kind) if entry.name not in left_out)
        names = sorted(known, key=lambda one: one not in families.FIRST)
        every = names
        if families.known(kind) and f"{path}.{kind}" not in vary.swept():
            names = self._family(kind, path, name)
        if len(names) > SEGMENTS:
            line = line or partial(_line, kind)
        draft.follow(f"{path}.{kind}", [line(one) if line else one for one in names])
        one = partial(pick, label(kind), names, name, draft.key(f"{path}.{kind}"), line,
                      on_change=_choose, args=(kind, path))  # fmt: skip
        vary.choice(f"{path}.{kind}", label(kind), every, lambda name: name.replace("_", " "), one)
        self.say(f"sweep.{path}.{kind}", below=True)
        if f"{path}.{kind}" in vary.swept():
            st.caption(f"Options of {plain(name.replace('_', ' '))}; the others have their defaults.")
        entry = registry.entry(kind, name)
        if about := _about(entry, described=line is not None):
            st.caption(plain(about))
        self.say(path)
        self.say(f"{path}.{kind}")
        options = [option for option in entry.options.model_fields if option not in (kind, *without)]
        if options:
            self.part(entry.options, path, options)

    def _family(self, kind: str, path: str, name: str) -> list[str]:
        """The family that the entry belongs to, and the names of its members."""
        grouped = families.grouped(kind, self._unread(kind) - {name})
        mine = families.of(kind, name)
        key = draft.key(f"{path}.family")
        st.segmented_control(
            "Family", list(grouped), default=mine, required=True, key=key, format_func=families.title,
            on_change=_change_family, args=(kind, path, key, grouped),
        )  # fmt: skip
        st.caption(families.meaning(mine))
        return grouped[mine]

    def say(self, path: str, *, below: bool = False) -> None:
        """The problems of this field; of its items too (`seeds.1`) where they have no controls of their own."""
        found = [one for one in self.problems if one.field == path or (below and one.field.startswith(f"{path}."))]
        with st.container() if found else vanished():
            for problem in found:
                st.error(plain(problem.message), icon=":material/error:")
                if problem.changes:
                    st.button(
                        "Use the suggestion", key=draft.key(f"{path}.suggestion"), icon=":material/check:",
                        on_click=_take_suggestion, args=(problem,),
                    )  # fmt: skip
        self._places[path] = st.container()

    def advise(self, warnings: Sequence[Problem]) -> None:
        """What is worth knowing, at its fields: it is only known when the form has long been drawn."""
        for warning in warnings:
            if place := self._places.get(warning.field):
                place.warning(plain(warning.message), icon=":material/lightbulb:")

    def _several(self, kind: str, path: str) -> None:
        """A list of choices: each with its options and a button that takes it out, and a menu to add one."""
        chosen = draft.at(draft.get(), path)
        for index in range(len(chosen)):
            with st.container(border=True):
                self._item(kind, f"{path}.{index}")
                _take_out_button(path, index)
        self.say(path)
        if picked := self._adding(kind, path):
            chosen.append(draft.fresh(kind, picked))
            st.rerun()

    def _item(self, kind: str, path: str) -> None:
        """One choice of a list. Where there are many to choose from it is only named, and its options are folded."""
        if not families.known(kind):
            self.choice(kind, path)
            return
        options = draft.at(draft.get(), path)
        entry = registry.entry(kind, options[kind])
        st.markdown(f"**{plain(entry.name.replace('_', ' '))}**: {plain(entry.description)}")
        self.say(path)
        self.say(f"{path}.{kind}")
        names = [option for option in entry.options.model_fields if option != kind]
        wrong = any(problem.field.startswith(f"{path}.") for problem in self.problems)
        title = plain(describe(kind, options).partition(", ")[2]) or "Options"
        if names:
            box = st.expander(title, wrong, key=draft.key(f"{path}.open"), type="compact", on_change="rerun")
            if box.open:
                with box:
                    st.caption(plain(_about(entry, described=True)))
                    self.part(entry.options, path, names)

    def _weighed(self, model: type[BaseModel], path: str) -> None:
        """A list of models, each around one choice: `{"weight": 1, "of": {"method": "kd"}}`."""
        chosen = draft.at(draft.get(), path)
        around = next(name for name, field in model.model_fields.items() if kind_of(field).registry)
        kind = kind_of(model.model_fields[around]).registry
        assert kind
        rest = [name for name in model.model_fields if name != around]
        for index in range(len(chosen)):
            with st.container(border=True):
                self._item(kind, f"{path}.{index}.{around}")
                self.part(model, f"{path}.{index}", rest)
                _take_out_button(path, index)
        self.say(path)
        if picked := self._adding(kind, path):
            usual = {name: model.model_fields[name].get_default(call_default_factory=True) for name in rest}
            chosen.append(usual | {around: draft.fresh(kind, picked)})
            st.rerun()

    def _adding(self, kind: str, path: str) -> str | None:
        """A menu of the registry's entries, in the order of their families; the one that was just picked."""
        names = [name for members in families.grouped(kind, self._unread(kind)).values() for name in members]
        picked: str | None = st.menu_button(
            f"Add {'an' if kind[0] in 'aeiou' else 'a'} {kind}",
            names,
            key=draft.key(f"{path}.add"),
            icon=":material/add:",
            format_func=partial(_line, kind),
        )
        return picked

    def _unread(self, kind: str) -> set[str]:
        """The entries that do not read the data set's inputs."""
        if self.read_as is None:
            return set()
        return {entry.name for entry in registry.entries(kind)} - {*reading(kind, self.read_as)}

    def _budget(self, model: type[BaseModel], path: str) -> None:
        """The budget is steps or epochs, so there is one number and a switch between the two."""
        unit = "steps" if draft.at(draft.get(), path)["steps"] is not None else "epochs"
        with st.container(horizontal=True, vertical_alignment="bottom"):
            key = draft.key(f"{path}.budget")
            pick("Budget in", ["steps", "epochs"], unit, key, on_change=_change_unit, args=(path, key))
            field = model.model_fields[unit]
            self._control(field, kind_of(field)._replace(optional=False), f"{path}.{unit}")
        for name in ("", ".steps", ".epochs"):
            self.say(f"{path}{name}")


def _take_suggestion(problem: Problem) -> None:
    for path, value in problem.changes:
        draft.put(draft.get(), path, value)
        draft.renew_at(path)


def vanished() -> Any:
    """Takes the place of what may have stood here and is gone.

    Without it that would stay until the whole page is drawn, and then what is being pressed below it would move away.
    """
    return st.empty()


def _take_out_button(path: str, index: int) -> None:
    st.button(
        "Remove",
        key=draft.key(f"{path}.{index}.out"),
        icon=":material/close:",
        type="tertiary",
        on_click=draft.take_out,
        args=(path, index),
    )


def _about(entry: Entry, described: bool) -> str:
    """What an entry is, unless that stands there already, and where it comes from."""
    source = f"Source: {entry.source}" if entry.source else ""
    return source if described else ". ".join(filter(None, [entry.description, source]))


def describe(kind: str, options: Mapping[str, Any]) -> str:
    """A choice and its plain options in a line: "cnn, width 32"."""
    said = [_value(name.replace("_", " "), value) for name, value in options.items() if name != kind]
    return ", ".join(filter(None, [options[kind].replace("_", " "), *said]))


def _value(name: str, value: Any) -> str:
    """An option that is worth a word: what is off, empty or nested is none."""
    if isinstance(value, bool):
        return name if value else ""
    if isinstance(value, int | float):
        return f"{name} {value:g}"
    if isinstance(value, str):
        return f"{name} {value}" if value else ""
    plain_list = isinstance(value, list) and value and all(isinstance(one, int | float | str) for one in value)
    return f"{name} {'-'.join(map(str, value))}" if plain_list else ""


def _line(kind: str, name: str) -> str:
    """An entry in a list that opens."""
    return f"{name.replace('_', ' ')} · {registry.entry(kind, name).description}"


def _choose(kind: str, path: str) -> None:
    _put_fresh(kind, path, st.session_state[draft.key(f"{path}.{kind}")])


def _put_fresh(kind: str, path: str, name: str) -> None:
    """Puts an entry as it is by default. Its options get controls of their own: an option of the same name that
    another entry had would hand its value on."""
    options = draft.fresh(kind, name)
    draft.put(draft.get(), path, options)
    draft.unvary(path)
    for option in options.keys() - {kind}:
        draft.renew_at(f"{path}.{option}")


def _change_family(kind: str, path: str, key: str, grouped: dict[str, list[str]]) -> None:
    _put_fresh(kind, path, grouped[st.session_state[key]][0])


def _change_unit(path: str, key: str) -> None:
    values = draft.at(draft.get(), path)
    unit = st.session_state[key]
    other = "epochs" if unit == "steps" else "steps"
    draft.get()["sweep"].pop(f"{path}.{other}", None)
    values[unit], values[other] = (300 if unit == "steps" else 30), None
