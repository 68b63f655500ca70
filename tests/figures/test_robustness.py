import plotly.graph_objects as go
import pytest

from kdcore.figures import style
from kdcore.figures.robustness import class_changes, class_changes_view, falls, falls_view
from kdcore.inputs.corruptions import CORRUPTIONS
from kdcore.report.robustness import Robust


def variant(name, role="distilled", clean=0.98, worst=0.5, measure="accuracy", classes=3):
    scores = {kind: tuple(clean - (clean - worst) * level / 5 for level in range(1, 6)) for kind in CORRUPTIONS}
    scores["blur"] = tuple(score / 2 for score in scores["blur"])
    rows = tuple(
        {"class": f"kind {k}", "n": 20, "clean": clean, **dict.fromkeys(CORRUPTIONS, worst + 0.01 * k)}
        for k in range(classes)
    )
    return Robust("run", name, role, "k", None, None, measure, 60, clean, worst, scores, rows, None, {})


FOUND = [variant("teacher", "teacher", 0.99, 0.7), variant("alone", "alone"), variant("int8", "quantized", 0.97, 0.4)]


def test_lines_begin_at_the_clean_images_in_the_looks_of_their_roles():
    figure = falls(FOUND, "noise")
    assert [tuple(line.x) for line in figure.data] == [tuple(range(6))] * 3
    assert figure.data[2].y == pytest.approx([97, 85.6, 74.2, 62.8, 51.4, 40])
    assert [line.marker.symbol for line in figure.data] == ["star", "circle-open", "diamond"]
    assert figure.data[2].line.color == style.ROLES["quantized"].colour
    assert figure.layout.title.text == "Noise takes int8 from 97.0 to 62.8 % on average; highest: teacher, 81.6 %"
    assert figure.layout.xaxis.title.text == "Severity of the noise (0: clean)"
    assert figure.layout.yaxis.title.text == "Test accuracy (%)"


def test_without_a_choice_it_is_the_mean_over_the_corruptions():
    view = falls_view(FOUND)
    assert view.lines[2].scores[-1] == pytest.approx((4 * 40 + 20) / 5)
    assert view.title.startswith("Corruption takes int8 from")
    assert falls_view(FOUND, "jpeg").severity_title == "Severity of the JPEG (0: clean)"


def test_one_variant_and_none():
    assert falls_view(FOUND[:1], "blur").title == "Blur takes teacher from 99.0 to 40.8 % on average"
    assert falls_view(FOUND[::-1], "blur").title.endswith("to 40.8 % on average, the highest of all")
    assert isinstance(falls([]), go.Figure)


def test_the_heat_map_is_around_zero_and_begins_with_who_lost_most():
    worse = FOUND[2]._replace(
        classes=tuple(row | ({"noise": 0.1} if row["class"] == "kind 1" else {}) for row in FOUND[2].classes)
    )
    view = class_changes_view(worse, FOUND[0])
    assert view.classes[0] == "kind 1"
    assert view.points[0][:2] == pytest.approx((-2.0, -61.0))
    assert view.title == (
        "From teacher to int8, class kind 1 lost most: −36.2 points on corrupted inputs, −2.0 on clean inputs"
    )
    heat = class_changes(worse, FOUND[0]).data[0]
    assert (heat.zmin, heat.zmax) == (pytest.approx(-61), pytest.approx(61))
    middle = [colour for place, colour in heat.colorscale if place == 0.5]
    assert all(colour.endswith(", 0)") for colour in middle), "zero is the background"
    assert list(heat.x) == ["Clean", *CORRUPTIONS.values()]
    weak, strong = class_changes(worse, FOUND[0]).data[1:]
    assert strong.text == ("−61.0",)
    assert (strong.textfont.color, weak.textfont.color) == ("#FFFFFF", None), "as the page writes, light or dark"
    assert len(weak.text) + len(strong.text) == 3 * 6


def test_of_many_classes_those_that_lost_most_are_shown():
    one, other = variant("int8", classes=50), variant("teacher", worst=0.9, classes=50)
    view = class_changes_view(one, other)
    assert (len(view.classes), view.of) == (20, 50)
    assert "20 that lost most of 50" in class_changes(one, other).layout.yaxis.title.text


def test_when_nobody_lost_more_it_says_so():
    assert class_changes_view(FOUND[0], FOUND[2]).title.startswith("From int8 to teacher, no class lost more")


def test_classes_without_images_are_gaps():
    empty = FOUND[0]._replace(classes=({"class": "x", "n": 0, "clean": None, **dict.fromkeys(CORRUPTIONS)},))
    view = class_changes_view(empty, empty)
    assert view.points == ((None,) * 6,)
    assert view.title == "No class was measured"
