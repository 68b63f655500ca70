"""The variants that are shown, and what was measured of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import streamlit as st

from kdcore.report import membership
from kdcore.report.membership import Membership
from kdcore.report.reading import RunFiles
from kdcore.workspace.workspace import Workspace
from pages.shared import roles, store
from pages.shared.text import plain


class Shown(NamedTuple):
    """A variant's first seed: what its row in the plan says, and its report."""

    name: str
    role: str
    key: str
    parent: str | None
    values: dict[str, Any]
    report: dict[str, Any]

    @property
    def quality(self) -> dict[str, Any]:
        return self.report["quality"] or {}


def shown(run_id: str, names: list[str]) -> list[Shown]:
    """These variants of the run, in table order."""
    return [
        Shown(one.name, one.role, one.keys[0], one.parent, one.values, found)
        for one in store.variants(run_id)
        if one.name in names and (found := store.report(one.keys[0]))
    ]


def memberships(run_id: str, names: list[str]) -> list[Membership]:
    """Membership inference for these variants, in table order."""
    here = store.workspace()
    state = tuple(store.identity(here.runs / run_id / name) for name in ("events.jsonl", "result.json"))
    known = (state, store.identity(here.models))
    return [one for one in _memberships(str(here.root), run_id, known) if one.variant in names]


@st.cache_data(max_entries=100, show_spinner=False)
def _memberships(root: str, run_id: str, identity: Any) -> list[Membership]:
    return membership.memberships(RunFiles(Workspace(root), run_id))


def marked(name: str, role: str) -> str:
    """A variant's name with its symbol, as Markdown."""
    return f"{roles.mark(role)} {plain(name)}"


def again(run_id: str, what: str, names: list[str]) -> None:
    """These variants lack something that is measured today: which, and what to press."""
    if not names:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        listed = plain(", ".join(names))
        st.caption(
            f":material/info: Measured before {what} was added: {listed}. Duplicate and start the run to include it.",
            width="stretch",
        )
        if st.button("Open the run", key=f"again_{what}", icon=":material/list_alt:"):
            st.switch_page("runs/page.py", query_params={"run": run_id})
