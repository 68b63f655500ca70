from __future__ import annotations

import numpy as np
import pytest

from kdcore.figures.sensitivity import sensitivity, sensitivity_view


def document(kind="prune", **accuracies):
    """Accuracies by layer, one for each strength."""
    strengths = {"prune": (0.5, 0.9), "filters": (0.25, 0.5), "quantize": (8, 2)}[kind]
    rows = [
        {"layer": name, "weights": 100, "filters": 4, "strength": strength, "accuracy": accuracy, "loss": 1 - accuracy}
        for name, found in accuracies.items()
        for strength, accuracy in zip(strengths, found, strict=True)
    ]
    told = {"accuracy": 0.9, "loss": 0.1}
    return {"kind": kind, "images": 200, "untouched": told, "baseline": told, "rows": rows}


def test_the_title_names_the_most_and_least_sensitive_layer_at_the_same_strength():
    view = sensitivity_view(document(stem=(0.85, 0.4), head=(0.92, 0.88)))
    assert view.title == "Most sensitive: stem, 50.0 points lost with 90 % of its weights removed; least: head, 2.0"
    assert view.lost == pytest.approx(np.array([[5, 50], [0, 2]]))  # what gains loses nothing
    assert (view.layers, view.strengths) == (("stem", "head"), ("50 %", "90 %"))


def test_filters_and_bits_are_told_in_their_words():
    assert (
        "30.0 points lost with 50 % of its filters removed"
        in sensitivity_view(document("filters", stem=(0.9, 0.6))).title
    )
    view = sensitivity_view(document("quantize", stem=(0.9, 0.6), head=(0.9, 0.9)))
    assert view.strengths == ("8 bits", "2 bits")  # from mild to strong
    assert view.title.startswith("Most sensitive: stem, 30.0 points lost with 2 bits")


def test_where_no_layer_is_sensitive_it_says_so():
    assert sensitivity_view(document(stem=(0.9, 0.95))).title == "No layer is sensitive up to 90 %"
    assert sensitivity_view(document()).title == "No layer can be compressed"


def test_the_heat_map_tells_accuracies_and_begins_at_the_background():
    chart = sensitivity(document(stem=(0.85, 0.4), head=(0.92, 0.88)))
    assert chart.data[0].text[0][1] == "40.0 %"
    assert chart.data[0].colorscale[0][1].endswith(", 0)")
    assert chart.layout.yaxis.autorange == "reversed"
    assert chart.layout.xaxis.title.text == "Share of the layer's weights set to zero"


def test_a_strength_that_was_not_measured_is_left_open():
    found = document(stem=(0.85, 0.4), head=(0.92, 0.88))
    del found["rows"][0]
    view = sensitivity_view(found)
    assert np.isnan(view.accuracy[0, 0])
    assert view.title.startswith("Most sensitive: stem")
