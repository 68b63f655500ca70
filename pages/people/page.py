"""Class: who you are here, and what you have used; for lecturers everybody, the limits and the answers to a lesson."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import streamlit as st

from kdcore.files import Damaged
from kdcore.jobs import limits
from kdcore.lessons import lessons
from kdcore.lessons.gathered import gather, table
from kdcore.report import format
from kdcore.report.documents import write
from kdcore.workspace import access, people, settings
from kdcore.workspace.access import Person, Role
from pages.people import follow, sign_in
from pages.shared import links, store, text
from pages.shared.people import provider, reported, sign_out, signed_in

ROLES: dict[Role, str] = {
    "look": "look: sees everything, starts nothing",
    "launch": "launch: starts runs, changes one's own",
    "manage": "manage: changes everything",
}
here = store.workspace()


def visitor() -> None:
    """Nobody has signed in: a demonstration."""
    st.markdown(
        "This is a read-only demonstration: look at every run, table and figure. Nothing can be started or changed; "
        "install kdcore on a machine of your own for that."
    )
    with st.expander("Sign in to manage", icon=":material/lock:"):
        sign_in.form()


def oneself(person: Person) -> None:
    st.subheader(text.plain(person.name), icon=":material/person:", anchor=False)
    if st.session_state.get(sign_in.NAMESAKE):
        st.info(
            "Somebody else already has your name, so yours has a number. If that was you in another browser: sign out, "
            "and sign in with your own code from there."
        )
    now, most = limits.used(here, person.id), limits.limits(here)
    free = person.role == "manage"
    st.table(
        {
            "Role": ROLES[person.role],
            "Runs in the queue": _of(str(now.queued), None if free else most.queued, "{:g}".format),
            "Work in the last 24 hours": _of(
                format.duration(now.seconds), None if free else most.hours, lambda hours: format.duration(hours * 3600)
            ),
            "Disk": _of(
                format.size(now.bytes), None if free else most.gigabytes, lambda gb: format.size(round(gb * 1e9))
            ),
        },
        border="horizontal",
    )
    if code := people.back(here, person.id):
        st.markdown(f"Your own code: `{code}`. With it and your name you can sign in from another browser.")
    with st.container(horizontal=True, vertical_alignment="center"):
        if not access.to_manage():
            st.toggle("Share my view", key=follow.SHARING, persist_state="session")
        else:
            st.toggle("Follow the lecturer's view", key=follow.FOLLOW, persist_state="session")
        st.button("Sign out", key="sign_out", icon=":material/logout:", on_click=_leave)
    if not access.to_manage():
        st.caption(
            "The page and the choices in its URL are shared; sliders and open lists are not. The link to follow:"
        )
        st.code(f"{(st.context.url or '').split('?')[0].rsplit('/', 1)[0]}/?{follow.FOLLOW}=1", language=None)


def _of(now: str, most: float | None, words: Callable[[float], str]) -> str:
    return f"{now} of {words(most)}" if most is not None else now


def _leave() -> None:
    sign_out()
    if provider():
        st.logout()


def answers() -> None:
    """The answers of the class to one lesson, and the table as a file."""
    known = {lesson.name: f"{lesson.order}. {lesson.title}" for lesson in lessons()}
    chosen = links.one("Lesson", list(known), "lesson", default=next(iter(known)), format_func=known.__getitem__)
    lesson = next(one for one in lessons() if one.name == chosen)
    found = gather(here, lesson)
    if not found:
        st.caption("No answers yet. Here you will see who predicted what, and what their runs measured.")
        return
    judged = [one.right for one in found if one.right is not None]
    st.markdown(
        f"{len(found)} started, {sum(one.predicted is not None for one in found)} predicted"
        + (f"; {sum(judged)} of {len(judged)} predictions agree with the measurement." if judged else ".")
    )
    made = table(found)
    st.dataframe(
        made, hide_index=True, placeholder="", alt="Answers of the class",
        column_config={name: st.column_config.TextColumn(name.capitalize()) for name in made},
    )  # fmt: skip
    st.download_button(
        "Download as CSV", lambda: write(table(gather(here, lesson)), "csv"), mime="text/csv", on_click="ignore",
        file_name=f"class-{lesson.name}.csv", key="class_csv", icon=":material/download:",
    )  # fmt: skip


def everybody() -> None:
    """Who there is, the class code, and a person's role."""
    known = people.everybody(here)
    if not provider():
        with st.popover("Class code", icon=":material/key:"):
            try:
                st.markdown(f"## `{people.codes(here).code}`")
            except Damaged as error:
                st.error(text.plain(str(error)))
    usual = limits.limits(here).role
    st.dataframe(
        {
            "Name": [one.name for one in known.values()],
            "Role": [one.role or usual for one in known.values()],
            "Since": [text.ago(one.created) for one in known.values()],
        },
        placeholder="", alt="Everybody in the class", height=min(38 + 35 * len(known), 320),
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="bottom"):
        person = st.selectbox("Person", list(known), key="role_person", format_func=lambda one: known[one].name)
        if person:
            st.selectbox(
                "Role", [None, *get_args(Role)], [None, *get_args(Role)].index(known[person].role),
                key=f"role_{person}", format_func=lambda role: ROLES[role] if role else "class default",
                on_change=_set_role, args=(person,),
            )  # fmt: skip


@reported
def _set_role(person: str) -> None:
    access.require(access.to_manage())
    people.set_role(here, person, st.session_state[f"role_{person}"])


def rules() -> None:
    """What each person may do and use."""
    known = limits.limits(here)
    with st.form("rules", border=False):
        role = st.selectbox(
            "Role at sign-in", list(ROLES)[:2], list(ROLES).index(known.role) % 2, key="rule_role",
            format_func=ROLES.__getitem__,
        )  # fmt: skip
        with st.container(horizontal=True):
            empty: dict[str, Any] = {"placeholder": "no limit", "width": 200}
            queued = st.number_input("Runs in the queue", 1, 1000, known.queued, key="rule_queued", **empty)
            hours = st.number_input("Hours a day", 0.1, 1000.0, known.hours, 0.5, key="rule_hours", **empty)
            size = st.number_input("Disk (GB)", 0.1, 1e5, known.gigabytes, 0.5, key="rule_disk", **empty)
        if st.form_submit_button("Save"):
            chosen = {"role": role, "queued": queued, "hours": hours, "gigabytes": size, "managers": known.managers}
            settings.write(here, people=chosen)
            st.toast("Saved. The limits apply from the next run.", icon=":material/check_circle:")


st.title("Class", anchor=False)
person = signed_in()
if person is None:
    visitor()
    st.stop()
left, right = st.columns(2, gap="medium")
with left, st.container(border=True, height="stretch"):
    oneself(person)
if access.to_manage():
    with right, st.container(border=True, height="stretch"):
        st.subheader("Runs", anchor=False)
        st.markdown(
            "You see everybody's runs and may duplicate them; you change, cancel and delete your own. The queue "
            "takes turns: one run per person, then each person's next."
        )
    st.stop()
with right, st.container(border=True, height="stretch"):
    st.subheader("Everybody", anchor=False)
    everybody()
with st.container(border=True):
    st.subheader("Answers to a lesson", anchor=False)
    answers()
with st.container(border=True):
    st.subheader("What each person may do and use", anchor=False)
    rules()
