"""ONNX classifiers of texts as teachers: files of their owners' making, taken as they are or refused with a remedy."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from kdcore.data.fetch import fetch
from kdcore.distill.teachers.onnx_text import OnnxTextTeacher
from kdcore.export import runtime
from kdcore.problems import RecipeError
from kdcore.registry import entry, validate
from tests import folders
from tests.films import NAMES, WEIGHTS, WORDS, classifier, source

pytest.importorskip("tokenizers", reason="splits texts with tokenizers: pip install 'kdcore[text]'")


@pytest.fixture
def owner(tmp_path, monkeypatch):
    """A folder with the tokenizer of a tiny BERT."""
    monkeypatch.setenv("KDCORE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KDCORE_DATA", str(tmp_path / "data"))
    return folders.folder(tmp_path / "owner")


@pytest.fixture
def films(owner, tmp_path):
    return fetch(validate("dataset", source(tmp_path, owner)))


def teacher(path: Path, **options):
    return OnnxTextTeacher(validate("teacher", {"teacher": "onnx_text", "path": str(path), **options}))


def given(path: Path, dataset, **options):
    architecture = validate("architecture", {"architecture": "text_encoder"})
    return teacher(path, **options).given(architecture, dataset, lambda model, variant: None)


def refused(path: Path, dataset, **options):
    with pytest.raises(RecipeError) as caught:
        given(path, dataset, **options)
    [problem] = caught.value.problems
    return problem


@pytest.mark.parametrize("takes", [NAMES[:2], NAMES, ("ids", "attention_mask")])
@pytest.mark.parametrize("kind", [TensorProto.INT64, TensorProto.INT32])
def test_a_classifier_says_of_our_texts_what_it_says_of_its_owners(owner, films, tmp_path, takes, kind):
    path = classifier(owner / "model.onnx", takes=takes, kind=kind)
    found = given(path, films)
    assert (found.gives, found.params) == ("answers", WEIGHTS.size)
    assert found.spec == {"outputs": "logits"}
    onnx_file = teacher(path).bring(path, None, films, tmp_path).onnx
    ids = films.kind.feed(films.test_images)
    np.testing.assert_allclose(runtime.logits(onnx_file, ids), WEIGHTS[ids].sum(axis=1))
    assert (runtime.logits(onnx_file, ids).argmax(axis=1) == films.test_labels).all()


def test_its_classes_come_in_the_order_that_its_folder_names(owner, films, tmp_path):
    path = classifier(owner / "model.onnx", weights=WEIGHTS[:, ::-1].copy())
    problem = refused(path, films)
    assert problem.field == "teacher.source.class_order"
    assert problem.changes == (("teacher.source.class_order", ["positive", "negative"]),)
    (owner / "config.json").write_text(json.dumps({"id2label": {"0": "POSITIVE", "1": "NEGATIVE"}}))
    found = given(path, films)
    assert found.spec["class_order"] == ["positive", "negative"]
    onnx_file = teacher(path, class_order=found.spec["class_order"]).bring(path, None, films, tmp_path).onnx
    ids = films.kind.feed(films.test_images)
    np.testing.assert_allclose(runtime.logits(onnx_file, ids), WEIGHTS[ids].sum(axis=1))


def test_probabilities_become_logits(owner, films, tmp_path):
    path = classifier(owner / "model.onnx", end=("Softmax",))
    assert refused(path, films).changes == (("teacher.source.outputs", "probabilities"),)
    assert given(path, films, outputs="probabilities").spec == {"outputs": "probabilities"}
    onnx_file = teacher(path, outputs="probabilities").bring(path, None, films, tmp_path).onnx
    logits = runtime.logits(onnx_file, films.kind.feed(films.test_images))
    sums = WEIGHTS[films.kind.feed(films.test_images)].sum(axis=1)
    np.testing.assert_allclose(np.diff(logits), np.diff(sums), atol=1e-4)


def test_a_teacher_that_guesses_is_questioned_and_may_teach_anyway(owner, films):
    path = classifier(
        owner / "model.onnx", weights=np.random.default_rng(1).normal(size=(1, 2)).repeat(24, 0).astype("f")
    )
    problem = refused(path, films)
    assert problem.field == "teacher.source.class_order"
    assert "anyway" in problem.message
    assert given(path, films, anyway=True).gives == "answers"


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"sides": ("b", 12)}, "length.*fixed to 12"),
        ({"sides": (1, "n")}, "batch size.*fixed to 1"),
        ({"kind": TensorProto.FLOAT}, "float"),
        ({"takes": ("attention_mask", "token_type_ids")}, "input_ids is needed"),
        ({"takes": (*NAMES, "position_ids")}, "position_ids"),
        ({"takes": NAMES[:1], "weights": WEIGHTS + 1}, "padding.*attention_mask"),
        ({"weights": np.ones((len(WORDS), 3), "f")}, r"output is \(1, 3\)"),
        ({"weights": WEIGHTS[:10]}, "does not run"),
        ({"end": ("ArgMax",)}, "."),
    ],
)  # fmt: skip
def test_what_cannot_teach_is_refused_with_the_reason(owner, films, made, words):
    problem = refused(classifier(owner / "model.onnx", **made), films)
    assert problem.field == "teacher.source.path"
    assert problem.message.startswith("model.onnx cannot be used: ")
    assert re.search(words, problem.message), problem.message


def test_it_needs_the_tokenizer_that_the_texts_are_split_with(owner, films, tmp_path):
    alone = tmp_path / "elsewhere"
    alone.mkdir()
    path = classifier(alone / "model.onnx")
    assert refused(path, films).field == "teacher.source.tokenizer"
    assert given(path, films, tokenizer=str(owner)).gives == "answers"
    other = folders.folder(tmp_path / "other", words=folders.tokenizer([*WORDS[:-1], "yes"]))
    problem = refused(path, films, tokenizer=str(other))
    assert problem.changes == (("data.source.tokenizer", str(other)),)
    assert refused(path, films, tokenizer=str(tmp_path / "none")).field == "teacher.source.tokenizer"


def test_it_is_offered_for_texts_alone():
    assert entry("teacher", "onnx_text").traits.reads == ("text",)


@pytest.mark.slow
def test_a_bert_that_its_owner_exported_answers_as_at_home(owner, films, tmp_path):
    transformers = pytest.importorskip("transformers", reason="the owner's library: pip install 'kdcore[text]'")
    import torch

    torch.manual_seed(0)
    config = transformers.BertConfig(**{name: value for name, value in folders.SIZES.items() if name != "model_type"})
    network = transformers.BertForSequenceClassification(config).eval()
    example = {name: torch.ones(2, 5, dtype=torch.long) for name in NAMES}
    axes = {name: {0: "batch", 1: "sequence"} for name in NAMES} | {"logits": {0: "batch"}}
    path = owner / "model.onnx"
    torch.onnx.export(
        network, tuple(example.values()), str(path), input_names=list(NAMES), output_names=["logits"],
        dynamic_axes=axes, dynamo=False,
    )  # fmt: skip
    assert given(path, films, anyway=True).gives == "answers"
    onnx_file = teacher(path, anyway=True).bring(path, None, films, tmp_path).onnx
    ids = films.kind.feed(films.test_images)
    with torch.no_grad():
        expected = network(torch.from_numpy(ids), attention_mask=torch.from_numpy((ids != 0).astype(np.int64))).logits
    np.testing.assert_allclose(runtime.logits(onnx_file, ids), expected, atol=1e-4)
