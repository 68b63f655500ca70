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


def _cards(kind: str) -> None:
    """The cards of one family; with a filter, those of all families that fit."""
    grouped = families.grouped(kind)
    if wanted.strip():
        names = [name for members in grouped.values() for name in members]
    else:
        family = links.segments("Family", list(grouped), "family", format_func=families.title, wrap=True)
        st.caption(families.meaning(family))
        names = grouped[family]
    found = [entry for name in names if _fits(*_words(entry := registry.entry(kind, name)))]
    with st.grid(2, min_column_width=330):
        for entry in found:
            with st.container(border=True, height="stretch"):
                _card(kind, entry)
    if not found:
        st.caption("Nothing matches the filter.")


def _words(entry: Entry) -> tuple[str, ...]:
    return entry.name.replace("_", " "), entry.name, entry.description, getattr(entry.traits, "helps", "")


def _card(kind: str, entry: Entry) -> None:
    traits: MethodTraits = entry.traits  # type: ignore[assignment]  # a step's has the same two
    papers = re.sub(r"arXiv\\:(\d{4}\.\d{4,5})", r"[arXiv \1](https://arxiv.org/abs/\1)", plain(entry.source))
    st.subheader(plain(entry.name.replace("_", " ")), anchor=f"{kind}-{entry.name}")
    parts = (
        f"{plain(entry.description)}.",
        f"$$\n\\begin{{gathered}} {traits.formula} \\end{{gathered}}\n$$" if traits.formula else "",
        f"**When to choose it.** {plain(traits.helps)}" if traits.helps else "",
        f":gray[:small[:material/menu_book: {papers}]]" if papers else "",
    )
    st.markdown("\n\n".join(filter(None, parts)))


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

if view == "term":
    _terms()
else:
    if view == "method":
        st.caption(SYMBOLS)
    _cards(view)
