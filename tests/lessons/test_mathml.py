"""Formulas that need no network."""

import xml.etree.ElementTree as ET

import pytest

from kdcore.lessons.mathml import mathml


def tree(latex):
    return ET.fromstring(mathml(latex))


def test_scripts_fractions_and_roots_have_their_parts():
    found = tree(r"q_k^2 = \frac{\exp(z_k / T)}{\sqrt{2}}")
    assert [part.text for part in found.find("msubsup")] == ["q", "k", "2"]
    over, under = found.find("mfrac")
    assert "".join(over.itertext()) == "exp(zk/T)"
    assert under.find("msqrt/mrow/mn").text == "2"


def test_names_are_words_and_numbers_stay_whole():
    found = tree(r"\mathrm{KL} \le 0.25")
    assert [part.text for part in found] == ["KL", "≤", "0.25"]


def test_an_unknown_command_is_an_error():
    with pytest.raises(ValueError, match="unknown"):
        mathml(r"\unknown{x}")
