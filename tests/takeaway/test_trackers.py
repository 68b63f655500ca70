"""A run for TensorBoard and MLflow, where they are installed."""

from __future__ import annotations

import pytest

from kdcore.cli import main
from kdcore.files import read_json
from kdcore.takeaway import trackers
from kdcore.workspace import events


def kept(workspace, run):
    """The teacher's history and measured accuracy."""
    folder = workspace.model(workspace.plan(run).stages[0].key)
    return events.history(folder / "history.jsonl"), read_json(folder / "report.json")["quality"]["accuracy"]


def test_tensorboard_gets_every_epoch_and_the_final_measures(workspace, run, tmp_path):
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="no TensorBoard")
    trackers.tensorboard(workspace, run, tmp_path)
    (teacher,) = (tmp_path / run).glob("teacher *")
    found = reading.EventAccumulator(str(teacher)).Reload()
    history, accuracy = kept(workspace, run)
    assert [one.step for one in found.Scalars("loss")] == [row["step"] for row in history]
    assert found.Scalars("final/accuracy")[0].value == pytest.approx(accuracy)
    assert len(list((tmp_path / run).iterdir())) == 1 + len(workspace.plan(run).stages)


def test_mlflow_gets_the_recipe_the_curves_and_the_files(workspace, run, tmp_path):
    mlflow = pytest.importorskip("mlflow", reason="no MLflow")
    trackers.mlflow(workspace, run, tmp_path)
    client = mlflow.MlflowClient(tracking_uri=tmp_path.as_uri())
    runs = client.search_runs([client.get_experiment_by_name("kdcore").experiment_id])
    named = {one.info.run_name: one for one in runs}
    assert named["Quickstart"].data.params["train.steps"] == "60"
    history, accuracy = kept(workspace, run)
    teacher = named["teacher"]
    curve = client.get_metric_history(teacher.info.run_id, "loss")
    assert [one.step for one in curve] == [row["step"] for row in history]
    assert teacher.data.metrics["final/accuracy"] == accuracy
    assert [one.path for one in client.list_artifacts(teacher.info.run_id)] == ["model.onnx"]


@pytest.mark.parametrize("name", trackers.TRACKERS)
def test_a_missing_library_is_named_in_a_line(workspace, run, monkeypatch, tmp_path, capsys, name):
    monkeypatch.setenv("KDCORE_HOME", str(workspace.root))
    monkeypatch.setattr(trackers, "find_spec", lambda module: None)
    assert main.main(["export", run, "--to", name, "-o", str(tmp_path / "out")]) == 2
    assert "pip install" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
