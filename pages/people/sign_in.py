"""The door of a class: the class code and a name, or the provider that knows everybody (OIDC)."""

from __future__ import annotations

import threading
from time import sleep
from typing import Any

import streamlit as st

from kdcore.files import Damaged
from kdcore.workspace import people
from kdcore.workspace.people import Admitted, NotAdmitted
from kdcore.workspace.workspace import Workspace
from pages.shared.people import PERSON, SIGNED_OUT, TOKEN, provider
from pages.shared.text import plain

FAILED = "sign_in_failed"  # in the session: how many codes were wrong
NAMESAKE = "sign_in_namesake"  # in the session: somebody else has the name that was given
LONGEST_WAIT = 16.0  # seconds after a wrong code; the first costs one, each further one twice as much
AT_ONCE = threading.BoundedSemaphore(8)  # codes that are looked at; wrong ones hold their place while they wait


def show() -> None:
    """The page of somebody who has not signed in, in the place of every other."""
    _, middle, _ = st.columns([1, 1.2, 1])
    with middle:
        st.title("Sign in", anchor=False)
        form()


def form() -> None:
    if provider():
        st.markdown("Your institution's account opens this laboratory.")
        st.button("Sign in", key="sign_in", type="primary", icon=":material/login:", on_click=st.login)
        return
    with st.form("sign_in_form", enter_to_submit=True):
        name = _field("Your name", "", key="sign_in_name", max_chars=people.LONGEST_NAME, autocomplete="name")
        code = _field(
            "Class code", "From your lecturer. Lecturers enter their own code here.", key="sign_in_code",
            type="password", max_chars=100, autocomplete="off",
        )  # fmt: skip
        back = _field(
            "Own code", "Only if you were here before, in another browser: it is on your page Class.",
            key="sign_in_back", max_chars=100, autocomplete="off",
        )  # fmt: skip
        pressed = st.form_submit_button("Sign in", type="primary", icon=":material/login:")
    if pressed:
        try:
            with st.spinner("Checking the code"):
                welcome(attempt(code, name, back))
        except (NotAdmitted, Damaged) as error:
            st.error(plain(f"{error}."), icon=":material/lock:")
            return
        st.rerun()


def _field(label: str, about: str, **widget: Any) -> str:
    """A text field below its label as text: Streamlit draws a field's own label only once the field has been loaded,
    which would push down all that stands below."""
    with st.container(gap="xxsmall"):
        st.markdown(f"{label}  \n:gray[:small[{about}]]" if about else label)
        return st.text_input(label, label_visibility="collapsed", **widget)


def attempt(code: str, name: str, back: str) -> Admitted:
    """Lets in who knows a code. After a wrong one the answer takes its time. Raises NotAdmitted, Damaged."""
    if not AT_ONCE.acquire(timeout=10):
        raise NotAdmitted("Too many sign-in attempts at once: try again in a minute")
    try:
        return people.admit(Workspace(), code, name, back)
    except NotAdmitted as error:
        if error.guessed:
            failed = st.session_state.get(FAILED, 0)
            st.session_state[FAILED] = failed + 1
            sleep(min(LONGEST_WAIT, 2.0**failed))
        raise
    finally:
        AT_ONCE.release()


def welcome(admitted: Admitted) -> None:
    state = st.session_state
    state.pop(SIGNED_OUT, None)
    state.pop(FAILED, None)
    state.update({PERSON: admitted.person.id, TOKEN: admitted.token, NAMESAKE: admitted.namesake})
