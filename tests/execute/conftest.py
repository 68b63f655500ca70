"""Real models of seconds, in a workspace that the tests of one module share."""

from __future__ import annotations

import pytest

from kdcore.jobs import api
from kdcore.workspace.workspace import Workspace
from tests.small import small

QUICK = (
    "seeds=[0]",
    "compress=[]",
    "controls=[]",
    "teacher.train.steps=20",
    "train.steps=10",
    "measure.timing_seconds=0",
)


class Laboratory:
    """Carries Recipes out in this process."""

    def __init__(self, workspace):
        self.workspace = workspace

    def submit(self, *assignments):
        return api.submit(self.workspace, small(*QUICK, *assignments))

    def plan(self, run_id):
        return self.workspace.plan(run_id)

    def carry_out(self, run_id):
        from kdcore.execute.run import Execution

        recipe = api.recipe(self.workspace, run_id)
        run = Execution(self.workspace, self.workspace.run(run_id), recipe, self.plan(run_id), lambda: None)
        run.carry_out()
        return run

    def run(self, *assignments):
        run_id = self.submit(*assignments)
        self.carry_out(run_id)
        return run_id

    def key(self, run_id, variant="teacher"):
        return next(row.keys[0] for row in self.plan(run_id).variants if row.name == variant)

    def model(self, run_id, variant="teacher"):
        return self.workspace.model(self.key(run_id, variant))


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory):
    return Laboratory(Workspace(tmp_path_factory.mktemp("laboratory")).ensure())
