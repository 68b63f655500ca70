"""Where workers run: the launcher and its options, in one line, as `dispatch --launcher` takes them."""

from __future__ import annotations

import shlex

import streamlit as st

from kdcore import registry
from kdcore.files import Damaged
from kdcore.jobs import launcher
from kdcore.workspace import access, settings
from pages.shared import people, store, text

NAME, OPTIONS, PROBLEM = "launcher", "launcher_options", "launcher_problem"


def section() -> None:
    """The launcher, and what its jobs ask for."""
    name, *options = launcher.words_of(_known())
    entries = {entry.name: entry for entry in registry.entries("launcher")}
    st.selectbox(
        "Where workers run", list(entries), index=list(entries).index(name), key=NAME, on_change=_save_name,
        format_func=lambda one: entries[one].description,
        **people.unless(
            access.to_manage(), help="On a cluster, `kdcore doctor` submits a test job. See docs/cluster.md."
        ),
    )  # fmt: skip
    fields = [field for field in entries[name].options.model_fields if field != "launcher"]
    if fields:
        st.text_input(
            "Launcher options", shlex.join(options), key=OPTIONS, on_change=_save_options,
            placeholder="partition=gpu gpus=1",
            **people.unless(access.to_manage(), help=f"OPTION=VALUE, separated by spaces: {', '.join(fields)}."),
        )  # fmt: skip
    if problem := st.session_state.pop(PROBLEM, ""):
        st.error(text.plain(problem))


def _known() -> registry.Options:
    try:
        return settings.read(store.workspace()).launcher
    except Damaged:
        return settings.Settings().launcher


@people.reported
def _save_name() -> None:
    settings.write(store.workspace(), launcher={"launcher": st.session_state[NAME]})


@people.reported
def _save_options() -> None:
    try:
        words = [launcher.words_of(_known())[0], *shlex.split(st.session_state[OPTIONS])]
        settings.write(store.workspace(), launcher=launcher.in_words(words))
    except ValueError as error:
        st.session_state[PROBLEM] = str(error)
