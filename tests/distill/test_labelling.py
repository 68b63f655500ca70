"""Methods on images that have one label each, and on images that have any number of them."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from kdcore.data.labelling import MANY_LABELS, ONE_LABEL
from kdcore.distill.method import StepInputs
from kdcore.distill.traits import takes
from kdcore.registry import entries, validate
from kdcore.train.loop import fit
from tests import pairs

torch.set_num_threads(1)
METHODS = entries("method")
LOGITS = torch.tensor([[0.0, 2.0, -1.0], [1.0, -3.0, 0.5]], dtype=torch.float64)
SETS = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], dtype=torch.float64)


def test_the_labels_of_a_step_count_as_the_data_set_means_them():
    one, many = (StepInputs(LOGITS, LOGITS, SETS, labelling=labelling) for labelling in (ONE_LABEL, MANY_LABELS))
    assert one.label_loss().item() == pytest.approx(-LOGITS.log_softmax(1)[[0, 1], [1, 0]].mean().item())
    assert many.label_loss().item() == pytest.approx(MANY_LABELS.loss(LOGITS, SETS).item())


def test_every_method_says_what_labels_it_takes():
    methods = {entry.name: validate("method", entry.name) for entry in METHODS}
    many = {name for name, options in methods.items() if takes(options, "many")}
    assert {"sigmoid", "hard_labels", "attention", "rkd"} <= many
    assert not {"kd", "dkd", "dist", "crd", "ofa", "label_smoothing", "combine"} & many
    assert {name for name, options in methods.items() if not takes(options, "one")} == {"sigmoid"}
    parts = [{"of": {"method": "sigmoid"}}, {"of": {"method": "attention"}}]
    assert takes(validate("method", {"method": "combine", "parts": parts}), "many")


@pytest.mark.parametrize("name", [entry.name for entry in METHODS if takes(validate("method", entry.name), "many")])
def test_methods_that_take_many_labels_learn_from_sets_some_of_which_are_not_known(name, tmp_path):
    student, task = pairs.taught(validate("method", name), steps=2)
    sets = ((task.targets + task.targets.roll(1, dims=0)) > 0).float()
    validation = (task.validation[0], sets)
    unknown = sets.clone()
    unknown[::3] = math.nan
    task.lesson.labelling = MANY_LABELS
    rows = []
    fit(student, replace(task, targets=unknown, validation=validation), tmp_path, on_epoch=rows.append)
    assert np.isfinite([rows[-1]["loss"], rows[-1]["val_loss"]]).all()
    assert 0 <= rows[-1]["accuracy"] <= 1
