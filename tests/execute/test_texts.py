"""Texts through the engine: methods that match responses, compression, and what a stage leaves."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from kdcore import registry
from kdcore.data.dataset import load
from kdcore.data.fetch import fetch
from kdcore.export import runtime, weights
from kdcore.files import read_json
from kdcore.jobs import api
from kdcore.recipe import parse
from kdcore.registry import validate
from kdcore.report import columns, comparison
from tests import folders
from tests.texts import ENCODER, csv_source, recipe

STEPS = [
    entry.name
    for entry in registry.entries("step")
    if "text" in entry.traits.reads and not entry.traits.refuses(validate("architecture", ENCODER), ())
]
QUICK = ("int8_dynamic", "prune_unstructured")  # the others are tried by `make test-slow`
METHODS = ["kd", "dkd", "dist", "wttm", "label_smoothing", "hard_labels", "faulty_kd"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return csv_source(tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="module")
def carried_out(laboratory, source):
    """A run of one seed with these changes; teacher and student alone are trained once for all."""

    def run(**more):
        usual = {"seeds": [0], "controls": [], "compress": [], "measure": {"timing_seconds": 0}}
        run_id = api.submit(laboratory.workspace, parse(recipe(source, **usual | more)))
        laboratory.carry_out(run_id)
        return laboratory.plan(run_id)

    return run


@pytest.mark.parametrize("method", ["kd", *(pytest.param(name, marks=pytest.mark.slow) for name in METHODS[1:])])
def test_every_method_that_matches_responses_works_on_texts(laboratory, carried_out, method):
    plan = carried_out(distill={"method": method})
    report = read_json(laboratory.workspace.model(plan.variants[-1].keys[0]) / "report.json")
    assert report["quality"]["accuracy"] > 0.4
    assert report["export"]["max_abs_difference"] < 1e-4


def short(name):
    """A step that learns for some steps alone, so that the test is quick."""
    known = registry.entry("step", name).options.model_fields
    quick = {"finetune": {"steps": 5, "learning_rate": 0.001}, "iterations": 5, "least": 100, "examples": 16}
    return {"step": name} | {option: value for option, value in quick.items() if option in known}


@pytest.mark.parametrize(
    "step", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in STEPS]
)
def test_a_compressed_file_takes_texts_of_any_length_and_its_network_comes_back(laboratory, carried_out, source, step):
    plan = carried_out(compress=[short(step)])
    folder = laboratory.workspace.model(plan.variants[-1].keys[0])
    dataset = load(validate("dataset", source))
    for ids in dataset.kind.samples(dataset.test_images[:8]):
        logits = runtime.logits(folder / "model.onnx", ids)
        assert logits.shape == (8, 3)
        assert np.isfinite(logits).all()
        with torch.no_grad():
            assert weights.load(folder)(torch.from_numpy(ids)).shape == (8, 3)
    report = read_json(folder / "report.json")
    assert report["quality"]["accuracy"] > 0.3
    assert report["sqnr"]["logits_db"] is not None or report["sqnr"]["logits_note"]


def test_the_logits_that_are_kept_are_those_of_the_file(laboratory, carried_out, source):
    plan = carried_out(compress=[{"step": "int8_dynamic", "layers": "linear"}])
    dataset = load(validate("dataset", source))
    for variant in plan.variants:
        folder = laboratory.workspace.model(variant.keys[0])
        logits = np.load(folder / "logits.npz")["test"]
        single = [
            runtime.logits(folder / "model.onnx", dataset.kind.feed(dataset.test_images[[row]])) for row in (0, 9)
        ]
        tolerance = 0.1 if variant.role == "quantized" else 1e-4  # ranges are those of a batch
        np.testing.assert_allclose(logits[[0, 9]], np.concatenate(single), atol=tolerance)


def test_a_teacher_of_an_earlier_run_teaches_again(laboratory, carried_out):
    first = carried_out()
    again = carried_out(teacher={"source": {"teacher": "earlier", "model": first.variants[0].keys[0]}})
    assert again.variants[0].keys == first.variants[0].keys


@pytest.mark.slow
def test_the_table_shows_what_lora_trains_and_the_file_is_as_large_as_without(laboratory, carried_out, source):
    pytest.importorskip("peft", reason="adapts with peft: pip install 'kdcore[text]'")
    train = {"steps": 5, "batch_size": 16, "learning_rate": 0.01}
    carried_out(train=train | {"lora": 2}, teacher={"model": ENCODER, "train": train})
    teacher, alone, _ = comparison.rows(laboratory.workspace, [laboratory.workspace.run_ids()[-1]])
    added, head = 2 * 2 * (16 + 16), 16 * 3 + 3
    assert (teacher["trainable_params"], alone["trainable_params"]) == (None, added + head)
    assert alone["params"] == teacher["params"]
    assert abs(alone["size_bytes"] - teacher["size_bytes"]) < 100
    assert "trainable_params" in columns.usual([teacher, alone])
    assert "trainable_params" not in columns.usual([teacher])


@pytest.mark.slow
def test_a_published_bert_becomes_a_smaller_one(laboratory, tmp_path):
    pytest.importorskip("tokenizers", reason="splits texts with tokenizers: pip install 'kdcore[text]'")
    folder = str(folders.folder(tmp_path / "published"))
    lines = [
        f"the film is {word}ly {letter},{label}" for word, label in (("good", 1), ("bad", 0)) for letter in "abcde" * 8
    ]
    (tmp_path / "films.csv").write_text("\n".join(["text,label", *lines]))
    source = {"dataset": "text_csv", "path": str(tmp_path / "films.csv"), "tokenizer": folder, "longest": 12}
    fetch(validate("dataset", source))
    train = {"steps": 10, "batch_size": 16, "learning_rate": 0.003}
    document = recipe(
        source,
        data={"source": source},
        teacher={"model": folders.MODEL | {"depth": 4, "weights": folder}, "train": train},
        student={"model": folders.MODEL},
        distill={"method": "distilbert"},
        controls=[{"method": "weight_selection", "layers": "uniform"}],
        compress=[{"step": "prune_vocabulary"}, {"step": "int8_dynamic", "layers": "linear and embedding"}],
        train=train,
        measure={"timing_seconds": 0},
        seeds=[0],
    )
    run_id = api.submit(laboratory.workspace, parse(document))
    laboratory.carry_out(run_id)
    plan = laboratory.plan(run_id)
    folders_of = [laboratory.workspace.model(variant.keys[0]) for variant in plan.variants]
    sizes = [(folder / "model.onnx").stat().st_size for folder in folders_of]
    assert sizes == sorted(sizes, reverse=True)
    first = plan.stages[0].spec["model"]
    assert len(first["sha256"]) == 64
    _in_a_fresh_process(folders_of[-2], load(validate("dataset", source)), tmp_path)


def _in_a_fresh_process(folder, dataset, tmp_path):
    """The pruned network and its file give what they gave here, where nothing can be unpickled."""
    ids = dataset.kind.feed(dataset.test_images)
    np.save(tmp_path / "ids.npy", ids)
    listed = {"images": str(tmp_path / "ids.npy"), "models": {"pruned": str(folder)}}
    (tmp_path / "list.json").write_text(json.dumps(listed))
    command = [sys.executable, "-m", "tests.reload", str(tmp_path / "list.json"), str(tmp_path / "answers.npz")]
    subprocess.run(command, check=True)
    answers = np.load(tmp_path / "answers.npz")
    np.testing.assert_allclose(answers["pruned/file"], np.load(folder / "logits.npz")["test"], atol=1e-5)
    np.testing.assert_allclose(answers["pruned/weights"], answers["pruned/file"], atol=1e-4)
