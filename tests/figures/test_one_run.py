"""Which charts a single run has."""

from __future__ import annotations

import pytest

from kdcore.figures.one_run import one_run
from kdcore.files import read_json
from kdcore.report import comparison
from kdcore.workspace.workspace import Workspace
from tests.pages.conftest import full_workspace


@pytest.fixture(scope="module")
def charts():
    """The names of a run's charts, by the run's place."""
    here = Workspace(full_workspace())

    def found(place):
        run_id = here.run_ids()[place]
        rows, judged = comparison.rows(here, [run_id]), comparison.verdicts(here, run_id)
        return list(one_run(rows, here.plan(run_id), judged, lambda key: read_json(here.model(key) / "report.json")))

    return found


def test_a_chain_of_steps_has_its_bytes_step_by_step(charts):
    assert charts(0) == ["waterfall"]


def test_a_sweep_of_temperatures_with_a_hidden_class_has_its_recall(charts):
    assert charts(1) == ["sweep_distill.temperature", "recall_3"]
