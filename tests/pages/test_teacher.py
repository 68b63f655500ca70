"""The section Teacher: trained here, out of an earlier run, or out of a file."""

from __future__ import annotations

import re

import pytest

from kdcore import models
from kdcore.data.normalisations import Normalisation
from kdcore.files import read_json
from kdcore.registry import validate
from tests.owners import digits, export, trained
from tests.pages.conftest import opened, runs, said
from tests.pages.test_new import close, recipe_of


@pytest.fixture
def teacher(full):
    """The form, and what its section Teacher takes its models from."""
    app = opened("new")
    again(app)
    return app


def again(app):
    """AppTest closes what was open whenever a control is used."""
    app.session_state["section_1"] = True
    app.run()
    assert not app.exception


def chosen(app, source):
    app.get_by_key("new.1.teacher.source.teacher").set_value(source).run()
    again(app)


def start_button(app):
    return next(button for button in app.button if button.label == "Start")


def test_an_earlier_runs_model_teaches(teacher, full):
    chosen(teacher, "earlier")
    assert "choose a finished model" in said(teacher)
    picker = teacher.selectbox(key="new.1.teacher.source.earlier")
    assert any(option.startswith("int8 · ") for option in picker.options)
    quickstart = runs(full)[-1]
    offered = next(option for option in picker.options if option.startswith("teacher · ") and "Quickstart" in option)
    picker.select_index(picker.options.index(offered)).run()
    source = recipe_of(teacher)["teacher"]["source"]
    assert source == {"teacher": "earlier", "model": quickstart.id, "variant": "teacher"}
    close(teacher)
    assert any("teacher of an earlier run" in one.label for one in teacher.expander)
    start_button(teacher).click().run()
    plan = read_json(full.run(runs(full)[0].id) / "plan.json")
    assert plan["stages"][0]["kind"] == "given"


def test_a_model_of_other_images_is_not_offered(empty):
    app = opened("new")
    app.session_state["section_1"] = True
    app.run()
    chosen(app, "earlier")
    assert "No finished model fits" in said(app)


def test_an_onnx_file_is_sent_and_teaches(teacher, full):
    chosen(teacher, "onnx_file")
    key = read_json(full.run(runs(full)[-1].id) / "plan.json")["variants"][0]["keys"][0]
    content = (full.model(key) / "model.onnx").read_bytes()
    teacher.file_uploader[-1].set_value(("My teacher.onnx", content, "application/octet-stream")).run()
    again(teacher)
    source = recipe_of(teacher)["teacher"]["source"]
    assert source["path"].startswith(str(full.root / "uploads"))
    assert source["path"].endswith("My teacher.onnx")
    assert not start_button(teacher).disabled
    assert "MACs per image" in str(teacher.table[0].value)


def test_a_file_that_is_none_is_refused_at_its_field(teacher):
    chosen(teacher, "onnx_file")
    teacher.file_uploader[-1].set_value(("teacher.onnx", b"no network", "application/octet-stream")).run()
    again(teacher)
    assert any("it is not an ONNX file" in error.value for error in teacher.expander(key="section_1").error)
    assert start_button(teacher).disabled


def test_weights_need_their_architecture_and_a_file_of_answers_does_not(teacher):
    def asks_architecture():
        return any(control.key == "new.1.teacher.model.architecture" for control in teacher.selectbox)

    chosen(teacher, "weights_file")
    assert asks_architecture()
    chosen(teacher, "soft_labels")
    assert not asks_architecture()


def test_a_teachers_own_normalisation_is_asked_for_and_taken_at_a_click(teacher, tmp_path):
    chosen(teacher, "onnx_file")
    dataset = digits()
    network = models.create(validate("architecture", "mlp"), 10, (1, 8, 8), [0.0], [1.0])
    owner = trained(network, dataset, dataset.train_labels, Normalisation((0.449,), (0.226,)))
    content = export(owner, tmp_path / "theirs.onnx", (1, 8, 8)).read_bytes()
    teacher.file_uploader[-1].set_value(("theirs.onnx", content, "application/octet-stream")).run()
    again(teacher)
    suggested = re.search(r"with pixels (\S+) it has .* Use that\?", said(teacher))
    assert start_button(teacher).disabled
    next(button for button in teacher.button if button.label == "Use the suggestion").click().run()
    again(teacher)
    assert recipe_of(teacher)["teacher"]["source"]["pixels"] == suggested[1]
    assert not start_button(teacher).disabled


def test_a_model_to_make_smaller_may_be_an_onnx_file_or_a_network_by_name(teacher, full):
    teacher.segmented_control(key="new.1.start.nothing").set_value("model").run()
    again(teacher)
    picker = next(one for one in teacher.segmented_control if "teacher.source.teacher" in one.key)
    assert picker.options == ["earlier", "onnx file", "published", "weights file"]  # those that read pictures
    picker.set_value("published").run()
    again(teacher)
    architectures = next(one for one in teacher.segmented_control if "teacher.model.architecture" in one.key)
    assert set(architectures.options) >= {"torchvision", "timm"}
    assert "vgg" not in architectures.options
    assert "has no published weights" in said(teacher)
    picker = next(one for one in teacher.segmented_control if "teacher.source.teacher" in one.key)
    picker.set_value("onnx_file").run()
    again(teacher)
    key = read_json(full.run(runs(full)[-1].id) / "plan.json")["variants"][0]["keys"][0]
    content = (full.model(key) / "model.onnx").read_bytes()
    teacher.file_uploader[-1].set_value(("mine.onnx", content, "application/octet-stream")).run()
    again(teacher)
    assert "prune_structured needs the network itself; an ONNX file has only its graph" in said(teacher)
    assert start_button(teacher).disabled
    teacher.session_state["section_2"] = True
    teacher.run()
    next(button for button in teacher.button if button.label == "Remove").click().run()
    again(teacher)
    assert [step["step"] for step in recipe_of(teacher)["compress"]] == ["int8"]
    assert not start_button(teacher).disabled
    assert "Int8 uses at most 256 images" in said(teacher)
