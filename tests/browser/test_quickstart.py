"""What a newcomer does: one click on the home page, and then the finished comparison."""

from __future__ import annotations

import re

import pytest

from tests.browser.conftest import dashboard

pytestmark = pytest.mark.browser


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["quickstart", "whose-name"])
def test_one_click_reaches_the_finished_comparison(tab, tmp_path, preset):
    with dashboard(tmp_path / "workspace") as address:
        newcomer = tab(address).open()
        page = newcomer.page
        page.locator(f".st-key-start_{preset} button").click()
        page.get_by_role("heading", name="Runs", level=1).wait_for()
        assert re.search(r"run=\d{6}-\d{6}-[0-9a-f]{6}", page.url)
        page.get_by_role("button", name="Compare", exact=True).wait_for()
        newcomer.check()

        page.get_by_role("button", name="Compare", exact=True).click()
        page.get_by_role("heading", name="Compare", level=1).wait_for()
        newcomer.settled()
        assert page.locator(".js-plotly-plot").count() == 2  # against size, against latency
        assert page.get_by_text(re.compile("smaller than the teacher")).count() == 1
        verdict = page.get_by_text(re.compile(r"student distilled: Better than the student alone by \d+\.\d points"))
        assert verdict.count() == 1
        newcomer.check()
