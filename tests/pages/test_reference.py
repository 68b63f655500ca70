"""Reference: what each method and step is, and what a term means."""

from __future__ import annotations

import pytest

from kdcore import registry
from kdcore.report import glossary
from pages.shared import families
from tests.pages.conftest import opened, said


@pytest.mark.parametrize("kind", ["method", "step"])
def test_everything_that_is_offered_has_a_card_in_its_family_with_its_formula_and_its_use(empty, kind):
    app = opened("reference", kind=kind)
    for family, names in families.grouped(kind).items():
        app.get_by_key("family").set_value(family).run()
        assert families.title(family) != family
        assert [one.value.replace("\\", "") for one in app.subheader] == [name.replace("_", " ") for name in names]
        cards = [one.value for one in app.markdown if "**When to choose it.**" in one.value]
        assert len(cards) == sum("\\begin{gathered}" in card for card in cards) == len(names)
    assert sum(map(len, families.grouped(kind).values())) == len(registry.offered(kind))


def test_the_filter_is_in_the_link_and_finds_by_meaning_too_in_every_family(empty):
    app = opened("reference", kind="step", family="pruned", filter="huffman")
    assert [one.value for one in app.subheader] == ["code"]
    app.text_input(key="filter").set_value("no such step").run()
    assert "Nothing matches the filter." in said(app)
    app.text_input(key="filter").set_value("").run()
    assert "prune structured" in [one.value for one in app.subheader]


def test_a_term_is_found_with_its_meaning(empty):
    app = opened("reference", kind="term", filter="ECE")
    meaning = next(term.meaning for term in glossary.terms() if "ECE" in term.names)
    assert app.table[0].value.loc["ECE"].item() == meaning
