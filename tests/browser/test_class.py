"""A class in two browsers: signed in over a reload, and one follows what the other opens."""

from __future__ import annotations

import pytest

from kdcore.workspace import people
from kdcore.workspace.workspace import Workspace
from tests.browser.conftest import dashboard

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_student_follows_the_lecturer_and_stays_signed_in(tab, tmp_path):
    workspace = Workspace(tmp_path / "workspace").ensure()
    codes = people.codes(workspace)
    with dashboard(workspace.root, "class") as address:
        lecturer = tab(address).open("class")
        signed_in(lecturer, "Prof", codes.manage)
        lecturer.page.get_by_text("Share my view").click()
        student = tab(address).open("class?follow=1")
        signed_in(student, "Ana", codes.code)
        titled(student, "Class")
        lecturer.go("Reference")
        titled(student, "Reference")
        for one in (lecturer, student):
            kept = {cookie["name"]: cookie["httpOnly"] for cookie in one.context.cookies()}
            assert kept["kdcore_person"]
            one.page.reload()
            titled(one.settled(), "Reference")
        student.go("Class")
        student.page.get_by_role("button", name="Sign out").click()
        titled(student, "Sign in")
        student.page.reload()
        titled(student.settled(), "Sign in")
        for one in (lecturer, student):
            one.check()


def signed_in(one, name, code):
    one.page.get_by_role("textbox", name="Your name").fill(name)
    one.page.get_by_role("textbox", name="Class code").fill(code)
    one.page.get_by_test_id("stFormSubmitButton").get_by_role("button").click()
    one.page.get_by_role("heading", name="Sign in", level=1).wait_for(state="detached")
    one.settled()


def titled(one, title):
    one.page.get_by_role("heading", name=title, level=1).wait_for()
