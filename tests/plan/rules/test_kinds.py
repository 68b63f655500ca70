"""What was made for pictures is refused at its field when the data set holds texts, and the other way round."""

from __future__ import annotations

import json

import pytest

from kdcore import hub
from kdcore.plan.plan import plan
from kdcore.problems import RecipeError
from kdcore.recipe import override, parse
from tests import folders, gpt2, passages
from tests.texts import csv_source, recipe


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return csv_source(tmp_path_factory.mktemp("texts"))


def refused(document):
    with pytest.raises(RecipeError) as error:
        plan(parse(document))
    return error.value.problems


@pytest.mark.parametrize(
    ("assignment", "field"),
    [
        ('student.model={"architecture":"cnn"}', "student.model.architecture"),
        ('teacher.model={"architecture":"vit"}', "teacher.model.architecture"),
        ("train.views.mixup=1.0", "train.views.mixup"),
        ("teacher.train.views.shift=1", "teacher.train.views.shift"),
        ('distill={"method":"fitnets"}', "distill.method"),
        ('controls=[{"method":"rkd"}]', "controls.0.method"),
        ('compress=[{"step":"prune_structured"}]', "compress.0.step"),
        ('teacher.source={"teacher":"onnx_file","path":"/gone.onnx"}', "teacher.source"),
    ],
)
def test_what_reads_pictures_is_refused_at_its_field(source, assignment, field):
    found = refused(override(recipe(source), [assignment]))
    assert [one.field for one in found] == [field]


def test_a_text_encoder_reads_no_pictures():
    found = refused({"student": {"model": {"architecture": "text_encoder"}}})
    assert [one.field for one in found] == ["student.model.architecture"]


def test_one_suggestion_puts_everything_right(source):
    """Who changes the data set in the form has a draft full of pictures' networks and views."""
    document = {"data": {"source": recipe(source)["data"]["source"]}, "distill": {"method": "fitnets"}}
    found = refused(document)
    assert len(found) > 3
    assert not any(one.changes for one in found[1:])
    changed = override(document, [f"{path}={json.dumps(value)}" for path, value in found[0].changes])
    assert plan(parse(changed)).dataset["shape"][0] == "text"
    assert changed["student"]["model"]["architecture"] == "text_encoder"  # and not a BERT, which takes an hour


def test_published_weights_need_texts_that_their_tokenizer_has_split(source, tmp_path):
    weights = str(folders.folder(tmp_path))
    (problem,) = refused(recipe(source, student={"model": folders.MODEL | {"weights": weights}}))
    assert problem.field == "student.model.weights"
    assert "data.source.tokenizer" in problem.message
    (problem,) = refused(recipe(source, student={"model": folders.MODEL | {"weights": weights, "depth": 5}}))
    assert (problem.field, "4 layers" in problem.message) == ("student.model.depth", True)


def test_steps_of_another_kind_of_input_are_removed_at_once(source):
    steps = ["prune_structured", "tie", "int8_dynamic"]
    found = refused(recipe(source, compress=[{"step": name} for name in steps]))
    assert [problem.field for problem in found] == ["data.source", "compress.0.step", "compress.1.step"]
    assert [[step["step"] for step in value] for _, value in found[0].changes] == [["int8_dynamic"]] * 2


@pytest.mark.parametrize(
    ("assignment", "field"),
    [
        ("train.batch_size=16", "train.batch_size"),
        ('student.model={"architecture":"text_encoder"}', "student.model.architecture"),
        ('distill={"method":"fitnets"}', "distill.method"),
        ('distill={"method":"distilbert"}', "distill.method"),
        ('compress=[{"step":"prune_structured"}]', "compress.0.step"),
        ('compress=[{"step":"prune_vocabulary"}]', "compress.0.step"),
        ('data.hide_classes=["a"]', "data.hide_classes"),
    ],
)
def test_what_no_language_model_can_do_is_refused_at_its_field(assignment, field):
    assert [one.field for one in refused(override(passages.recipe(controls=[]), [assignment]))] == [field]


def test_the_method_that_lets_a_student_write_is_refused_for_texts(source):
    assert [one.field for one in refused(override(recipe(source), ['distill={"method":"gkd"}']))] == ["distill.method"]


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The folder of a GPT-2, and a Recipe on text by its tokens."""
    folder = gpt2.folder(tmp_path_factory.mktemp("gpt2"))
    return folder, gpt2.recipe(folder)


@pytest.mark.parametrize(
    ("assignment", "field", "remedy"),
    [
        ('data.source.tokenizer=""', "teacher.model.weights", "set data.source.tokenizer to"),
        ("data.source.window=128", "teacher.model.weights", "set data.source.window to no more"),
        ("teacher.model.dim=64", "teacher.model.weights", "set dim to it"),
        ("teacher.model.depth=3", "teacher.model.depth", "has 2 layers"),
        ("teacher.model.weights=/nowhere", "teacher.model.weights", "is no folder with"),
        ("data.source.tokenizer=/nowhere", "data.source.tokenizer", "is no folder with"),
    ],
)
@pytest.mark.parametrize("source", ["trained", "language_model"])
def test_a_language_model_that_does_not_fit_the_text_is_refused_with_the_remedy(
    published, source, assignment, field, remedy
):
    document = override(published[1], [f'teacher.source={{"teacher":"{source}"}}', assignment])
    (problem,) = refused(document)
    assert (problem.field, remedy in problem.message) == (field, True)


@pytest.mark.parametrize(
    ("assignment", "field"),
    [
        ('teacher.model={"architecture":"text_decoder"}', "teacher.model.architecture"),
        ('teacher.model={"architecture":"gpt2"}', "teacher.model.weights"),
    ],
)
def test_a_language_model_as_it_is_needs_a_folder(published, assignment, field):
    document = override(published[1], ['teacher.source={"teacher":"language_model"}', assignment])
    assert [one.field for one in refused(document)] == [field]


def test_a_language_model_reads_no_pictures(published):
    model = {"model": gpt2.MODEL | {"weights": str(published[0])}}
    assert [one.field for one in refused({"teacher": model})] == ["teacher.model.architecture"]
    as_it_is = {"source": {"teacher": "language_model"}} | model
    assert "teacher.source" in [one.field for one in refused({"teacher": as_it_is})]


def test_a_language_model_is_planned_with_the_file_that_is_there(published):
    folder, document = published
    found = plan(parse(document))
    assert found.dataset["shape"][0] == "tokens"
    assert found.stages[0].spec["model"]["sha256"] == hub.digest(folder)
    given = plan(parse(override(document, ['teacher.source={"teacher":"language_model"}'])))
    assert given.stages[0].spec["content"] == hub.digest(folder)
