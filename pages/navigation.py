"""The dashboard's script: page config, navigation, and the door of a class."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.people import follow, keep, sign_in
from pages.shared import links, notify, people, store, text

ICON = str(Path(__file__).parent / "shared" / "icon.png")

st.set_page_config(page_title="kdcore", page_icon=ICON, layout="wide")
st.logo(ICON, size="large")

follow.asked()
links.carry()
pages = [
    st.Page(
        "home/page.py",
        title="Home",
        icon=":material/home:",
        default=True,
        help="Introduction, experiments that start with one click, and the latest runs.",
    ),
    st.Page(
        "lessons/page.py",
        title="Lessons",
        url_path="lessons",
        icon=":material/school:",
        help="Ten lessons: commit to a prediction, measure it on this machine, compare, understand, hand it in.",
    ),
    st.Page(
        "new/page.py",
        title="New experiment",
        url_path="new",
        icon=":material/science:",
        help="Choose data, teacher, student and steps; see size, compute and time before you start.",
    ),
    st.Page(
        "runs/page.py",
        title="Runs",
        url_path="runs",
        icon=":material/list_alt:",
        help="Every run with its state and stages, live curves and log; cancel, resume, duplicate, delete.",
    ),
    st.Page(
        "search/page.py",
        title="Search",
        url_path="search",
        icon=":material/manage_search:",
        help="Searches for the best model within limits: candidates, winner and control, and the winning recipe.",
    ),
    st.Page(
        "compare/page.py",
        title="Compare",
        url_path="compare",
        icon=":material/compare_arrows:",
        help="Accuracy against size and latency, the full table, verdicts, and downloads.",
    ),
    st.Page(
        "soft_targets/page.py",
        title="Soft targets",
        url_path="soft_targets",
        icon=":material/thermostat:",
        help="How a temperature softens a network's output for one example, and which classes it confuses.",
    ),
    st.Page(
        "try_it/page.py",
        title="Try it",
        url_path="try_it",
        icon=":material/draw:",
        help="Draw, upload or photograph an input, and see what every variant answers.",
    ),
    st.Page(
        "trust/page.py",
        title="Trust",
        url_path="trust",
        icon=":material/verified_user:",
        help="Calibration, privacy of the training examples, fidelity to the teacher, robustness to corruption.",
    ),
    st.Page(
        "layers/page.py",
        title="Layers",
        url_path="layers",
        icon=":material/layers:",
        help="Zeros, parameters, MACs and weights of every layer, for two variants side by side.",
    ),
    st.Page(
        "reference/page.py",
        title="Reference",
        url_path="reference",
        icon=":material/menu_book:",
        help="Each distillation method and compression step with its formula and paper, and the glossary.",
    ),
    st.Page(
        "system/page.py",
        title="System",
        url_path="system",
        icon=":material/memory:",
        help="This machine, the queue, disk and its clean-up, versions.",
    ),
]
if people.mode():
    pages.append(
        st.Page(
            "people/page.py",
            title="Class",
            url_path="class",
            icon=":material/groups:",
            help="Who you are here, what you may do and have used; for lecturers, a lesson's answers.",
        )
    )
outside = people.mode() == "class" and not people.signed_in()
page = st.navigation(pages, position="hidden" if outside else "top")  # behind the door every address stays as it is
if people.mode():
    keep.browser()
try:
    if outside:
        sign_in.show()
    else:
        follow.show(pages, page)
        if problem := store.without_locks():
            st.error(text.plain(f"Nothing can run: {problem}."), icon=":material/lock_open:")
        page.run()
finally:  # a page may stop early
    if not outside:
        notify.watch()
