"""Choices in the URL: the menu keeps them, and the form's draft is found again."""

from __future__ import annotations

from tests.pages.conftest import asked, opened, runs


def by_menu(app, page):
    """Another page, as a link of the menu opens it: it names no choices."""
    app.query_params.clear()
    app.switch_page(f"{page}/page.py").run()
    assert not app.exception, app.exception[0].message
    return app


def test_the_menu_keeps_run_variants_image_and_temperature(full):
    older = runs(full)[-1].id
    app = opened("soft_targets", run=older, variants=["teacher", "int8"], image="7", T="16")
    by_menu(app, "trust")
    assert app.selectbox(key="run").value == older
    assert app.multiselect(key="variants").value == ["teacher", "int8"]
    by_menu(app, "compare")
    assert app.multiselect(key="runs").value == [older]
    by_menu(by_menu(app, "system"), "soft_targets")
    assert app.select_slider(key="T").value == 16
    assert app.get_by_key(f"soft_students_{older}").value == ["int8"]
    assert asked(app, "image") == ["7"]


def test_another_run_takes_the_place_of_those_that_were_compared(full):
    newest, older = (row.id for row in runs(full))
    app = by_menu(opened("compare", runs=[older]), "layers")
    assert app.selectbox(key="run").value == older
    app.selectbox(key="run").set_value(newest).run()
    assert by_menu(app, "compare").multiselect(key="runs").value == [newest]


def test_a_way_back_to_a_page_without_choices_restores_it(full):
    newest, older = (row.id for row in runs(full))
    app = opened("trust")
    app.selectbox(key="run").set_value(older).run()
    app.query_params.clear()
    assert app.run().selectbox(key="run").value == newest


def test_a_reload_restores_the_draft_and_says_so(empty):
    app = opened("new")
    app.number_input(key="new.1.data.labels").set_value(0).run()
    (name,) = asked(app, "draft")
    again = opened("new", draft=name)
    assert again.number_input(key="new.1.data.labels").value == 0
    assert again.error
    again.button(key="afresh").click().run()
    assert not again.error


def test_a_draft_that_is_not_there_is_the_first_preset(empty):
    app = opened("new", draft="0" * 16)
    assert not app.error
    assert not [button for button in app.button if button.key == "afresh"]
