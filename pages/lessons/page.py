"""Lessons: commit to a prediction, measure, compare, understand. Lesson and step are in the URL."""

from __future__ import annotations

import streamlit as st

from kdcore.lessons import UnknownLesson, find
from pages.lessons import catalogue, frame
from pages.shared import store
from pages.shared.text import plain

store.serve(store.runs())
asked = st.query_params.get("lesson")
try:
    chosen = find(asked) if asked else None
except UnknownLesson:
    st.warning(f"There is no lesson {plain(asked or '')}. These are all lessons.")
    chosen = None

if chosen:
    frame.show(chosen)
else:
    catalogue.show()
