"""Several people in front of one dashboard: who is let in, and what each may press."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import Request
from streamlit.testing.v1 import AppTest

from kdcore.files import read_json, write_json
from kdcore.paths import CHECKOUT
from kdcore.workspace import people
from kdcore.workspace.access import Person
from pages.people import cookie, sign_in
from pages.shared.people import PERSON, TOKEN
from tests import patience
from tests.pages.conftest import opened, runs, said

BEN = Person("0" * 11 + "2", "Ben", "launch")


@pytest.fixture
def waits(monkeypatch):
    """A server of a class; the seconds that wrong codes had to wait."""
    waited: list[float] = []
    monkeypatch.setenv("KDCORE_SERVES", "class")
    monkeypatch.setattr(sign_in, "sleep", waited.append)
    return waited


def at(page, person=None):
    """The page as this person sees it, or as nobody."""
    app = AppTest.from_file(str(CHECKOUT / "pages" / "navigation.py"), default_timeout=patience.SECONDS)
    if person:
        app.session_state[PERSON] = person.id
    app.run().switch_page(f"{page}/page.py").run()
    assert not app.exception, app.exception[0].message
    return app


def told(app, code, name, back=""):
    for key, value in (("name", name), ("code", code), ("back", back)):
        app.text_input(key=f"sign_in_{key}").set_value(value)
    app.button[0].click().run()
    return app


def owned(workspace, run_id, owner):
    path = workspace.run(run_id) / "meta.json"
    write_json(path, read_json(path) | {"owner": owner})


def test_every_page_of_a_class_is_behind_the_door(full, waits):
    codes = people.codes(full)
    app = at("runs")
    assert [title.value for title in app.title] == ["Sign in"]
    for failed, code in enumerate(("", "wrong", "x" * 100)):
        told(app, code, "Ana")
        assert "The class code is wrong" in said(app)
        assert waits == [2.0**at for at in range(failed + 1)]
    told(app, codes.code, "<b>*Ana*</b> \x1b")
    assert [title.value for title in app.title] == ["Runs"]  # the page that was asked for
    assert TOKEN in app.session_state
    app.switch_page("people/page.py").run()
    assert not app.exception
    assert "<b>*Ana*</b>" in app.subheader[0].value.replace("\\", "")
    app.button(key="sign_out").click().run()
    assert [title.value for title in app.title] == ["Sign in"]
    assert not next(iter(people.everybody(full).values())).browsers  # the cookie is worth nothing any more


def test_without_a_class_nobody_signs_in(full):
    app = opened("runs")
    assert not app.button(key="save_name").disabled
    assert [title.value for title in app.title] == ["Runs"]


@pytest.mark.parametrize("mine", [True, False])
def test_only_ones_own_run_can_be_changed(full, waits, mine):
    ana = people.admit(full, people.codes(full).code, "Ana").person
    run = runs(full)[0]
    owned(full, run.id, ana.id if mine else BEN.id)
    app = at("runs", ana)
    delete = app.button(key=f"delete_{run.id}")
    delete.click().run()  # a browser may send what its page has disabled
    assert not app.exception
    assert (run.id in full.run_ids()) is not mine
    if not mine:
        assert "somebody else's" in app.toast[0].value
        app.button(key="duplicate").click().run()
        assert app.title[0].value == "New experiment"


def test_who_only_looks_starts_nothing(full, monkeypatch):
    monkeypatch.setenv("KDCORE_SERVES", "demo")
    app = at("home")
    start = app.button(key="start_quickstart")
    assert start.disabled
    assert "You may look" in start.help
    before = full.run_ids()
    start.proto.disabled = False  # as a browser may send what its page has disabled
    start.click().run()
    assert not app.exception
    assert full.run_ids() == before
    app.switch_page("people/page.py").run()
    assert "read-only demonstration" in said(app)


def test_the_form_reads_no_files_of_the_server(full, waits):
    ana = people.admit(full, people.codes(full).code, "Ana").person
    app = at("new", ana)
    app.session_state["draft"]["teacher"]["source"] = {"source": "onnx_file", "path": "/etc/passwd"}
    app.run()
    assert "outside the folders that a class may read" in said(app)
    assert [button.key for button in app.button] == ["afresh"]


def test_lecturers_give_roles_and_set_limits(full, waits):
    codes = people.codes(full)
    ana = people.admit(full, codes.code, "Ana").person
    prof = people.admit(full, codes.manage, "Prof").person
    app = at("people", prof)
    app.selectbox(key=f"role_{ana.id}").set_value("look").run()
    assert people.find(full, ana.id).role == "look"
    app.number_input(key="rule_queued").set_value(7)
    next(button for button in app.button if button.label == "Save").click().run()
    assert not app.exception
    assert read_json(full.root / "settings.json")["people"]["queued"] == 7
    assert "Everybody" not in [one.value for one in at("people", ana).subheader]


def test_a_browser_is_handed_a_cookie_that_no_script_reads(empty):
    token = people.admit(empty, people.codes(empty).code, "Ana").token

    def answered(*headers):
        scope = {
            "type": "http",
            "method": "POST",
            "scheme": "http",
            "path": "/",
            "server": ("a", 80),
            "headers": headers,
        }
        return asyncio.run(cookie.answer(Request(scope)))

    name = cookie.HEADER.encode()
    kept = answered((name, token.encode())).headers["set-cookie"]
    assert token in kept
    assert "HttpOnly" in kept
    assert "Secure" not in kept
    assert "Secure" in answered((name, token.encode()), (b"x-forwarded-proto", b"https")).headers["set-cookie"]
    assert "Max-Age=0" in answered((name, b"0.x")).headers["set-cookie"]
    assert answered().status_code == 400  # another page cannot send the header


def test_those_who_follow_see_the_page_that_the_lecturer_opens(full, waits):
    codes = people.codes(full)
    prof = people.admit(full, codes.manage, "Prof").person
    ana = people.admit(full, codes.code, "Ana").person
    lead = at("people", prof)
    lead.toggle(key="sharing_view").set_value(True).run()
    lead.query_params["lesson"] = "x"
    lead.switch_page("reference/page.py").run()
    app = at("home", ana)
    app.query_params["follow"] = "1"
    app.run()
    assert app.title[0].value == lead.title[0].value
    app.session_state["follow"] = False
    app.switch_page("home/page.py").run()
    assert app.title[0].value != lead.title[0].value
