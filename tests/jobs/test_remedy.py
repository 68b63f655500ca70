"""What a run that ran out of memory leaves behind: the reason, a remedy to be offered, and nothing done by itself."""

from __future__ import annotations

import pytest
import torch

from kdcore.files import read_json
from kdcore.jobs import api, worker
from kdcore.train import loop
from tests.small import small

TEACHERS_STEPS = 26  # by which its training is told from the students'


@pytest.fixture
def carried_out(workspace, monkeypatch):
    """Carries a small run out in this process; batches above `most` do not fit while the teacher, or a student, learns.

    Gives its result.json and whether any student was trained.
    """
    honest, threads = loop.Trainer._batch, torch.get_num_threads()

    def carry_out(of, most):
        def batch(trainer, step, indices, generator, following):
            learning = "teacher" if trainer.task.train.steps == TEACHERS_STEPS else "student"
            if learning == of and len(indices) > most:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
            return honest(trainer, step, indices, generator, following)

        monkeypatch.setattr(loop.Trainer, "_batch", batch)
        recipe = small(f"teacher.train.steps={TEACHERS_STEPS}", "train.steps=25", "measure.timing_seconds=0")
        run_id = api.submit(workspace, recipe)
        assert worker._Work(workspace, workspace.run(run_id)).carry_out() == "failed"
        return read_json(workspace.run(run_id) / "result.json"), len(list(workspace.models.rglob("done.json")))

    yield carry_out
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("of", "path", "whole"), [("student", "train.batch_size", 1), ("teacher", "teacher.train.batch_size", 0)]
)
def test_the_batch_that_would_have_fitted_is_offered_at_its_field(carried_out, of, path, whole):
    result, models = carried_out(of, most=20)
    assert result["remedy"] == {"path": path, "value": 16}
    assert "out of memory with batches of" in result["error"]
    assert f"{path}=16" in result["error"]
    assert models == whole, "it went on by itself"
    assert small(f"{path}=16"), "the remedy is no change that a Recipe takes"


def test_where_nothing_fits_nothing_is_offered(carried_out):
    result, _ = carried_out("teacher", most=0)
    assert result["remedy"] is None
    assert "out of memory" in result["error"].lower()
