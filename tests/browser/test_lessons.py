"""Every lesson from the first screen to the last; lesson 1 on a machine that has run nothing yet."""

from __future__ import annotations

import os
import re
import shutil

import pytest

from kdcore.lessons import lessons
from kdcore.lessons.predictions import Choice, Matching
from kdcore.lessons.progress import STEPS
from tests import patience
from tests.browser.conftest import dashboard

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PROJECTOR = {"viewport": {"width": 1280, "height": 720}}
PHONE = {"viewport": {"width": 390, "height": 844}}
BEYOND = """(side) => {
    const all = document.querySelector('[data-testid=stMain]');
    return all['scroll' + side] - all['client' + side];
}"""
MEASURED = """() => location.search.includes('step=result')
    || [...document.querySelectorAll('button')].some(one => one.innerText.includes('Compare with your prediction'))"""


def fits(visitor):
    assert visitor.page.evaluate(BEYOND, "Height") <= 0, "one has to scroll"
    visitor.check()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A dashboard for all lessons. KDCORE_LESSONS=folder has runs of them, which are then reused."""
    home = tmp_path_factory.mktemp("lessons") / "workspace"
    if kept := os.environ.get("KDCORE_LESSONS"):
        shutil.copytree(kept, home, ignore=shutil.ignore_patterns("index.sqlite*", "lessons"))
    with dashboard(home) as served:
        yield served


@pytest.mark.parametrize("lesson", lessons(), ids=lambda one: one.name)
def test_a_lesson_from_its_first_screen_to_its_last(tab, address, lesson):
    visitor = tab(address, **PROJECTOR).open(f"lessons?lesson={lesson.name}")
    page = visitor.page
    page.get_by_role("heading", name=f"{lesson.order}. {lesson.title}").wait_for()
    if lesson.symptoms:  # measured first, named afterwards
        page.get_by_role("button", name="Measure it now").click()
    _predict(page, lesson.prediction)
    visitor.settled().drawn()
    fits(visitor)
    page.get_by_role("button", name="Commit prediction").click()
    visitor.settled()
    if not lesson.symptoms:
        _measure(page)
    for step in STEPS[2:]:
        if step != "result":
            page.get_by_role("button", name="Next", exact=True).click()
        visitor.at(f"step={step}")
        visitor.settled().drawn()
        fits(visitor)
    page.get_by_role("button", name="Finish").click()
    page.get_by_text(re.compile("Finished (just now|.* ago)")).first.wait_for()
    _on_a_phone(tab, address, lesson)


def _measure(page):
    """Starts the run, or finds one that was finished before."""
    page.get_by_role("button", name="Measure it now").click()
    page.wait_for_function(MEASURED, timeout=1000 * patience.stretched(240))
    if "step=result" not in page.url:
        page.get_by_role("button", name="Compare with your prediction").click()


def _predict(page, asked):
    if isinstance(asked, Choice):
        page.get_by_role("radiogroup").locator("label").first.click()
    elif isinstance(asked, Matching):
        for case in asked.cases:
            page.get_by_role("combobox", name=f"Student {case}").click(timeout=1000 * patience.stretched(240))
            page.get_by_role("option").first.click()
    else:
        page.get_by_role("slider").first.press("ArrowRight")


def _on_a_phone(tab, address, lesson):
    phone = tab(address, **PHONE, color_scheme="dark")
    for step in STEPS:
        phone.open(f"lessons?lesson={lesson.name}&step={step}").drawn()
        assert phone.page.evaluate(BEYOND, "Width") <= 0, f"{step} is wider than a phone"
        phone.check()


def test_lesson_one_from_the_question_to_the_page_to_hand_in(tab, tmp_path):
    with dashboard(tmp_path / "workspace") as address:
        visitor = tab(address, **PROJECTOR).open("lessons")
        page = visitor.page
        fits(visitor)
        page.get_by_role("button", name="Begin").first.click()
        page.get_by_role("heading", name="1. Why soft targets").wait_for()
        fits(visitor)
        page.get_by_role("slider").press("ArrowRight")
        page.get_by_role("button", name="Commit prediction").click()
        page.get_by_role("button", name="Measure it now").click()
        page.get_by_role("button", name="Cancel").wait_for()
        fits(visitor)

        page.reload()  # nothing is lost
        page.get_by_text("Soft targets add:").wait_for()
        page.get_by_role("button", name="Compare with your prediction").click()
        page.get_by_text(re.compile("predicted .* measured")).wait_for()
        visitor.drawn()
        fits(visitor)
        page.get_by_role("button", name="Next").click()
        page.get_by_role("slider", name="Temperature (T)").wait_for()
        visitor.drawn()
        fits(visitor)
        page.go_back()
        page.get_by_text(re.compile("predicted .* measured")).wait_for()
        page.go_forward()
        page.get_by_role("slider", name="Temperature (T)").wait_for()
        page.get_by_role("button", name="Next").click()
        page.get_by_text("Hand in").wait_for()
        fits(visitor)

        with page.expect_download() as download:
            page.get_by_role("button", name="Download the page").click()
        handed = tmp_path / "handed.html"
        download.value.save_as(handed)
        reader = tab(f"file://{tmp_path}")
        reader.context.set_offline(True)
        reader.page.goto(handed.as_uri())
        reader.page.locator(".js-plotly-plot .main-svg").first.wait_for()
        assert reader.page.get_by_text("Soft targets add").count()
        reader.check()

        page.get_by_role("button", name="Finish").click()
        page.get_by_text(re.compile("Finished (just now|.* ago)")).wait_for()
        visitor.check()
