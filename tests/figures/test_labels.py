from __future__ import annotations

from kdcore.figures.labels import Mark, labels


def mark(name, x, y):
    return Mark(name, x, y, y - 0.5, y + 0.5)


def test_marks_at_one_place_share_a_label_the_best_first():
    found = labels([mark("coded", 1, 98), mark("zeros", 1, 98.1), mark("teacher", 2, 98.1), mark("alone", 1, 90)])
    told = [label.text.replace("\u2002", "") for label in found]
    assert told[2:] == ["teacher", "alone"]
    assert {told[0], told[1]} == {"zeros<br>coded", ""}


def test_names_stand_on_the_side_that_has_room():
    found = labels([mark("small", 1, 90), mark("large", 2, 99)])
    assert [label.position for label in found] == ["top right", "top left"]


def test_a_name_is_below_where_another_mark_or_its_bar_is_above():
    found = labels([mark("first", 1, 90), mark("second", 1.1, 90.4), mark("far", 2, 80)])
    assert found[0].position == "bottom right"
    assert labels([]) == []
