"""A published GPT-2 as the teacher, fine-tuned and as it is, through the engine."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kdcore import models
from kdcore.data.dataset import load
from kdcore.export import runtime, weights
from kdcore.files import read_json
from kdcore.jobs import api
from kdcore.recipe import parse
from kdcore.registry import validate
from kdcore.tryout.writing import tokenizer_of, written
from tests import gpt2

pytestmark = pytest.mark.slow
METHODS = [{"method": "reverse_kl"}, {"method": "gkd", "written": 4}, {"method": "hard_labels"}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return gpt2.folder(tmp_path_factory.mktemp("gpt2"))


@pytest.fixture(scope="module")
def dataset(folder):
    return load(validate("dataset", gpt2.recipe(folder)["data"]["source"]))


@pytest.fixture(scope="module")
def models_of(laboratory, folder):
    """Carries out a run with these changes: the folders of its models, the teacher's first."""

    def run(**more):
        run_id = api.submit(laboratory.workspace, parse(gpt2.recipe(folder, **more)))
        laboratory.carry_out(run_id)
        return [laboratory.workspace.model(one.keys[0]) for one in laboratory.plan(run_id).variants]

    return run


def test_fine_tuned_it_teaches_by_every_divergence_and_quality_is_in_characters(laboratory, dataset, models_of):
    found = models_of(controls=METHODS, measure={"timing_seconds": 0, "robustness": True})
    assert len(found) == 6
    characters = dataset.kind.characters(dataset.test_images, dataset.test_labels).mean()
    assert characters > 1
    for model in found:
        quality = read_json(model / "report.json")["quality"]
        assert quality["bits"] == pytest.approx(quality["nll"] / np.log(2) / characters, rel=1e-4)
        assert quality["bits_interval"][0] < quality["bits"] < quality["bits_interval"][1]
        rows = read_json(model / "robustness.json")["corruptions"]
        assert {row["corruption"] for row in rows} == set(dataset.kind.corruptions)
    tokenizer = tokenizer_of(laboratory.workspace.dataset(dataset.fingerprint))
    text = written(runtime.session(found[-1] / "model.onnx"), tokenizer, "def read", 40, temperature=1).text
    assert len(text) == 40


def test_as_it_is_the_teacher_is_the_model_of_the_folder(folder, dataset, models_of):
    asked = gpt2.MODEL | {"weights": str(folder)}
    teacher, *_ = models_of(teacher={"source": {"teacher": "language_model"}, "model": asked})
    expected = models.create(validate("architecture", asked), len(dataset.classes), dataset.shape, [], []).eval()
    ids = dataset.kind.tensor(dataset.test_images[:64])
    with torch.no_grad():
        torch.testing.assert_close(weights.load(teacher)(ids), expected(ids))
        np.testing.assert_allclose(runtime.logits(teacher / "model.onnx", ids.numpy()), expected(ids), atol=1e-3)
