"""The variants that answer: their ONNX files, opened once, and what is known of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st
from onnxruntime import InferenceSession

from kdcore.export import runtime
from kdcore.workspace.plans import Variant
from pages.shared import links, store
from pages.shared.text import plain

USUAL = 6  # more variants than this, and the page begins with the first of them
FILE = "model.onnx"


class Chosen(NamedTuple):
    """A variant whose file is open. `row`: of the comparison."""

    name: str
    role: str
    key: str
    model: InferenceSession
    row: dict[str, Any]


def choose(run_id: str) -> list[Chosen]:
    """The variants that somebody has picked and whose file can be opened, the teacher first where it has one."""
    known = {variant.name: variant for variant in store.variants(run_id)}
    asked = st.query_params.get("variant")  # a link from another page names one
    usual = list(known)[:USUAL]
    if asked in known and asked not in usual:
        usual = [*usual, asked]
    rows = {row["variant"]: row for row in store.rows([run_id])}
    picked = links.many("Variants", list(known), "variants", default=usual)
    ordered = sorted((known[name] for name in picked), key=lambda variant: variant.role != "teacher")
    return [one for variant in ordered if (one := _opened(variant, rows[variant.name]))]


def _opened(variant: Variant, row: dict[str, Any]) -> Chosen | None:
    """None for one that has no file or a damaged one, which the page says."""
    here, key = store.workspace(), variant.keys[0]
    path = here.model(key) / FILE
    identity = store.identity(path)
    if identity is None:
        st.caption(f":material/info: {plain(variant.name)} is a file of soft labels: it cannot answer a new input.")
        return None
    reason = here.damage(key, [FILE])
    try:
        if not reason:
            return Chosen(variant.name, variant.role, key, _session(str(path), identity), row)
    except runtime.UnreadableModel:
        reason = f"{FILE} cannot be opened"
    st.warning(f"{plain(variant.name)}: its model is damaged ({plain(reason)}). Resume the run to make it again.")
    return None


@st.cache_resource(max_entries=32, show_spinner=False)
def _session(path: str, identity: store.Identity) -> InferenceSession:
    return runtime.session(Path(path))
