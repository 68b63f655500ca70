"""Terms and texts that explain them."""

from __future__ import annotations

import re

import pytest

from kdcore.report.glossary import explained, terms

LINK = re.compile(r'\[([^\]]+)\]\(reference\?kind=term&filter=([^ ]+) "([^"]+)"\)')


def test_each_term_has_a_meaning_and_no_name_comes_twice():
    names = [name for term in terms() for name in term.names]
    assert len(names) == len(set(names)) > 50
    assert all(term.meaning and term.section for term in terms())
    assert "Style" not in {term.section for term in terms()}


def test_two_words_for_one_thing_are_both_names():
    assert ("mean average precision", "mAP") in {term.names for term in terms()}
    assert ("gradient clipping",) in {term.names for term in terms()}


def test_the_first_mention_of_a_term_carries_its_meaning():
    text = explained("Soft targets at a high temperature. The temperature is T; soft targets help.")
    (first, second) = LINK.findall(text)
    assert first[:2] == ("Soft targets", "soft+targets")
    assert "probabilities" in first[2]
    assert second[0] == "temperature"
    assert LINK.sub(r"\1", text) == "Soft targets at a high temperature. The temperature is T; soft targets help."


@pytest.mark.parametrize(
    "text",
    [
        "`calibration`", "$calibration$", "[calibration](x)", ":material/calibration:", ":blue[calibration]",
        "# calibration", "recalibrations", "the teacher, the student, a run of one size",
    ],
)  # fmt: skip
def test_code_formulas_links_headings_and_everyday_words_stay(text):
    assert explained(text) == text
