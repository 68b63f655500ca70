"""Charts as a lecturer uses them: large, saved as files, and watched while they grow."""

from __future__ import annotations

import time
from xml.etree import ElementTree

import pytest
from PIL import Image

from kdcore.files import lock, write_json
from kdcore.jobs import api
from kdcore.workspace import shapes
from kdcore.workspace.events import EventLog
from kdcore.workspace.workspace import Workspace
from tests.small import small

pytestmark = pytest.mark.browser
SIZE = (2560, 1440)
DRAWN = "[data-testid=stBidiComponentRegular] .js-plotly-plot"
RANGE = f"() => document.querySelector('{DRAWN}')._fullLayout.xaxis.range.map(Number)"
POINTS = f"() => document.querySelector('{DRAWN}').calcdata[0].length"
SCROLLED = "() => document.querySelector('[data-testid=stMain]').scrollTop"


@pytest.mark.parametrize("scheme", [pytest.param("light", marks=pytest.mark.slow), "dark"])
def test_a_chart_is_shown_large_and_saved_with_its_title(tab, full, tmp_path, scheme):
    visitor = tab(full, viewport={"width": 1280, "height": 720}, color_scheme=scheme).open("soft_targets")
    page = visitor.page
    page.locator(".st-key-large_answers").get_by_role("button").click()
    visitor.at("present=answers")
    page.reload()
    dialog = page.get_by_role("dialog")
    dialog.locator(".js-plotly-plot .main-svg").first.wait_for()
    box = dialog.locator(".frame").bounding_box()
    assert 1100 < box["width"] < 1280
    assert box["y"] + box["height"] <= 720
    title = dialog.get_by_role("figure").get_attribute("aria-label")
    png, svg = (taken(page, dialog, kind, tmp_path) for kind in ("PNG", "SVG"))
    assert png.name.endswith(" answers.png")
    with Image.open(png) as image:
        assert image.size == SIZE
        assert image.convert("RGB").getpixel((5, 5)) == {"light": (255, 255, 255), "dark": (20, 23, 28)}[scheme]
    root = ElementTree.parse(svg).getroot()
    assert (float(root.get("width")), float(root.get("height"))) == SIZE
    words = " ".join(" ".join(element.itertext()) for element in root.iter() if element.tag.endswith("}text"))
    assert title.split()[-1] in words
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    visitor.at("^((?!present).)*$")
    visitor.settled().check()


def taken(page, dialog, kind, folder):
    with page.expect_download() as waiting:
        dialog.get_by_role("button", name=kind, exact=True).click()
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


@pytest.fixture
def training(full_home):
    """A run at work, as the dashboard sees one: its lock is held, and its events come from the test."""
    workspace = Workspace(full_home)
    run_id = api.submit(workspace, small("name=Growing"))
    folder = workspace.run(run_id)
    with lock(folder / "lock"):
        events = EventLog(folder / "events.jsonl")
        yield Training(workspace, run_id, events)
        events.close()
    api.request(workspace, run_id, "cancel")


class Training:
    def __init__(self, workspace, run_id, events):
        self.folder, self.run_id, self.events, self.epoch = workspace.run(run_id), run_id, events, 0
        self.stage = workspace.plan(run_id).stages[0].key
        events("weights", weights={self.stage: 100.0}, session=1.0)
        events("stage", stage=self.stage, state="running")
        self.goes_on(4)

    def goes_on(self, epochs):
        for _ in range(epochs):
            self.epoch += 1
            share = 1 - 0.9**self.epoch
            self.events(
                "epoch", stage=self.stage, epoch=self.epoch, step=10 * self.epoch, loss=1 - share, accuracy=share,
                val_loss=1 - share, val_accuracy=share,
            )  # fmt: skip

    def ends(self):
        turn = shapes.meta(self.folder)["turn"]
        result = {"state": "done", "turn": turn, "started": time.time(), "finished": time.time(), "stages": []}
        write_json(self.folder / "result.json", result)


@pytest.mark.slow
def test_a_live_chart_keeps_zoom_and_scroll_and_the_browser_tells_of_the_end(tab, full, training):
    visitor = tab(full, viewport={"width": 1280, "height": 720}, permissions=["notifications"])
    page = visitor.page
    page.add_init_script(
        "window.notices = []; window.Notification = class { static permission = 'granted';"
        " static async requestPermission() { return 'granted' }"
        " constructor(title) { window.notices.push(title) } }"
    )
    visitor.open(f"runs?run={training.run_id}")
    page.locator(f"{DRAWN} .main-svg").first.wait_for()
    page.get_by_role("button", name="Notify me").click()
    page.get_by_role("button", name="Notifying").wait_for()
    page.locator(DRAWN).scroll_into_view_if_needed()
    box = page.locator(f"{DRAWN} .nsewdrag").first.bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"], steps=5)
    page.mouse.up()
    page.mouse.wheel(0, 150)
    page.wait_for_timeout(500)
    zoomed, scrolled = page.evaluate(RANGE), page.evaluate(SCROLLED)
    assert zoomed[1] - zoomed[0] < 25
    assert scrolled > 0
    for _ in range(3):
        training.goes_on(1)
        page.wait_for_function(f"{POINTS.removeprefix('() => ')} === {training.epoch}")
    assert page.evaluate(RANGE) == pytest.approx(zoomed)
    assert page.evaluate(SCROLLED) == scrolled
    training.ends()
    page.wait_for_function("window.notices.length === 1")
    assert page.evaluate("window.notices") == ["Growing: Done"]
    visitor.settled().check()
