from __future__ import annotations

from kdcore.figures.labels import NONE, Mark, labels


def mark(name, x, y):
    return Mark(name, x, y, y - 0.5, y + 0.5)


def test_marks_at_one_place_share_a_label_the_best_first():
    found = labels([mark("coded", 1, 98), mark("zeros", 1, 98.1), mark("teacher", 2, 98.1), mark("alone", 1, 90)])
    shown = [label.text for label in found]
    assert shown[2:] == ["teacher", "alone"]
    assert {shown[0], shown[1]} == {"zeros<br>coded", ""}


def test_names_stand_on_the_side_that_has_room():
    left, right = labels([mark("small", 1, 90), mark("large", 2, 99)])
    assert (left.anchor, right.anchor) == ("left", "right")
    assert not left.leader
    assert labels([]) == []


def test_a_name_is_below_where_another_mark_or_its_bar_is_above():
    assert labels([mark("first", 1, 90), mark("far", 2, 80)])[0].up > 0
    assert labels([mark("first", 1, 90), mark("second", 1.1, 90.4), mark("far", 2, 80)])[0].up <= 0


def test_no_name_stands_on_a_line():
    marks = [mark("first", 1, 90), mark("last", 2, 99)]
    assert labels(marks)[0].up > 0
    assert labels(marks, [[(1, 90.5), (2, 90.5)]])[0].up < 0


def test_a_name_without_room_beside_its_mark_has_a_leader_or_is_left_to_the_hover():
    crowd = [mark(f"student distilled (T {k})", 1 + 0.05 * k, 90 + 0.1 * k) for k in range(4)]
    found = labels([mark("teacher", 2, 99), *crowd])
    assert any(label.leader for label in found)
    many = [mark(f"student distilled (temperature {k})", 1 + 0.05 * k, 90 + k % 3) for k in range(40)]
    assert NONE in labels(many)
