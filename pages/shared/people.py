"""Who is in front of this page, where `serve` lets several people in; and buttons that this person may not press."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache, wraps
from typing import Any, Literal, ParamSpec, cast

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from kdcore.workspace import access, people
from kdcore.workspace.access import OPERATOR, VISITOR, Person
from kdcore.workspace.index import RunRow
from kdcore.workspace.workspace import Workspace
from pages.people.cookie import COOKIE
from pages.shared.text import plain

SERVES = "KDCORE_SERVES"  # in the environment of the server, see kdcore/cli/app.py
PERSON = "person"  # in the session: the id of who has signed in
TOKEN = "person_token"  # in the session: what this browser keeps to be known again
KEPT = "person_kept"  # in the session: what the browser was last asked to keep
SIGNED_OUT = "signed_out"  # in the session: the browser's cookie no longer counts

Mode = Literal["", "class", "demo"]
P = ParamSpec("P")


def mode() -> Mode:
    """What the server is for: one person's own, a class that signs in, or a demonstration that changes nothing."""
    asked = os.environ.get(SERVES, "")
    return cast(Mode, asked) if asked in ("class", "demo") else ""


@cache
def provider() -> bool:
    """Whether a provider identifies people (OIDC): then `secrets.toml` has a section [auth]."""
    try:
        return "auth" in st.secrets
    except FileNotFoundError:
        return False


def signed_in() -> Person | None:
    """Who has signed in in this session, or in this browser before."""
    here = Workspace()
    if PERSON not in st.session_state and not st.session_state.get(SIGNED_OUT):
        _recognise(here)
    known = st.session_state.get(PERSON)
    return people.find(here, known) if known else None


def _recognise(here: Workspace) -> None:
    """Notes who this browser says it is: to the provider, or by its cookie."""
    found = None
    if provider():
        if st.user.is_logged_in:
            identity = f"{st.user.get('iss')} {st.user.get('sub') or st.user.get('email')}"
            address = str(st.user.get("email") or "")
            verified = address if str(st.user.get("email_verified")).lower() == "true" else ""
            found = people.enter(here, identity, str(st.user.get("name") or address), verified)
    else:
        token = str(st.context.cookies.get(COOKIE, ""))
        found = people.by_token(here, token)
        st.session_state[TOKEN] = token
    if found:
        st.session_state[PERSON] = found.id


def sign_out() -> None:
    """Forgets who has signed in, here and in the browser."""
    token = st.session_state.get(TOKEN) or ""
    people.forget(Workspace(), token)
    st.session_state.clear()
    st.session_state.update({SIGNED_OUT: True, KEPT: token})


def current() -> Person:
    """Who acts: of a server for several people whoever has signed in, else a visitor, who only looks."""
    if not mode():
        return OPERATOR
    if get_script_run_ctx(suppress_warning=True) is None:
        return VISITOR  # a thread of no session
    return signed_in() or VISITOR


def names() -> dict[str, str]:
    """The names of a class by id; empty where there is none."""
    return _names(str(Workspace().root)) if mode() else {}


@st.cache_data(ttl=10, max_entries=2, show_spinner=False)
def _names(root: str) -> dict[str, str]:
    return {person: known.name for person, known in people.everybody(Workspace(root)).items()}


def of(row: RunRow) -> str:
    """Whose run it is, in Markdown before its name; empty without a class."""
    return f":gray[{plain(names().get(row.owner, 'somebody'))}:] " if mode() and row.owner else ""


def reported(action: Callable[P, None]) -> Callable[P, None]:
    """The action, which says on the page where it is refused: a browser may press what is disabled."""

    @wraps(action)
    def asked(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            action(*args, **kwargs)
        except access.Refused as error:
            st.toast(plain(str(error)), icon=":material/error:")

    return asked


def unless(refusal: str, *, disabled: bool = False, help: str | None = None) -> Mapping[str, Any]:
    """What a widget is given that is disabled where there is a `refusal`, which its help then says."""
    return {"disabled": disabled or bool(refusal), "help": refusal or help}


access.identify(current)
