"""The form's controls, drawn without the page around them: what they write into the draft."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from kdcore.recipe import RecipeError, parse
from tests import patience
from tests.pages.conftest import key_of


def everything(read_as=None):
    """A page with every part of the Recipe unfolded."""
    from kdcore.recipe import Recipe, RecipeError, parse
    from pages.new import vary
    from pages.new.form import Form
    from pages.shared import draft

    problems = []
    try:
        parse(draft.get())
    except RecipeError as error:
        problems = error.problems
    form = Form(problems, {"data.hide_classes": ("0", "1", "2")}, read_as)
    form.part(Recipe, "", [name for name in Recipe.model_fields if name not in ("schema_", "sweep")])
    vary.listed()
    form.say("sweep")


@pytest.fixture
def form(empty):
    app = AppTest.from_function(everything, default_timeout=patience.SECONDS).run()
    assert not app.exception
    return app


def recipe(app):
    return parse(app.session_state["draft"])


def test_another_architecture_brings_its_own_options(form):
    form.get_by_key("new.1.student.model.architecture").set_value("mlp").run()
    assert recipe(form).student.model.architecture == "mlp"
    form.text_input(key=key_of(form, "student.model.widths")).set_value("32, 16").run()
    assert recipe(form).student.model.widths == (32, 16)


def test_only_what_reads_the_data_set_is_offered(empty):
    app = AppTest.from_function(everything, default_timeout=patience.SECONDS, kwargs={"read_as": "text"}).run()
    assert not app.exception

    def offered(path):
        return {option.partition(" · ")[0] for option in app.get_by_key(f"new.1.{path}").options}

    assert offered("student.model.architecture") == {"bert", "cnn", "text encoder"}  # the one that is chosen stays
    assert offered("teacher.source.teacher") == {"earlier", "onnx text", "soft labels", "trained"}
    assert offered("compress.add").isdisjoint({"prune structured", "tie"})
    assert offered("compress.add") >= {"prune vocabulary", "int8"}
    app.get_by_key("new.1.distill.family").set_value("combinations").run()
    assert recipe(app).distill.method == "combine"
    app.get_by_key("new.1.distill.family").set_value("features").run()
    assert recipe(app).distill.method == "minilm"


def test_steps_or_epochs(form):
    form.get_by_key("new.1.train.budget").set_value("epochs").run()
    form.number_input(key="new.1.train.epochs").set_value(4).run()
    assert (recipe(form).train.epochs, recipe(form).train.steps) == (4, None)
    form.get_by_key("new.1.train.budget").set_value("steps").run()
    assert recipe(form).train.epochs is None
    assert recipe(form).train.steps


def test_steps_are_added_and_taken_out(form):
    form.button(key="new.1.compress.1.out").click().run()
    assert [step.step for step in recipe(form).compress] == ["prune_structured"]
    form.get_by_key("new.2.compress.add").set_value("int8").run()
    assert [step.step for step in recipe(form).compress] == ["prune_structured", "int8"]


def test_an_option_of_a_step_inside_a_part(form):
    form.number_input(key="new.1.compress.0.finetune.steps").set_value(7).run()
    assert recipe(form).compress[0].finetune.steps == 7


def test_a_share_by_layer_is_written_in_one_line(form):
    box = form.get_by_key("new.1.compress.0.policy")
    box.set_value("stem.conv: 0.25, stage1.conv: 0.5").run()
    assert recipe(form).compress[0].policy == {"stem.conv": 0.25, "stage1.conv": 0.5}
    assert form.get_by_key("new.1.compress.0.policy").value == "stem.conv: 0.25, stage1.conv: 0.5"
    box.set_value("stem.conv: much").run()
    assert any("valid number" in error.value for error in form.error)


def test_an_empty_number_means_all(form):
    form.number_input(key="new.1.data.labels").set_value(None).run()
    assert recipe(form).data.labels is None


def test_toggles_and_choices(form):
    form.toggle(key="new.1.data.transfer").set_value(True).run()
    form.get_by_key("new.1.train.optimizer").set_value("sgd").run()
    assert recipe(form).data.transfer
    assert recipe(form).train.optimizer == "sgd"


def test_seeds_are_a_list(form):
    form.text_input(key="new.1.seeds").set_value("4, 5").run()
    assert recipe(form).seeds == (4, 5)


@pytest.mark.parametrize("seeds", ["4, x", "4, -1", ""])
def test_what_is_wrong_is_said_at_the_field_and_stays_to_be_mended(form, seeds):
    form.text_input(key="new.1.seeds").set_value(seeds).run()
    assert len(form.error) == 1
    assert form.text_input(key="new.1.seeds").value == seeds
    form.text_input(key="new.1.seeds").set_value("4").run()
    assert not form.error


def vary(form, path, values):
    """Presses Vary beside a field and gives these values."""
    form.button(key=key_of(form, f"{path}.vary")).click().run()
    form.get_by_key(key_of(form, f"sweep.{path}")).set_value(values).run()


def test_a_number_is_varied_beside_its_field_and_not_any_more(form):
    vary(form, "distill.temperature", "1, 4, 16")
    assert recipe(form).sweep == {"distill.temperature": (1, 4, 16)}
    form.button(key=key_of(form, "distill.temperature.vary")).click().run()
    assert recipe(form).sweep == {}
    assert form.number_input(key=key_of(form, "distill.temperature")).value == 4


def test_method_student_and_teacher_are_varied(form):
    vary(form, "distill.method", ["kd", "hard_labels"])
    vary(form, "student.model.architecture", ["cnn", "mlp"])
    vary(form, "teacher.model.width", "32, 64")
    assert recipe(form).sweep == {
        "distill.method": ("kd", "hard_labels"),
        "student.model.architecture": ("cnn", "mlp"),
        "teacher.model.width": (32, 64),
    }


def test_what_is_varied_goes_with_what_it_belongs_to(form):
    vary(form, "compress.0.finetune.steps", "10, 20")
    form.button(key=key_of(form, "compress.0.out")).click().run()
    assert recipe(form).sweep == {}


MANY = ", ".join(map(str, range(1, 40)))


@pytest.mark.parametrize(("values", "said"), [("", "one value"), ("1, hot", "hot"), (MANY, "combinations")])
def test_wrong_values_of_a_sweep_are_said(form, values, said):
    vary(form, "distill.temperature", values)
    assert any(said in error.value for error in form.error)


@pytest.mark.parametrize(("path", "wrong"), [("data.labels", 0), ("seeds", "-1"), ("measure.margin", 21.0),
    ("train.batch_size", 2.5), ("train.batch_size", None), ("compress.0.ratio", 1.5), ("train.steps", -3)])  # fmt: skip
def test_a_value_that_is_not_accepted_is_kept_as_it_was_typed_and_said_at_its_field(form, path, wrong):
    key = key_of(form, path)
    form.get_by_key(key).set_value(wrong).run()
    assert form.get_by_key(key).value == wrong
    assert len(form.error) == 1
    with pytest.raises(RecipeError):
        recipe(form)


def test_help_and_bounds_come_from_the_field(form):
    margin = form.number_input(key="new.1.measure.margin")
    assert margin.help == "Differences within this many points count as equivalent. More than 0, at most 20."
