"""Milliseconds of each layer, from ONNX Runtime's profiler."""

from kdcore.measure.layer_times import layer_times
from kdcore.workspace.workspace import Workspace
from tests.pages.conftest import full_workspace


def test_every_layer_with_weights_is_timed_under_its_name_and_the_large_one_takes_longest():
    workspace = Workspace(full_workspace())
    plan = workspace.plan(workspace.run_ids()[0])
    key = next(one.keys[0] for one in plan.variants if one.name == "teacher")
    names = ["stem.conv", "stage1.conv", "stage2.conv", "head"]
    found = layer_times(workspace.model(key) / "model.onnx", plan.dataset["shape"], names, batch=16, rounds=20)
    times = {one.name: one.ms for one in found}
    assert [one.name for one in found if one.name in names] == names
    assert all(ms >= 0 for ms in times.values())
    assert times["stage1.conv"] > times["head"]
    assert len(found) > len(names)  # pooling and the like
