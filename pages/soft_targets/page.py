"""Soft targets: how a temperature changes the answers to one image. From stored logits, without torch."""

from __future__ import annotations

import streamlit as st

from pages.shared import gallery, links, soft, store, text

runs = store.finished()

st.title("Soft targets", anchor=False)
if not runs:
    text.empty(
        "No trained model yet",
        "Here you will move a temperature and see how a teacher's output softens, and which classes it confuses.",
        "Train one on the home page",
        "home/page.py",
        ":material/thermostat:",
    )
    st.stop()

run_column, students_column = st.columns([1, 2])
with run_column:
    run_id = links.run("Run", runs)
with store.legible():
    about = store.plan(run_id).dataset
pictures = store.pictures(about["fingerprint"])
if pictures is None:
    st.error("The test examples of this run's data set are no longer in the workspace. Run it again to get them back.")
    st.stop()
with students_column, store.legible():
    models = soft.models(run_id)

picture_column, answer_column = st.columns([1, 2.2], gap="medium")
with picture_column:
    image = gallery.pick(pictures, models, about["hidden"])
with answer_column:
    soft.answers(models, pictures, image)
