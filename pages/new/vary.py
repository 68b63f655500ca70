"""Varying a field: the button beside it, and in its place the values with which the experiment is run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args, get_origin

import streamlit as st

from kdcore import json_input
from kdcore.plan import naming
from pages.shared import draft
from pages.shared.fields import Kind, label
from pages.shared.text import plain

# Parts of the Recipe of which a sweep can vary single values.
ROOTS = ("data.labels", "teacher.model", "teacher.train", "student", "train", "distill", "scheme", "compress")


def can(path: str) -> bool:
    """Whether what is at this path can be varied."""
    return any(f"{path}.".startswith(f"{root}.") for root in ROOTS)


def field(kind: Kind, path: str, name: str, draw: Callable[[], None]) -> None:
    """A field with the button that varies it. `draw` draws its control for one value."""
    choices = _choices(kind)
    if not can(path) or kind.many or not (choices or kind.base in (int, float)):
        draw()
    elif choices:
        choice(path, name, choices, str, draw)
    else:
        with _row(path):
            if path in swept():
                _numbers(path, name)
            else:
                draw()


def choice(path: str, name: str, options: Sequence[Any], line: Callable[[Any], str], draw: Callable[[], None]) -> None:
    """A choice with the button that varies it. `line`: an option in words. `draw` draws the control for one."""
    if not can(path):
        draw()
        return
    with _row(path):
        if path not in swept():
            draw()
            return
        key = draft.key(f"sweep.{path}")
        chosen = [one for one in swept()[path] if one in options]
        st.multiselect(f"{name}: compare", options, chosen, key=key, format_func=line,
                       on_change=_take, args=(path, key))  # fmt: skip


def _numbers(path: str, name: str) -> None:
    """The numbers that a field takes one after the other."""
    key = draft.key(f"sweep.{path}")
    shown = ", ".join(json.dumps(value) for value in swept()[path])
    st.text_input(f"{name}: values, comma-separated", shown, key=key, on_change=_take, args=(path, key))


def swept() -> dict[str, list[Any]]:
    """The values of each path of the draft that is varied."""
    found: dict[str, list[Any]] = draft.get()["sweep"]
    return found


def summary(document: Mapping[str, Any], owns: Sequence[str]) -> str:
    """What is varied in a section of the form: "swept: temperature 1, 4, 16". A sweep of whole chains of steps stands
    in the section's line already."""
    found = [
        f"{label(path).lower()} {values(document['sweep'][path])}"
        for path in document["sweep"]
        if path.split(".")[0] in owns and path != "compress"
    ]
    return f", swept: {'; '.join(found)}" if found else ""


def values(taken: Sequence[Any]) -> str:
    """Values of a sweep in words."""
    return ", ".join("all" if one is None else naming.describe(one).replace("_", " ") for one in taken)


def listed() -> None:
    """All that is varied, with buttons that take it out."""
    if not swept():
        st.caption("**Sweep**: press Vary beside a field to run the experiment with several of its values.")
        return
    st.caption("**Sweep**: every combination of these is run; stages that do not depend on a value are shared")
    for path, taken in list(swept().items()):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{plain(label(path))}**: {plain(values(taken))}", width="stretch")
            st.button("Remove", key=draft.key(f"sweep.{path}.out"), type="tertiary", icon=":material/close:",
                      on_click=draft.take_out, args=("sweep", path))  # fmt: skip


def _choices(kind: Kind) -> list[Any]:
    if kind.base is bool:
        return [False, True]
    return list(get_args(kind.base)) if get_origin(kind.base) is not None and not kind.many else []


def _row(path: str) -> Any:
    """A row that ends with the button, before which the field is drawn."""
    row = st.container(horizontal=True, vertical_alignment="bottom")
    field = row.container()
    varied = path in swept()
    row.button(
        "One value" if varied else "Vary", key=draft.key(f"{path}.vary"), type="tertiary", on_click=_switch,
        args=(path,), help="Go back to one value." if varied else "Run the experiment with several values of this.",
    )  # fmt: skip
    return field


def _switch(path: str) -> None:
    if path in swept():
        del swept()[path]
    else:
        swept()[path] = [draft.at(draft.get(), path)]
    draft.renew_at(path)


def _take(path: str, key: str) -> None:
    """Takes the values as they were written: numbers, and words without their quotation marks."""
    written = st.session_state[key]
    if isinstance(written, str):
        try:
            written = json_input.read(f"[{written}]")
        except json_input.BadJson:
            written = [_value(part) for part in written.split(",")]
    swept()[path] = list(written)


def _value(text: str) -> Any:
    try:
        return json_input.read(text)
    except json_input.BadJson:
        return text.strip()
