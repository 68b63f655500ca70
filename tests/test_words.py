"""Texts use the terms of docs/glossary.md."""

import re

import pytest

from kdcore.presets import presets
from tests.words import Text, banned, offences, strings, texts


def test_no_text_holds_a_phrase_that_the_glossary_replaces():
    found = offences(texts())
    assert not found, "\n".join(found)


def test_an_old_phrase_is_found_where_a_person_would_read_it():
    assert {"told", "minds most", "taken for", "strangers"} <= set(banned())
    source = (
        '"""strangers"""\ndef told():\n    "told"\n    return {"strangers": f"{told} Strangers", "told": "is told"}\n'
    )
    assert len(offences(strings(source, "a.py"))) == 2
    assert offences(iter([Text("b.md:1", "Taken for 3")]))
    assert not offences(iter([Text("b.md:1", "stranger things, retold")]))


@pytest.mark.parametrize("preset", presets(), ids=lambda preset: preset.name)
def test_a_preset_names_no_measured_figure(preset):
    figures = re.findall(r"\d[\d.,]* ?(?:%|points?\b|kB|MB|×|times\b|nats)", preset.summary + preset.look_for)
    assert not figures
