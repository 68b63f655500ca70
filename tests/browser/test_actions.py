"""What only a browser can do: choose in tables and charts, take files away, move a slider."""

from __future__ import annotations

import json

import pytest

from kdcore.report.comparison import COLUMNS
from tests.pages.test_data import pictures

pytestmark = pytest.mark.browser


def choose_row(page, row):
    """Clicks the box before a row of the page's first table, which is a canvas."""
    box = page.get_by_test_id("stDataFrameResizable").first.bounding_box()
    page.mouse.click(box["x"] + 20, box["y"] + 35 * row + 52)


def until(shown, act):
    """Acts again, some seconds apart, until something is shown."""
    for _ in range(9):
        act()
        try:
            shown.wait_for(timeout=5000)
            return
        except Exception as error:  # playwright need not be installed to read this file
            if type(error).__name__ != "TimeoutError":
                raise
    raise AssertionError(f"{shown} was not shown")


def test_a_row_of_the_table_chooses_the_run(tab, full):
    visitor = tab(full).open("runs")
    page = visitor.page
    page.get_by_role("heading", name="Unseen", level=2).wait_for()
    until(page.get_by_role("heading", name="Quickstart", level=2), lambda: choose_row(page, 1))
    visitor.at(r"/runs\?run=")
    page.reload()
    page.get_by_role("heading", name="Quickstart", level=2).wait_for()
    visitor.check()


def test_a_point_of_the_chart_chooses_its_row(tab, full):
    visitor = tab(full).open("runs")
    page = visitor.page
    choose_row(page, 1)
    page.get_by_role("heading", name="Quickstart", level=2).wait_for()
    page.get_by_role("button", name="Compare", exact=True).click()
    visitor.settled()
    teacher = visitor.drawn().page.locator(".js-plotly-plot").first.locator(".scatterlayer .trace .points path").first
    layers = page.get_by_role("button", name="Open in Layers")
    until(layers, lambda: teacher.click(force=True))  # a chart that is still being drawn does not hear the click
    layers.click()
    page.get_by_role("heading", name="Layers", level=1).wait_for()
    assert "variant=teacher" in page.url
    visitor.settled().check()


def test_every_download_opens(tab, full, tmp_path):
    visitor = tab(full).open("compare")

    def taken(label):
        with visitor.page.expect_download() as waiting:
            visitor.page.get_by_role("button", name=label, exact=True).click()
        path = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(path)
        return path

    assert taken("CSV").read_text("utf-8").splitlines()[0].split(",") == list(COLUMNS)
    assert taken("CSV for Excel").read_text("utf-8-sig").splitlines()[0].split(",") == list(COLUMNS)
    assert json.loads(taken("JSON").read_text("utf-8"))["runs"][0]["variants"]
    assert taken("Excel").read_bytes().startswith(b"PK")
    for label in ("Markdown", "LaTeX", "HTML"):
        assert "student alone" in taken(label).read_text("utf-8").replace("\\", "")
    visitor.check()


def test_the_slider_moves_the_answer(tab, full):
    visitor = tab(full).open("soft_targets")
    page = visitor.page
    page.get_by_text("At T = 4 the teacher assigns").wait_for()
    slider = page.get_by_role("slider")
    slider.focus()
    slider.press("ArrowRight")
    page.get_by_text("At T = 4.8 the teacher assigns").wait_for()
    visitor.at(r"\bT=4\.8\b")
    thumbnail = page.get_by_alt_text("Test image 5", exact=True)
    thumbnail.click()
    visitor.at(r"\bimage=5\b")
    page.get_by_text("Test image 5, labelled").wait_for()
    page.get_by_role("group", name="Test images").get_by_role("button").nth(7).press("Enter")
    visitor.at(r"\bimage=7\b")
    visitor.settled().check()


def test_a_closed_section_keeps_its_values_and_says_them(tab, full):
    visitor = tab(full).open("new")
    page = visitor.page
    page.get_by_text("4 Distil").click()
    temperature = page.get_by_label("Temperature (T)", exact=True)
    temperature.fill("9")
    temperature.press("Enter")
    visitor.settled()  # a click while the page is still being drawn may close what it opens
    assert temperature.count() == 1  # the section stays open while it is filled in
    page.get_by_text("5 Compress").click()
    page.get_by_label("Ratio", exact=True).wait_for()
    page.get_by_text("temperature 9").first.wait_for()
    temperature.wait_for(state="detached")
    page.get_by_text("4 Distil").click()
    temperature.wait_for()
    assert float(temperature.input_value()) == 9
    visitor.check()


@pytest.mark.slow
def test_own_pictures_are_sent_and_made_ready(tab, full):
    """The button is pressed as soon as it is there: nothing above it may vanish then, or the click lands elsewhere."""
    visitor = tab(full).open("new")
    visitor.send_pictures("pets.zip", pictures())
    visitor.page.get_by_text("pets.zip is on this machine").wait_for()
    visitor.settled().check()


def test_a_preset_that_wants_a_gpu_asks_first(tab, full):
    visitor = tab(full).open("?group=papers")
    page = visitor.page
    page.locator(".st-key-start_reproduce-the-paper button").click()
    page.get_by_role("dialog").get_by_role("button", name="Open in the form").click()
    page.get_by_role("heading", name="New experiment", level=1).wait_for()
    visitor.settled()
    assert page.get_by_label("Name", exact=True).input_value() == "Reproduce the paper"
    visitor.check()


def test_a_run_is_started_in_the_form_and_ends_in_the_comparison(tab, full):
    """Its models are there already. The last of these tests: it leaves a run. The whole quickstart is a slow test."""
    visitor = tab(full).open("runs")
    page = visitor.page
    until(page.get_by_role("heading", name="Quickstart", level=2), lambda: choose_row(page, 1))
    page.get_by_role("button", name="Duplicate").click()
    page.get_by_role("heading", name="New experiment", level=1).wait_for()
    page.get_by_role("button", name="Start").click()
    visitor.at(r"/runs\?run=")
    page.get_by_role("button", name="Compare", exact=True).click()
    page.get_by_role("heading", name="Compare", level=1).wait_for()
    assert visitor.settled().drawn().page.locator(".js-plotly-plot").count()
    visitor.check()
