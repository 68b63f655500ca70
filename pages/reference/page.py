"""Reference: a card for each method and step, and the glossary. What is shown stands in the URL."""

from __future__ import annotations

import re

import streamlit as st

from kdcore import registry
from kdcore.distill.traits import MethodTraits
from kdcore.registry import Entry
from kdcore.report import glossary
from pages.shared import families, links
from pages.shared.text import plain

VIEWS = {"method": "Distillation methods", "step": "Compression steps", "term": "Glossary"}
SYMBOLS = (
    "$s$ student, $t$ teacher, $y$ label, $z$ logits, $p = \\mathrm{softmax}(z)$, "
    "$p_T = \\mathrm{softmax}(z / T)$, $f$ features, $W$ weights, $w$ the factor of a term. CE is the cross-entropy, "
    "KL the Kullback-Leibler divergence, MSE the mean squared error."
)


def _cards(kind: str, entries: list[Entry]) -> None:
    found = [entry for entry in entries if _fits(entry.name, entry.description, getattr(entry.traits, "helps", ""))]
    with st.grid(2, min_column_width=330):
        for entry in found:
            with st.container(border=True, height="stretch"):
                _card(kind, entry)
    if not found:
        st.caption("Nothing matches the filter.")


def _card(kind: str, entry: Entry) -> None:
    traits: MethodTraits = entry.traits  # type: ignore[assignment]  # a step's has the same two
    st.subheader(plain(entry.name.replace("_", " ")), anchor=f"{kind}-{entry.name}")
    st.markdown(f"{plain(entry.description)}.")
    if traits.formula:
        st.latex(f"\\begin{{gathered}} {traits.formula} \\end{{gathered}}")
    if traits.helps:
        st.markdown(f"**When to choose it.** {plain(traits.helps)}")
    papers = re.sub(r"arXiv\\:(\d{4}\.\d{4,5})", r"[arXiv \1](https://arxiv.org/abs/\1)", plain(entry.source))
    if papers:
        st.caption(f":material/menu_book: {papers}")


def _terms() -> None:
    found = [term for term in glossary.terms() if _fits(term.title, term.meaning)]
    for section in dict.fromkeys(term.section for term in found):
        st.subheader(section, anchor=False)
        st.table({plain(term.title): term.meaning for term in found if term.section == section}, border="horizontal")
    if not found:
        st.caption("Nothing matches the filter.")


def _fits(*texts: str) -> bool:
    return wanted.casefold() in " ".join(texts).casefold()


st.title("Reference", anchor=False)
with st.container(horizontal=True, vertical_alignment="bottom"):
    view = links.segments("What to look up", list(VIEWS), "kind", format_func=VIEWS.__getitem__)
    wanted = st.text_input("Filter", key="filter", bind="query-params", icon=":material/search:", width=320)

if view == "method":
    st.caption(SYMBOLS)
    for family, names in families.grouped("method").items():
        st.header(families.title(family), anchor=False)
        st.caption(families.meaning(family))
        _cards("method", [registry.entry("method", name) for name in names])
elif view == "step":
    _cards("step", registry.offered("step"))
else:
    _terms()
