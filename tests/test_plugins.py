"""Plug-ins: files of a person's own beside the laboratory."""

import re
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from kdcore import plugins, registry
from kdcore.jobs import api, doctor
from kdcore.plan.plan import plan
from kdcore.problems import RecipeError
from kdcore.recipe import parse
from kdcore.workspace import keys
from kdcore.workspace.workspace import Workspace

DOCS = Path(__file__).resolve().parent.parent / "docs" / "python.md"
WHOLE = next(
    code for code in re.findall(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL) if "@register" in code
)
TAKES_A_NAME = WHOLE.replace('"drop_biases"', '"int8"')


@pytest.fixture
def plug(tmp_path, monkeypatch):
    """Loads these files, by name, as a process does that starts with them."""
    monkeypatch.setenv(plugins.FOLDERS, str(tmp_path))

    def fresh():
        for key in [key for key, entry in registry._entries.items() if entry.plugin]:
            del registry._entries[key]
        registry._failures.clear()
        registry._plugged = False

    def load(**files):
        for name, content in files.items():
            (tmp_path / f"{name}.py").write_text(content, "utf-8")
        fresh()
        return registry.entries("method")

    yield load
    monkeypatch.undo()
    fresh()


def used(name):
    return keys.versions([("method", registry.validate("method", name))])[f"method:{name}"]


def test_the_file_in_the_docs_is_offered_as_it_stands_there_and_marked(plug):
    plug(absolute=WHOLE)
    assert registry.failures() == []
    marked = next(one for one in registry.catalog("method") if one["name"] == "absolute")
    assert marked["plugin"] == "absolute.py"
    assert "absolute.py" in marked["description"]
    assert "plugin" not in next(one for one in registry.catalog("method") if one["name"] == "kd")
    assert {name: [one.name for one in made] for name, made in registry.plugged().items()} == {
        "absolute.py": ["absolute", "drop_biases"]
    }


def test_its_source_is_part_of_the_key_and_ours_is_not(plug):
    plug(absolute=WHOLE)
    before, ours = used("absolute"), used("kd")
    plug(absolute=WHOLE + "# another line\n")
    assert used("absolute") != before
    assert used("kd") == ours == registry.entry("method", "kd").version


def test_a_folder_counts_with_all_its_files(plug, tmp_path):
    folder = tmp_path / "several"
    folder.mkdir()
    (folder / "part.py").write_text("HELP = 1\n", "utf-8")
    (folder / "__init__.py").write_text(f"from .part import HELP\n{WHOLE}", "utf-8")
    plug()
    before = used("absolute")
    (folder / "part.py").write_text("HELP = 2\n", "utf-8")
    plug()
    assert used("absolute") != before
    assert registry.entry("method", "absolute").plugin.name == "several"


@pytest.mark.parametrize(
    "content",
    ["import nothing_of_the_kind", "raise SystemExit(3)", "def (", TAKES_A_NAME],
    ids=["missing", "exit", "syntax", "taken"],
)
def test_one_that_fails_is_reported_once_and_harms_nothing(plug, capsys, content):
    before = {kind: [one.name for one in registry.entries(kind) if not one.plugin] for kind in registry.PACKAGES}
    plug(broken=content, good=WHOLE)
    for _ in range(2):
        assert [one.plugin for one in registry.failures()] == ["broken.py"]
    assert list(registry.plugged()) == ["good.py"]
    ours = {kind: [one.name for one in registry.entries(kind) if not one.plugin] for kind in registry.PACKAGES}
    assert ours == before
    assert capsys.readouterr().err.count("plug-in broken.py") == 1
    found = doctor._plugins()
    assert not found.ok
    assert "broken.py" in found.found
    assert "good.py" in found.found


def test_two_plug_ins_do_not_take_each_others_names(plug):
    plug(first=WHOLE, second=WHOLE)
    assert list(registry.plugged()) == ["first.py"]
    assert [one.plugin for one in registry.failures()] == ["second.py"]


def test_an_installed_package_names_a_module(plug, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kdcore_of_a_package.py").write_text(WHOLE, "utf-8")
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    point = EntryPoint("mine", "kdcore_of_a_package", plugins.GROUP)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point])
    plug()
    sys.modules.pop("kdcore_of_a_package", None)
    assert "kdcore_of_a_package" in registry.entry("method", "absolute").plugin.name


def test_a_run_whose_plug_in_is_gone_or_changed_says_so(plug, tmp_path):
    recipe = {"distill": "absolute", "compress": [{"step": "drop_biases"}], "seeds": [0]}
    plug(absolute=WHOLE)
    workspace = Workspace(tmp_path / "home")
    planned = plan(parse(recipe), workspace)
    run = workspace.new_run({"plan.json": planned.document(), "recipe.json": parse(recipe).document()})
    assert planned.plugins.keys() == {"method:absolute", "step:drop_biases"}
    assert workspace.plan(run).lacks(unchanged=True) == ""
    plug(absolute=WHOLE + "# another line\n")
    assert workspace.plan(run).lacks() == ""
    assert "absolute.py" in workspace.plan(run).lacks(unchanged=True)
    (tmp_path / "absolute.py").unlink()
    plug()
    assert "absolute.py" in workspace.plan(run).lacks()
    with pytest.raises(RecipeError, match="absolute"):
        api.recipe(workspace, run)
    assert "plugins" not in plan(parse({"seeds": [0]}), workspace).document()
