"""Links that somebody else wrote: what a page does not know is dropped, and the page stays up."""

from __future__ import annotations

import pytest

from tests.pages.conftest import opened, runs, said

PARAMETERS = {
    "runs": ("run",),
    "compare": ("runs", "baseline"),
    "soft_targets": ("run", "variant", "image", "T"),
    "layers": ("run", "run_2", "variant", "variant_2", "layer", "by", "what", "step"),
    "trust": ("run", "part", "variants", "calibration"),
    "reference": ("kind",),
}
HOSTILE = ("²", "9" * 5000, "../../etc/passwd\x00\x1b[31m\u202e", "**[x](http://evil.example)** <script>")


@pytest.mark.parametrize("page", PARAMETERS)
def test_hostile_parameters_are_dropped(full, page):
    app = opened(page)
    usual = said(app)
    for value in HOSTILE:
        for name in PARAMETERS[page]:
            app.query_params[name] = value
        app.run()
        assert not app.exception, (value[:20], app.exception[0].message)
        assert said(app) == usual or "is not in this workspace" in said(app)


def test_a_run_that_is_asked_for_twice_is_shown_once(full):
    first = runs(full)[0].id
    assert opened("compare", runs=[first, first]).multiselect(key="runs").value == [first]


@pytest.mark.parametrize("image", ["²", "٣", "9" * 5000, "+1"])
def test_an_image_is_given_in_plain_digits(full, image):
    assert "Test image 0" in said(opened("soft_targets", run=runs(full)[-1].id, image=image))
