"""Distributions, temperatures and likeness: the figures of the page Soft targets."""

from __future__ import annotations

import numpy as np
import pytest

from kdcore.figures.class_similarity import alike, alike_view
from kdcore.figures.distributions import Said, distributions, distributions_view
from kdcore.figures.softening import TEMPERATURES
from kdcore.figures.temperature import temperatures, temperatures_view

CLASSES = ("cat", "dog", "ship")
TEACHER = Said("teacher", "teacher", np.log([0.7, 0.2, 0.1]))
STUDENT = Said("student distilled", "distilled", np.log([0.5, 0.4, 0.1]))


def test_the_title_tells_the_label_and_the_next_class():
    view = distributions_view([TEACHER], CLASSES, 0, 1)
    assert view.title == "At T = 1 the teacher assigns 70.0 % to cat (the label), 20.0 % to dog"


def test_the_next_class_may_be_above_the_label():
    assert distributions_view([TEACHER], CLASSES, 1, 1).title.endswith("20.0 % to dog (the label), 70.0 % to cat")


def test_bars_of_label_and_models_on_one_scale():
    chart = distributions([TEACHER, STUDENT], CLASSES, 0, 1)
    assert [trace.name for trace in chart.data] == ["Label (one-hot)", "teacher", "student distilled"]
    assert chart.data[0].y == pytest.approx((100, 0, 0))
    assert chart.data[1].y == pytest.approx((70, 20, 10))
    assert tuple(chart.layout.yaxis.range) == (0, 101)


def test_of_many_classes_the_likeliest_and_the_rest_are_drawn():
    classes = [f"class {number}" for number in range(100)]
    logits = -np.arange(100.0)
    view = distributions_view([Said("teacher", "teacher", logits)], classes, 40, 4)
    assert view.bars == ("class 40", *classes[:10], "89 others")
    (answer,) = view.answers
    whole = np.exp(logits / 4) / np.exp(logits / 4).sum()
    assert answer.probabilities[:3] == pytest.approx(whole[[40, 0, 1]])
    assert answer.probabilities.sum() == pytest.approx(1)
    assert len(distributions([Said("teacher", "teacher", logits)], classes, 40, 4).data[0].y) == 12


def test_temperatures_mark_the_current_one_and_measure_from_the_teacher():
    view = temperatures_view([TEACHER, STUDENT], 4)
    assert (view.now, view.courses[0].divergence) == (4, None)
    at_one = TEMPERATURES.index(1.0)
    expected = 0.7 * np.log(0.7 / 0.5) + 0.2 * np.log(0.2 / 0.4)
    assert view.courses[1].divergence[at_one] == pytest.approx(expected)
    assert view.courses[0].entropy[-1] == pytest.approx(np.log(3), abs=0.01)
    chart = temperatures([TEACHER, STUDENT], 4)
    assert {shape.x0 for shape in chart.layout.shapes} == {4}
    assert chart.layout.xaxis.type == "log"


def test_lines_of_one_role_differ_and_a_model_has_one_dash():
    chart = temperatures([TEACHER, STUDENT, STUDENT._replace(name="another")], 4)
    dashes = {name: {line.line.dash for line in chart.data if line.name == name} for name in (STUDENT.name, "another")}
    assert sorted(map(len, dashes.values())) == [1, 1]
    assert dashes[STUDENT.name] != dashes["another"]


def test_the_teacher_alone_has_no_distance():
    chart = temperatures([TEACHER], 1)
    assert [trace.name for trace in chart.data] == ["teacher"]


def test_alike_leaves_out_the_class_itself():
    logits = np.log([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.1, 0.1, 0.8]])
    view = alike_view(logits, [0, 1, 2], CLASSES, 1)
    assert np.isnan(np.diag(view.shares)).all()
    assert view.title == "Most confused at T = 1: dog with cat, mean probability 30.0 %"
    chart = alike(logits, [0, 1, 2], CLASSES, 1)
    assert chart.data[0].z[1][0] == pytest.approx(30)
    assert chart.layout.yaxis.autorange == "reversed"


def test_the_heat_map_begins_at_the_background():
    chart = alike(np.zeros((3, 3)), [0, 1, 2], CLASSES, 1)
    assert chart.data[0].colorscale[0][1].endswith(", 0)")


def test_of_many_classes_the_most_alike_are_shown():
    classes, labels = [f"class {number}" for number in range(100)], np.arange(100)
    logits = 5 * np.eye(100)
    logits[70, 71] = logits[8, 9] = 4.9
    view = alike_view(logits, labels, classes, 1)
    assert len(view.classes) == 20
    assert {"class 8", "class 9", "class 70", "class 71"} <= set(view.classes)
    place = view.classes.index("class 70"), view.classes.index("class 71")
    assert view.shares[place] == pytest.approx(np.exp(4.9) / (np.exp(5) + np.exp(4.9) + 98), rel=1e-6)
    assert "most confused of 100" in alike(logits, labels, classes, 1).layout.xaxis.title.text


def test_of_several_labels_each_class_is_answered_with_yes_or_no():
    said = Said("teacher", "teacher", np.log([3.0, 1 / 4, 9.0]))  # odds
    view = distributions_view([said], CLASSES, [1, 1, 0], 1)
    assert view.answers[0].probabilities == pytest.approx((0.75, 0.2, 0.9))
    assert view.labels.tolist() == [1, 1, 0]
    assert view.title == "At T = 1 the teacher detects cat (75.0 %), ship (90.0 %); labels: cat, dog"
    assert view.label == "Labels"
    none = distributions_view([Said("teacher", "teacher", [-1, -1, -1])], CLASSES, [0, 0, 0], 1)
    assert none.title == "At T = 1 the teacher detects nothing; labels: none"


def test_of_several_labels_the_entropies_of_all_classes_are_summed():
    view = temperatures_view([Said("teacher", "teacher", [0.0, 0.0, 50.0])], 1, several=True)
    assert view.most == pytest.approx(3 * np.log(2))
    assert view.courses[0].entropy[TEMPERATURES.index(1.0)] == pytest.approx(2 * np.log(2))


def test_of_several_labels_a_class_is_told_where_it_is_not():
    logits = np.log([[9.0, 1.0, 1 / 3], [9.0, 3.0, 1 / 3], [1 / 9, 9.0, 1 / 9]])
    view = alike_view(logits, [[1, 0, 0], [1, 1, 0], [0, 1, 0]], CLASSES, 1)
    assert view.shares[0] == pytest.approx((np.nan, 0.5, 0.25), nan_ok=True)  # dogs where a cat is and no dog
    assert view.shares[1] == pytest.approx((0.1, np.nan, (0.25 + 0.1) / 2), nan_ok=True)
    assert view.title == "At T = 1, examples labelled cat but not dog: mean probability of dog 50.0 %"
