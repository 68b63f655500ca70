"""Lesson 1 from the first screen to the last, on a machine that has run nothing yet."""

from __future__ import annotations

import re

import pytest

from tests.browser.conftest import dashboard

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PROJECTOR = {"viewport": {"width": 1280, "height": 720}}
TALLER = """() => {
    const all = document.querySelector('[data-testid=stMain]');
    return all.scrollHeight - all.clientHeight;
}"""


def fits(visitor):
    assert visitor.page.evaluate(TALLER) <= 0, "one has to scroll"
    visitor.check()


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
