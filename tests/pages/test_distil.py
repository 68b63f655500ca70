"""The section Distil: who teaches whom, which method, and several at once."""

from __future__ import annotations

import pytest

from kdcore import registry
from kdcore.recipe import parse
from pages.new import preview
from pages.shared import families
from tests.pages.conftest import key_of, opened, said
from tests.pages.test_new import close, recipe_of

PRESSED = object()


@pytest.fixture
def distil(empty):
    """The form with its section Distil open."""
    app = opened("new")
    open_again(app)
    return app


def open_again(app):
    """AppTest closes what was open whenever a control is used."""
    for part in ("section_3", "section_5", "new.1.scheme.open"):
        app.session_state[part] = True
    app.run()
    assert not app.exception


def then(app, key, value):
    """Gives a control a value, or presses it."""
    control = app.get_by_key(key_of(app, key))
    (control.click() if value is PRESSED else control.set_value(value)).run()
    open_again(app)


def test_every_method_is_offered_once():
    offered = [name for names in families.grouped("method").values() for name in names]
    assert sorted(offered) == [entry.name for entry in registry.offered("method")]
    assert next(iter(families.grouped("method")["responses"])) == "kd"


def test_a_family_brings_its_methods_and_their_own_options(distil):
    then(distil, "distill.family", "features")
    assert recipe_of(distil)["distill"]["method"] == "attention"
    then(distil, "distill.method", "rkd")
    recipe = recipe_of(distil)["distill"]
    assert recipe["method"] == "rkd"
    assert "temperature" not in recipe
    assert "Park et al. 2019" in said(distil)
    close(distil)
    assert any("rkd" in one.label for one in distil.expander)


def test_an_option_of_the_same_name_does_not_keep_the_other_methods_value(distil):
    """KD weighs the labels 0.1 in the quickstart, SimKD not at all."""
    assert distil.number_input(key=key_of(distil, "distill.hard_weight")).value == 0.1
    then(distil, "distill.family", "features")
    then(distil, "distill.method", "simkd")
    assert recipe_of(distil)["distill"]["hard_weight"] == 0
    assert distil.number_input(key=key_of(distil, "distill.hard_weight")).value == 0


def test_several_methods_are_put_together_and_taken_apart(distil):
    then(distil, "distill.family", "combinations")
    assert [one["of"]["method"] for one in recipe_of(distil)["distill"]["parts"]] == ["kd", "attention"]
    then(distil, "distill.parts.add", "rkd")
    then(distil, "distill.parts.2.weight", 2.5)
    recipe = recipe_of(distil)
    assert recipe["distill"]["parts"][2]["weight"] == 2.5
    assert parse(recipe).distill.parts[2].of.method == "rkd"
    then(distil, "distill.parts.0.out", PRESSED)
    assert [one["of"]["method"] for one in recipe_of(distil)["distill"]["parts"]] == ["attention", "rkd"]


def test_a_scheme_brings_its_networks(distil):
    then(distil, "scheme.scheme", "assistants")
    then(distil, "scheme.chain.add", "mlp")
    recipe = recipe_of(distil)
    assert [one["architecture"] for one in recipe["scheme"]["chain"]] == ["cnn", "mlp"]
    close(distil)
    assert any("assistants" in one.label for one in distil.expander)


def test_what_makes_no_sense_is_refused_at_its_field(distil):
    then(distil, "scheme.scheme", "mutual")
    then(distil, "distill.family", "features")
    beside = [error.value for error in distil.expander(key="section_3").error]
    assert any("mutual" in one for one in beside)


def test_a_problem_in_what_is_folded_away_unfolds_it(empty):
    app = opened("new")
    app.session_state["draft"]["train"]["milestones"] = ["late"]
    app.session_state["section_2"] = True
    app.run()
    assert any("late" in error.value for error in app.expander(key="section_2").error)


def test_advice_stands_at_its_field(distil):
    then(distil, "seeds", "0")
    assert any("fewer than 3 seeds" in one.value for one in distil.expander(key="section_5").warning)


@pytest.mark.parametrize(
    ("scheme", "words"),
    [
        ("offline", ""),
        (
            "mutual",
            "Also trained, not kept: cnn, width 32. The teacher of this table trains no student",
        ),
        ("assistants", "Also trained: assistant 1 (cnn, width 48)."),
        ("several_teachers", "Also trained: teacher 2 (cnn, width 64)."),
        ("born_again", "The teacher of this table trains no student; it is a reference."),
    ],
)
def test_the_panel_says_who_else_is_trained_and_what_the_teacher_is_for(scheme, words):
    told = preview.company(parse({"scheme": {"scheme": scheme}}))
    assert words in told if words else told == ""


def test_a_teacher_that_teaches_the_controls_alone_says_so():
    asked = {"scheme": {"scheme": "mutual"}, "controls": [{"method": "hard_labels"}]}
    assert "only trains the controls" in preview.company(parse(asked))
