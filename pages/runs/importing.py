"""Taking in a run that another installation exported."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import streamlit as st

from kdcore.takeaway.importing import NotImported, import_run
from kdcore.workspace import access
from pages.shared import people, store
from pages.shared.text import plain

TURN, PROBLEM = "import_turn", "import_problem"  # in the session: the number of the uploader, and what was wrong


def offer() -> None:
    """The place to drop the file; what came is shown at once."""
    with st.popover("Import a run", icon=":material/upload:", **people.unless(access.to_manage())):
        key = f"import_{st.session_state.get(TURN, 0)}"
        st.file_uploader(
            "A run as a zip", ["zip"], key=key, on_change=_take, args=(key,),
            help="Written by another installation: page Runs, Files, or `kdcore export RUN_ID -o run.zip`. Import only "
            "from people you trust: its models are used in place of those that the same recipe would make here.",
        )  # fmt: skip
        if problem := st.session_state.get(PROBLEM):
            st.error(plain(problem), icon=":material/error:")


def _take(key: str) -> None:
    sent = st.session_state[key]
    st.session_state.pop(PROBLEM, None)
    if sent is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.zip")
        with path.open("wb") as file:
            shutil.copyfileobj(sent, file)
        try:
            found = import_run(store.workspace(), path)
        except NotImported as error:
            st.session_state[PROBLEM] = f"{sent.name} was not imported: {error}"
            return
    st.session_state[TURN] = st.session_state.get(TURN, 0) + 1  # a fresh uploader: the file is not held any longer
    st.query_params["run"] = found.run
    st.toast(plain(f"{found.words} imported"), icon=":material/check_circle:")
