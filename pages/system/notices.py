"""The webhook that is notified when a run ends."""

from __future__ import annotations

from urllib.parse import urlsplit

import streamlit as st

from kdcore.files import Damaged
from kdcore.jobs import webhook
from kdcore.workspace import access, settings
from pages.shared import people, store, text

TYPED = "webhook"


def section() -> None:
    """The address, which is never shown again, a test, and what became of the latest messages."""
    here = store.workspace()
    try:
        known = settings.read(here)
    except Damaged as error:
        st.error(text.plain(str(error)), title="The settings cannot be read")
        known = settings.Settings()
    st.caption(
        f"At the end of each run a message goes to **{text.plain(known.host)}**." if known.host
        else "When a run ends, its name, state, result and a link to it are sent to the webhook as JSON."
    )  # fmt: skip
    st.text_input(
        "Webhook URL", key=TYPED, type="password", placeholder="https://…", on_change=_save, autocomplete="off",
        help="The address that a chat channel (Slack, Mattermost and others) or your own server gives you. It may "
        "contain a secret, so it is not shown again; `settings.json` in the workspace keeps it.",
    )  # fmt: skip
    if problem := st.session_state.pop("webhook_problem", ""):
        st.error(problem)
    with st.container(horizontal=True):
        st.button("Send a test", key="webhook_test", icon=":material/send:", disabled=not known.host, on_click=_test)
        st.button("Remove", key="webhook_remove", type="tertiary", disabled=not known.host, on_click=_remove)
    if sent := webhook.latest(here):
        _result(sent[0])


def _result(sent: webhook.Sent) -> None:
    about = f"{text.plain(sent.name)}, {text.ago(sent.at)}"
    if sent.problem:
        st.caption(
            f":red[:material/error:] Not delivered: {about}: {text.plain(sent.problem)}. The run is not affected."
        )
    else:
        st.caption(f":green[:material/check_circle:] Delivered: {about}.")


@people.reported
def _save() -> None:
    access.require(access.to_manage())
    typed = st.session_state[TYPED].strip()
    if not typed:
        return
    parts = urlsplit(st.context.url or "")
    dashboard = f"{parts.scheme}://{parts.netloc}" if parts.netloc else None
    try:
        settings.write(store.workspace(), webhook=typed, dashboard=dashboard)
    except ValueError:
        st.session_state["webhook_problem"] = "The address must begin with http:// or https:// and name a host."
        return
    st.session_state[TYPED] = ""


@people.reported
def _test() -> None:
    access.require(access.to_manage())
    webhook.send_test(store.workspace())


@people.reported
def _remove() -> None:
    settings.write(store.workspace(), webhook=None)
