"""The report as one HTML page."""

from __future__ import annotations

import re
import shutil

import pytest

from kdcore.files import read_json, write_json
from kdcore.takeaway.page import report_page
from kdcore.workspace.workspace import UnknownRun, Workspace

EVIL = "<script>alert(1)</script><img src=http://evil.example/x>"


def words(page):
    """What the page says outside of scripts and styles."""
    return re.sub(r"<(script|style)\b.*?</\1>", "", page.decode(), flags=re.DOTALL)


def test_a_run_has_its_table_figures_verdicts_and_recipe(workspace):
    said = words(report_page(workspace, workspace.run_ids()[:1]))
    for expected in ("<h1>Quickstart</h1>", "Test accuracy", "pruned 50 %", "Verdicts", "Recipe", "onnxruntime"):
        assert expected in said
    assert said.count("<figure>") >= 3
    assert "Differences between the runs" not in said


def test_several_runs_tell_what_differs(workspace):
    said = words(report_page(workspace, workspace.run_ids()))
    assert "<h1>Quickstart and Unseen</h1>" in said
    assert "Differences between the runs" in said
    assert "data.hide_classes" in said


def test_names_are_text_and_runs_of_one_name_are_told_apart(workspace, tmp_path):
    home = shutil.copytree(workspace.root, tmp_path / "w", ignore=shutil.ignore_patterns("index.sqlite*", "*.lock"))
    here = Workspace(home)
    for run_id in here.run_ids():
        path = here.run(run_id) / "meta.json"
        write_json(path, read_json(path) | {"name": EVIL})
    said = words(report_page(here, here.run_ids()))
    assert "evil.example" in said
    assert "<img" not in said
    assert all(f"({run_id})" in said for run_id in here.run_ids())


def test_an_unknown_run_is_named(workspace):
    with pytest.raises(UnknownRun):
        report_page(workspace, ["260101-000000-abcdef"])


@pytest.mark.browser
def test_it_opens_offline_draws_its_figures_and_asks_nothing_of_the_network(workspace, chromium, tmp_path):
    path = tmp_path / "report.html"
    path.write_bytes(report_page(workspace, workspace.run_ids()[:1]))
    context = chromium.new_context(offline=True)
    page = context.new_page()
    wrong, asked = [], []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    figures = page.locator("figure").count()
    page.wait_for_function(f"document.querySelectorAll('figure .main-svg').length >= {figures}")
    page.get_by_text("Recipe", exact=True).click()
    page.get_by_text('"temperature"').first.wait_for()
    context.close()
    assert not wrong
    assert asked == [path.as_uri()]
