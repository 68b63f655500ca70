"""Reference: what each method and step is, and what a term means."""

from __future__ import annotations

import pytest

from kdcore import registry
from kdcore.report import glossary
from tests.pages.conftest import opened, said


@pytest.mark.parametrize("kind", ["method", "step"])
def test_everything_that_is_offered_has_a_card_with_its_formula_and_its_use(empty, kind):
    app = opened("reference", kind=kind)
    offered = registry.offered(kind)
    assert {one.value.replace("\\", "") for one in app.subheader} == {one.name.replace("_", " ") for one in offered}
    assert len(app.latex) == sum("When to choose it" in one.value for one in app.markdown) == len(offered)


def test_the_filter_is_in_the_link_and_finds_by_meaning_too(empty):
    app = opened("reference", kind="step", filter="huffman")
    assert [one.value for one in app.subheader] == ["code"]
    app.text_input(key="filter").set_value("no such step").run()
    assert "Nothing matches the filter." in said(app)


def test_a_term_is_found_with_its_meaning(empty):
    app = opened("reference", kind="term", filter="ECE")
    meaning = next(term.meaning for term in glossary.terms() if "ECE" in term.names)
    assert app.table[0].value.loc["ECE"].item() == meaning
