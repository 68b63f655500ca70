"""Files uploaded from the browser: kept in the workspace under the hash of their content."""

from __future__ import annotations

import streamlit as st

from kdcore.data import upload
from kdcore.jobs import limits
from kdcore.workspace import access, people
from pages.new.form import vanished
from pages.shared import draft, store
from pages.shared.text import plain

PROBLEM = "upload_problem"


def offer(words: str, types: list[str], path: str) -> None:
    """A place to drop a file; its path on this machine then stands at `path` in the draft."""
    key = draft.key(f"{path}.upload")
    st.file_uploader(words, types, key=key, on_change=_take, args=(path, key))
    if problem := st.session_state.get(PROBLEM, {}).get(path):
        st.error(plain(problem), icon=":material/error:")
    else:
        vanished()


def _take(path: str, key: str) -> None:
    sent = st.session_state[key]
    st.session_state.pop(PROBLEM, None)
    if sent is None:
        return
    folder = people.own(store.workspace(), access.who()) / "uploads"
    try:
        access.require(access.to_launch() or limits.refusal(store.workspace(), access.who()))
        take = upload.receive if sent.name.lower().endswith(".zip") else upload.keep
        kept = take(sent, sent.name, folder)
    except (upload.UploadError, access.Refused) as error:
        st.session_state[PROBLEM] = {path: f"{sent.name} was rejected: {error}"}
        return
    draft.put(draft.get(), path, str(kept))
    draft.renew_at(path)
