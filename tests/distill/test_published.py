"""Networks of torchvision and timm by name: the published file with the outputs of this data set's classes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from kdcore.data.types import Dataset
from kdcore.distill.teachers.published import Published, PublishedTeacher
from kdcore.models import judging, published, published_file
from kdcore.models.first_look import Sample
from kdcore.problems import RecipeError
from kdcore.registry import validate

NAME, FILE = "shufflenet_v2_x0_5", "shufflenetv2_x0.5-f707e7126e.pth"
ROWS = [0, 217, 482]
FOLDERS = ("n01440764", "n02102040", "n02979186")
ARCHITECTURE = validate("architecture", {"architecture": "torchvision", "name": NAME})


def data(classes):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (24, 64, 64, 3), dtype=np.uint8)
    labels = np.arange(24) % len(classes)
    return Dataset("folder", images, images, labels, labels, tuple(classes), "-".join(classes), (0.5,) * 3, (0.25,) * 3)


@pytest.fixture
def original(tmp_path, monkeypatch):
    """torchvision's own network, whose weights are where its download would put them."""
    import torchvision

    monkeypatch.setenv("KDCORE_HOME", str(tmp_path))
    monkeypatch.delenv("KDCORE_DATA", raising=False)
    torch.manual_seed(0)
    network = torchvision.models.get_model(NAME).eval()
    published.folder().mkdir(parents=True)
    torch.save(network.state_dict(), published.folder() / FILE)
    return network


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """The subprocesses' work without the seconds of importing torch."""
    monkeypatch.setattr(published_file, "_ask", published_file.write)
    monkeypatch.setattr(
        judging, "judge",
        lambda path, wanted, sample, others: judging.judged(path, wanted, Sample.read(sample), others),
    )  # fmt: skip


def source(**options):
    return PublishedTeacher(Published(**options))


def test_its_outputs_are_those_of_the_data_sets_classes(original, tmp_path):
    dataset = data(FOLDERS)
    given = source(anyway=True).given(ARCHITECTURE, dataset, None)
    assert given.gives == "features"
    assert given.note == f"torchvision's {NAME} with its published weights, not trained here."
    network = source().bring(given.place, given.architecture, dataset, tmp_path).network
    images = torch.rand(2, 3, 64, 64)
    mean, std = (torch.tensor(part).view(3, 1, 1) for part in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        torch.testing.assert_close(network(images), original((images - mean) / std)[:, ROWS], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("names", [FOLDERS, ("tench", "English_springer", "cassette_player")])
def test_classes_are_known_by_number_and_by_name(names):
    assert published_file.outputs(names) == ROWS


def test_classes_that_imagenet_has_not_are_refused_with_what_would_do(original):
    with pytest.raises(RecipeError) as caught:
        source().given(ARCHITECTURE, data(("0", "1")), None)
    (problem,) = caught.value.problems
    assert problem.field == "teacher.source"
    assert "name the folders as ImageNet does" in problem.message


def test_one_no_better_than_chance_is_questioned(original):
    with pytest.raises(RecipeError) as caught:
        source().given(ARCHITECTURE, data(FOLDERS), None)
    assert caught.value.problems[0].message.startswith("the published network has an accuracy of")


def test_without_a_connection_the_sentence_says_which_file_to_put_where(original, monkeypatch):
    (published.folder() / FILE).unlink()
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    question = {"architecture": ARCHITECTURE.model_dump(mode="json") | {"pretrained": True}, "classes": FOLDERS}
    with pytest.raises(published.PublishedWeightsError, match=rf"put https://.*{FILE} at .*weights"):
        published_file.write(json.loads(json.dumps(question)) | {"shape": [3, 64, 64], "target": "none"})


def test_an_architecture_without_published_weights_is_refused_at_its_field():
    with pytest.raises(RecipeError) as caught:
        source().given(validate("architecture", "cnn"), data(FOLDERS), None)
    assert caught.value.problems[0].field == "teacher.model.architecture"
