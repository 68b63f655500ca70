from __future__ import annotations

import numpy as np
import pytest

from kdcore.figures.sensitivity import minds, minds_view


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


def test_the_title_names_who_minds_most_and_least_at_the_same_strength():
    view = minds_view(document(stem=(0.85, 0.4), head=(0.92, 0.88)))
    assert view.title == "stem minds most: 90 % of its weights gone costs 50.0 points; head minds least: 2.0"
    assert view.lost == pytest.approx(np.array([[5, 50], [0, 2]]))  # what gains loses nothing
    assert (view.layers, view.strengths) == (("stem", "head"), ("50 %", "90 %"))


def test_filters_and_bits_are_told_in_their_words():
    assert "50 % of its filters gone costs 30.0" in minds_view(document("filters", stem=(0.9, 0.6))).title
    view = minds_view(document("quantize", stem=(0.9, 0.6), head=(0.9, 0.9)))
    assert view.strengths == ("8 bits", "2 bits")  # from mild to strong
    assert view.title.startswith("stem minds most: at 2 bits costs 30.0 points")


def test_where_nobody_minds_it_says_so():
    assert minds_view(document(stem=(0.9, 0.95))).title == "No layer minds, up to 90 % of one alone"
    assert minds_view(document()).title == "There is no layer that could be changed"


def test_the_heat_map_tells_accuracies_and_begins_at_the_background():
    chart = minds(document(stem=(0.85, 0.4), head=(0.92, 0.88)))
    assert chart.data[0].text[0][1] == "40.0 %"
    assert chart.data[0].colorscale[0][1].endswith(", 0)")
    assert chart.layout.yaxis.autorange == "reversed"
    assert chart.layout.xaxis.title.text == "Weights of the layer set to zero"


def test_a_strength_that_was_not_measured_is_left_open():
    found = document(stem=(0.85, 0.4), head=(0.92, 0.88))
    del found["rows"][0]
    view = minds_view(found)
    assert np.isnan(view.accuracy[0, 0])
    assert view.title.startswith("stem minds most")
