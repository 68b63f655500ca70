"""What the methods for transformers see of a network, on which texts they learn, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from kdcore import models
from kdcore.compress.step import StepInput
from kdcore.data.dataset import load
from kdcore.distill import blocks
from kdcore.distill.method import Unsuitable
from kdcore.distill.objectives.distillation import DistillationObjective
from kdcore.inputs.text import KIND
from kdcore.plan.rules.combinations import problems
from kdcore.recipe import Train, parse
from kdcore.registry import entry, entry_of, validate
from kdcore.train.features import Capture
from kdcore.train.loop import Task, fit
from kdcore.train.objective import Objective
from tests import pairs

torch.set_num_threads(1)
METHODS = ["tinybert", "minilm", "pkd"]
SHAPE = KIND.shape(pairs.texts())
ENCODER = {"architecture": "text_encoder", "depth": 2, "dim": 16, "heads": 2}
BERT = ENCODER | {"architecture": "bert"}


def network(options, classes=10, shape=SHAPE, seed=0):
    torch.manual_seed(seed)
    return models.create(validate("architecture", options), classes, shape, [], [])


@pytest.mark.parametrize("options", [ENCODER, BERT])
def test_scores_of_tapped_queries_and_keys_are_those_that_the_attention_uses(options):
    made = network(options).eval()
    (path, *_) = blocks.paths(made, "student")
    taps = [blocks.inside(path, layer) for layer in ("query", "key", "value")]
    capture = Capture(made, [*taps, f"{path}.attention"])
    with torch.no_grad():
        made(KIND.tensor(pairs.texts(1)))
        seen = capture.take()
        query, key, value = (seen[tap] for tap in taps)
        (width,) = blocks.widths(made, [path])
        shares = functional.softmax(blocks.scores(query, key, width), dim=3)
        given = (shares @ blocks.in_heads(value, width)).transpose(1, 2).flatten(2)
        attention = made.get_submodule(f"{path}.attention")
        torch.testing.assert_close(attention.out(given), seen[f"{path}.attention"])


def test_the_last_layer_of_each_part_of_the_teacher_teaches():
    assert blocks.partners(3, 6) == [1, 3, 5]
    assert blocks.partners(4, 12) == [2, 5, 8, 11]  # the authors' TinyBERT4, counted from 0
    assert blocks.partners(2, 5) == [1, 4]
    with pytest.raises(Unsuitable, match="too few"):
        blocks.partners(3, 2)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("step", [0, 9])
def test_padding_makes_no_difference(name, step):
    ids = KIND.tensor(pairs.texts(6))[:, :8]  # some of them end before
    student, teacher = network(BERT), network(ENCODER | {"depth": 4}, seed=1).eval()
    less, more = (
        pairs.terms(name, student, teacher, functional.pad(ids, (0, padding)), step=step) for padding in (0, 4)
    )
    assert less.keys() == more.keys()
    for term, value in less.items():
        torch.testing.assert_close(value, more[term])


@pytest.fixture(scope="module")
def surnames(tmp_path_factory):
    """400 surnames of 20 languages, and a teacher that was trained on them a little."""
    dataset = load(validate("dataset", "surnames"))
    rows = np.random.default_rng(0).permutation(len(dataset.train_labels))[:400]
    known, labels = dataset.train_images[rows], torch.from_numpy(np.asarray(dataset.train_labels)[rows])
    teacher = network(ENCODER | {"dim": 32}, len(dataset.classes), dataset.shape, seed=1)
    found = known, labels, dataset
    learned(found, teacher, Objective(), tmp_path_factory.mktemp("teacher"), 60)
    return found, teacher.eval().requires_grad_(False)


def learned(surnames, student, lesson, folder, steps):
    known, labels, dataset = surnames
    held = KIND.hold(known, np.arange(len(known)), torch.device("cpu"))
    targets = torch.eye(len(dataset.classes))[labels]
    train = Train(steps=steps, batch_size=32, learning_rate=0.01)
    rows = []
    task = Task(held, targets, (KIND.tensor(known), labels), train, steps, "fp32", 0, lesson)
    fit(student, task, folder, on_epoch=rows.append)
    return rows


@pytest.mark.parametrize("name", METHODS)
def test_it_learns_surnames(surnames, name, tmp_path):
    (*_, dataset), teacher = surnames
    dim = 32 if name == "pkd" else 16
    student = network(ENCODER | {"dim": dim}, len(dataset.classes), dataset.shape)
    options = validate("method", name)
    method = entry_of("method", options).implementation(options)
    student = method.begin(student, teacher)
    rows = learned(surnames[0], student, DistillationObjective(method, teacher), tmp_path, 60)
    assert rows[-1]["val_accuracy"] > 3 / len(dataset.classes)


@pytest.mark.parametrize("name", METHODS)
def test_a_student_whose_heads_were_pruned_goes_on_learning(name):
    student, teacher = network(BERT), network(BERT, seed=1).eval()
    texts = KIND.tensor(pairs.texts(12))
    options = validate("step", {"step": "prune_transformer", "importance": "random", "scope": "layer"})
    entry("step", "prune_transformer").implementation(StepInput(student, Path(), texts, SHAPE, Path(), 0), options)
    assert student.stage1[0].attention.query.weight.shape == (8, 16)
    terms = pairs.terms(name, student.requires_grad_(True), teacher, texts, begin=False)
    assert (
        terms.keys() - {"hard", "soft"} == {"tinybert": {"hidden"}, "minilm": {"relations"}, "pkd": {"patience"}}[name]
    )
    assert all(value.isfinite() for value in terms.values())


@pytest.mark.parametrize("name", METHODS)
def test_a_network_without_such_blocks_is_refused(name):
    plain = nn.Sequential(nn.Embedding(40, 8), nn.Flatten(), nn.Linear(8, 10))
    with pytest.raises(Unsuitable, match="blocks"):
        pairs.terms(name, plain, network(BERT).eval(), KIND.tensor(pairs.texts(4)))


def refused(name, student, teacher, **options):
    document = {"student": {"model": student}, "teacher": {"model": teacher}, "distill": {"method": name, **options}}
    return [problem.field for problem in problems(parse(document), None)]


@pytest.mark.parametrize(
    ("name", "student", "teacher"),
    [
        ("tinybert", {"heads": 4}, {}),
        ("tinybert", {"depth": 3}, {}),
        ("minilm", {"dim": 20}, {}),
        ("minilm", {}, {"dim": 20}),
        ("pkd", {"dim": 8}, {}),
        ("pkd", {"depth": 1}, {}),
        ("pkd", {"depth": 3}, {}),
        ("distilbert", {"dim": 8}, {}),
    ],
)
def test_sizes_that_do_not_match_are_refused_at_the_method(name, student, teacher):
    assert refused(name, ENCODER, BERT) == []
    assert refused(name, ENCODER | student, ENCODER | teacher) == ["distill.method"]
    part = {"method": "combine", "parts": [{"of": {"method": "kd"}}, {"of": {"method": name}}]}
    document = {"student": {"model": ENCODER | student}, "teacher": {"model": ENCODER | teacher}, "distill": part}
    assert [problem.field for problem in problems(parse(document), None)] == ["distill.method"]


@pytest.mark.parametrize("name", METHODS)
def test_networks_for_pictures_are_refused_at_the_method(name):
    assert refused(name, "vit", "cnn") == ["distill.method"]
