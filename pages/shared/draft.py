"""The Recipe that somebody is writing, as a plain document, kept over reruns and page changes."""

from __future__ import annotations

import copy
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from kdcore import registry
from kdcore.files import Damaged, read_json, write_json
from kdcore.presets import presets
from kdcore.recipe import Recipe
from kdcore.workspace.workspace import Workspace
from pages.shared import links

KEY = "draft"  # in the session; in the URL the name under which the draft is kept for a reload of the page
TURN = "draft_turn"
TURNS = "draft_turns"  # of single paths
LINES = "draft_lines"  # of the lists that open, by path
KEPT = "draft_kept"  # the draft as it was kept last
RESTORED = "draft_restored"
NAME = "draft_name"
NAMES = re.compile("[0-9a-f]{16}")


def get() -> dict[str, Any]:
    """The draft; at first the one that the URL names, else the first preset, renamed: something that works."""
    if KEY not in st.session_state:
        st.session_state[RESTORED] = _restore()
        if not st.session_state[RESTORED]:
            start()
    return st.session_state[KEY]


def start() -> None:
    """Begins again with the first preset."""
    load(presets()[0].recipe, "My experiment")
    st.session_state[KEPT] = copy.deepcopy(st.session_state[KEY])  # nothing to keep yet
    st.session_state[RESTORED] = False


def load(recipe: Recipe, name: str) -> None:
    """Makes this Recipe the draft."""
    st.session_state[KEY] = recipe.document() | {"name": name}
    renew()


def keep() -> None:
    """Keeps a draft that has changed for a reload of the page, under the name in the URL."""
    document = get()
    if st.session_state.get(KEPT) != document:
        name = st.session_state.setdefault(NAME, secrets.token_hex(8))
        _path(name).parent.mkdir(parents=True, exist_ok=True)
        write_json(_path(name), {"recipe": document})
        st.session_state[KEPT], st.session_state[RESTORED] = copy.deepcopy(document), False
    name = st.session_state.get(NAME)
    if name and st.query_params.get(KEY) != name:
        links.put(KEY, name)


def restored() -> bool:
    """Whether the draft was restored and has not changed since."""
    return bool(st.session_state.get(RESTORED))


def _restore() -> bool:
    name = st.query_params.get(KEY, "")
    try:
        document = read_json(_path(name))["recipe"] if NAMES.fullmatch(name) else None
    except (Damaged, FileNotFoundError, KeyError, TypeError):
        return False
    if not isinstance(document, dict) or document.keys() != Recipe().document().keys():
        return False
    st.session_state.update({KEY: document, KEPT: copy.deepcopy(document), NAME: name})
    renew()
    return True


def _path(name: str) -> Path:
    return Workspace().drafts / f"{name}.json"


def renew() -> None:
    """Renews every control from the draft, which has changed by other means than its controls."""
    st.session_state[TURN] = st.session_state.get(TURN, 0) + 1
    st.session_state[TURNS] = {}


def renew_at(path: str) -> None:
    """Renews the controls at this path and below it, and leaves all others as they are."""
    turns = st.session_state[TURNS]
    turns[path] = turns.get(path, 0) + 1


def follow(path: str, lines: list[str]) -> None:
    """Renews the list at this path when its lines have changed.

    A browser sends back the line that was picked, and an older one would stand for nothing in the new list.
    """
    known = st.session_state.setdefault(LINES, {})
    if known.setdefault(path, lines) != lines:
        known[path] = lines
        renew_at(path)


def key(path: str) -> str:
    """The key of the control at this path."""
    turns = [turn for at, turn in st.session_state[TURNS].items() if f"{path}.".startswith(f"{at}.")]
    return ".".join(["new", str(st.session_state[TURN]), path, *map(str, turns)])


def take_out(path: str, item: int | str) -> None:
    """Takes an item out of the list or mapping at this path; what follows in a list has other paths then."""
    at(get(), path).pop(item)
    if path != "sweep":
        unvary(path)
    renew()


def unvary(path: str) -> None:
    """Varies no value below this path any more."""
    sweep = get()["sweep"]
    for one in [one for one in sweep if one.startswith(f"{path}.")]:
        del sweep[one]


def at(document: Any, path: str) -> Any:
    """What is at a dotted path, as in `compress.0.ratio`."""
    for name in path.split("."):
        document = document[int(name)] if isinstance(document, list) else document[name]
    return document


def put(document: Any, path: str, value: Any) -> None:
    """Puts a value at a dotted path."""
    parent, _, last = path.rpartition(".")
    here = at(document, parent) if parent else document
    here[int(last) if isinstance(here, list) else last] = value


def fresh(kind: str, name: str) -> dict[str, Any]:
    """An entry's options as they are by default, as a document."""
    return registry.validate(kind, {kind: name}).model_dump(mode="json")


def assignments(base: Mapping[str, Any], changed: Mapping[str, Any], path: str = "") -> list[tuple[str, Any]]:
    """The (path, value) pairs that make `changed` of `base` with `--set`.

    Where another entry was chosen, the whole choice is one value: its options are not the old one's.
    """
    found: list[tuple[str, Any]] = []
    for name, value in changed.items():
        here = f"{path}{name}"
        old = base.get(name)
        if old == value:
            continue
        if isinstance(value, dict) and isinstance(old, dict) and _same_choice(old, value) and name != "sweep":
            found += assignments(old, value, f"{here}.")
        else:
            found.append((here, value))
    return _one_budget(found)


def _same_choice(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return all(old.get(kind) == new.get(kind) for kind in registry.PACKAGES)


def _one_budget(found: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """`--set train.epochs=2` clears the steps by itself, so the null beside it need not be said."""
    given = {path for path, value in found if value is not None}
    rivals = {"steps": "epochs", "epochs": "steps"}

    def needless(path: str, value: Any) -> bool:
        parent, _, last = path.rpartition(".")
        return value is None and last in rivals and f"{parent}.{rivals[last]}" in given

    return [(path, value) for path, value in found if not needless(path, value)]
