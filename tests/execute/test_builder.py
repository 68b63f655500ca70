"""What the stages of one run share."""

import json

import numpy as np
import torch
from safetensors.torch import load_file


def test_fine_tuning_looks_up_what_the_teacher_said_when_the_student_was_distilled(laboratory):
    student = laboratory.carry_out(laboratory.submit("seeds=[5]"))
    prune = json.dumps([{"step": "prune_structured", "round_to": 2, "finetune": {"steps": 10}}])
    both = laboratory.carry_out(laboratory.submit("seeds=[6]", f"compress={prune}"))
    said = [len(run._stages.builder.teachers.answers._kept) for run in (student, both)]
    assert both.stages[-1]["stage"].startswith("pruned")
    assert said[0] == said[1] > 10


def test_each_point_of_a_sweep_over_labels_is_trained_as_a_run_with_so_many(laboratory):
    few = ("compress=[]", "controls=[]", "seeds=[0]", "train.steps=20", "data.transfer=false")
    swept = laboratory.run(*few, 'sweep={"data.labels": [20, 50]}')
    before = {}
    for labels in (20, 50):
        folder = laboratory.model(swept, f"student distilled (labels {labels})")
        before[labels] = (load_file(folder / "model.safetensors"), np.load(folder / "members.npz")["images"])
        laboratory.workspace.set_aside(folder.name)
    for labels, (weights, members) in before.items():
        folder = laboratory.model(laboratory.run(*few, f"data.labels={labels}"), "student distilled")
        after = load_file(folder / "model.safetensors")
        assert all(torch.equal(weights[name], after[name]) for name in weights)
        np.testing.assert_array_equal(members, np.load(folder / "members.npz")["images"])
    assert not all(torch.equal(weights, before[50][0][name]) for name, weights in before[20][0].items())
