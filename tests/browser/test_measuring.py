"""Measurements that a page queues, followed to their end: the page shows them by itself when they are done."""

from __future__ import annotations

import re

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_robustness_is_measured_at_the_press_of_a_button(tab, full):
    visitor = tab(full).open("trust?part=robustness")
    page = visitor.page
    page.get_by_role("button", name="Measure robustness").click()
    page.get_by_role("button", name="Open the run").first.wait_for()
    page.get_by_role("button", name="CSV by severity").wait_for()
    page.get_by_text(re.compile(r"Corruption takes .* from")).wait_for()
    assert page.get_by_role("button", name="Measure robustness").count() == 0
    visitor.settled().drawn().check()


def test_sensitivity_is_measured_and_its_policy_opened_in_the_form(tab, full):
    visitor = tab(full).open("layers?part=sensitivity&variant=student+alone")
    page = visitor.page
    page.get_by_role("button", name="Measure sensitivity").click()
    opens = page.get_by_role("button", name="New experiment with it")
    opens.wait_for()
    visitor.settled().drawn()
    opens.click()
    page.get_by_role("heading", name="New experiment", level=1).wait_for()
    visitor.settled()
    assert page.get_by_label("Name", exact=True).input_value() == "Unseen, by layer"
    page.get_by_text("by layer", exact=False).first.wait_for()
    visitor.check()


def test_runs_are_timed_together_at_the_press_of_a_button(tab, full):
    visitor = tab(full).open("compare")
    page = visitor.page
    page.get_by_role("button", name="Measure again").click()
    page.get_by_text("all variants interleaved").wait_for()
    visitor.settled().drawn().check()
