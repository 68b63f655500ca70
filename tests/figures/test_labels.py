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


def test_names_for_which_there_is_no_room_join_the_nearest():
    scores = (89, 89.1, 89.2, 90, 90.1, 90.2, 91, 91.1, 91.2)
    names = [f"student distilled (temperature {2**k})" for k in range(len(scores))]
    students = [mark(name, 1, score) for name, score in zip(names, scores, strict=True)]
    found = labels([mark("teacher", 9, 99), *students])
    told = [label.text.replace("\u2002", "") for label in found if label.text]
    assert told == ["teacher", "<br>".join(reversed(names[:3])), "<br>".join(reversed(names[3:]))]
