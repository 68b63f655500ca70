"""Drawing on the canvas of the page Try it, as a person does with a mouse and with a finger."""

from __future__ import annotations

import math

import pytest

pytestmark = pytest.mark.browser
ZERO = [(0.5 + 0.2 * math.sin(step * math.pi / 12), 0.5 - 0.3 * math.cos(step * math.pi / 12)) for step in range(25)]
DOT = [(0.1, 0.1)]


def stroke(page, points):
    """One stroke with the mouse; points are shares of the canvas."""
    box = page.locator("canvas#canvas").bounding_box()
    first, *rest = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*first)
    page.mouse.down()
    for point in rest:
        page.mouse.move(*point)
    page.mouse.up()


def open_quickstart(visitor):
    visitor.open("try_it")
    visitor.page.get_by_role("combobox", name="Run").click()
    visitor.page.get_by_role("option", name="Quickstart").click()
    visitor.settled().page.locator("canvas#canvas").wait_for()
    return visitor.page


def test_a_drawn_zero_is_read_by_teacher_and_students(tab, full):
    visitor = tab(full)
    page = open_quickstart(visitor)
    stroke(page, ZERO)
    page.get_by_text("All 6 variants answer 0").wait_for()
    page.get_by_role("button", name="Clear", exact=True).click()
    page.get_by_text("Nothing is drawn yet").wait_for()
    visitor.check()


@pytest.mark.slow
def test_undo_takes_the_last_stroke_back_and_a_drawing_outlives_a_visit_elsewhere(tab, full):
    visitor = tab(full)
    page = open_quickstart(visitor)
    stroke(page, ZERO)
    seen = page.get_by_alt_text("The input as the networks see it")
    seen.wait_for()
    alone = seen.get_attribute("src")
    stroke(page, DOT)
    page.wait_for_function(
        "src => document.querySelector('img[alt^=\"The input\"]').src.endsWith(src) === false", arg=alone
    )
    page.get_by_role("button", name="Undo").click()
    page.wait_for_function("src => document.querySelector('img[alt^=\"The input\"]').src.endsWith(src)", arg=alone)
    visitor.settled().go("Layers")
    visitor.go("Try it").page.get_by_alt_text("The input as the networks see it").wait_for()
    visitor.check()


@pytest.mark.slow
def test_a_finger_draws_and_the_page_stays_where_it_is(tab, full):
    visitor = tab(full, viewport={"width": 390, "height": 844}, has_touch=True)
    page = open_quickstart(visitor)
    page.locator("canvas#canvas").scroll_into_view_if_needed()
    box = page.locator("canvas#canvas").bounding_box()
    touches = visitor.context.new_cdp_session(page)
    for kind, share in (("touchStart", 0.2), ("touchMove", 0.4), ("touchMove", 0.6), ("touchMove", 0.8)):
        point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] * share}
        touches.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    touches.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.get_by_alt_text("The input as the networks see it").wait_for()
    assert page.locator("canvas#canvas").bounding_box() == box
    visitor.check()
