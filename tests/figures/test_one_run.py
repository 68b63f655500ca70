"""Which charts a single run has."""

from __future__ import annotations

import pytest

from kdcore.figures.one_run import leads, one_run
from kdcore.files import read_json
from kdcore.presets import presets
from kdcore.report import comparison
from kdcore.workspace.workspace import Workspace
from tests.small import full_workspace


@pytest.fixture(scope="module")
def charts():
    """The names of a run's charts, by the run's place."""
    here = Workspace(full_workspace())

    def found(place, first=""):
        run_id = here.run_ids()[place]
        rows, judged = comparison.rows(here, [run_id]), comparison.verdicts(here, run_id)
        plan = here.plan(run_id)
        return list(one_run(rows, plan, judged, lambda key: read_json(here.model(key) / "report.json"), first))

    return found


def test_a_chain_of_steps_has_its_bytes_step_by_step(charts):
    assert charts(0) == ["waterfall"]


def test_a_sweep_of_temperatures_with_a_hidden_class_has_its_recall(charts):
    assert charts(1) == ["sweep_distill.temperature", "recall_3"]


def test_a_presets_own_chart_comes_first(charts):
    assert charts(1, first="recall") == ["recall_3", "sweep_distill.temperature"]


@pytest.mark.parametrize("preset", [one for one in presets() if one.first], ids=lambda one: one.name)
def test_the_chart_that_a_preset_names_is_one_of_its_runs(preset):
    recipe = preset.recipe
    possible = [f"sweep_{path}" for path in recipe.sweep] + [f"recall_{name}" for name in recipe.data.hide_classes]
    possible += ["waterfall"] * bool(recipe.compress) + ["methods_student alone"] * (len(recipe.controls) > 2)
    assert any(leads(name, preset.first) for name in possible)
