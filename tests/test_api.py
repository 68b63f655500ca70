"""The face of the package: what one import offers."""

import inspect
import shutil
import subprocess
import sys

import pytest

import kdcore
from kdcore.cli import console
from kdcore.jobs import api
from kdcore.problems import RecipeError
from kdcore.workspace.index import Index
from kdcore.workspace.workspace import Workspace
from tests.small import full_workspace, small


def test_importing_the_package_loads_nothing_heavy():
    program = (
        "import sys, kdcore; assert set(kdcore.__all__) <= set(dir(kdcore));"
        "heavy = {'torch', 'streamlit', 'pandas', 'numpy', 'pydantic'} & set(sys.modules); assert not heavy, heavy;"
        "[getattr(kdcore, name) for name in kdcore.__all__ if name not in ('Comparison', 'Result', 'fit')];"
        "heavy = {'torch', 'streamlit'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_offered_name_is_the_one_that_it_stands_for():
    from kdcore import Recipe, compare, register, run, submit
    from kdcore.api import compare as comparing
    from kdcore.recipe import Recipe as TheRecipe
    from kdcore.registry import register as registering

    assert (Recipe, compare, register) == (TheRecipe, comparing, registering)
    assert run.__module__ == submit.__module__ == "kdcore.api"
    with pytest.raises(AttributeError):
        kdcore.nothing_of_the_kind  # noqa: B018


def test_two_packages_are_functions_too():
    import kdcore.distill.kd

    assert "teacher" in inspect.signature(kdcore.distill).parameters
    assert "steps" in inspect.signature(kdcore.compress).parameters
    assert kdcore.distill.kd.Kd


def test_run_waits_and_returns_what_compare_tabulates(tmp_path):
    shutil.copytree(full_workspace() / "models", tmp_path / "models")  # nothing is left to train
    try:
        document = kdcore.run(small(), tmp_path)
    finally:
        api.stop_all(Workspace(tmp_path))
    table = kdcore.compare(document["run"], workspace=tmp_path)
    assert document["state"] == "done"
    assert table["variant"].tolist() == [row["variant"] for row in document["variants"]]
    assert table["accuracy"].between(0, 1).all()


def test_what_is_no_recipe_is_refused_and_leaves_no_run(tmp_path):
    with pytest.raises(RecipeError):
        kdcore.submit({"distill": {"temperature": -1}}, tmp_path)
    assert not (tmp_path / "runs").exists()


def test_a_run_that_fails_raises_with_the_reason(tmp_path, monkeypatch):
    def settled(workspace, run_id):
        index = Index(workspace)
        index.sync()
        return index.run(run_id)._replace(state="failed", error="no room on the disk")

    monkeypatch.setattr(console, "settled", settled)
    with pytest.raises(RuntimeError, match="failed: no room on the disk"):
        kdcore.run("quickstart", tmp_path)
