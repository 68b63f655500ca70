"""What a stage records of its members is told by its own key: runs that share a teacher may differ in their labels."""

from __future__ import annotations

import numpy as np
import pytest

from kdcore.files import read_json
from kdcore.report.membership import memberships
from kdcore.report.reading import RunFiles


@pytest.fixture(scope="module")
def runs(laboratory):
    """Two runs that share a teacher: the second has other labels, and a class hidden from its students."""
    return [
        laboratory.run("data.labels=30", "data.seed=0"),
        laboratory.run("data.labels=60", "data.seed=1", 'data.hide_classes=["3"]'),
    ]


def test_a_teacher_is_asked_about_the_students_of_either_run(laboratory, runs):
    assert laboratory.key(runs[0]) == laboratory.key(runs[1])
    for run_id, labels in zip(runs, (30, 60), strict=True):
        found = memberships(RunFiles(laboratory.workspace, run_id))
        assert [(one.members, one.shared) for one in found] == [(labels, True)] * len(found)
        assert all(one.more for one in found if one.role != "alone")


def test_a_students_members_are_its_labelled_images_of_the_classes_it_was_shown(laboratory, runs):
    with np.load(laboratory.model(runs[1], "student distilled") / "members.npz") as told:
        assert len(told["images"]) == 60
        assert 3 not in told["labels"]
        assert told["losses"].dtype == told["test"].dtype == np.float32
    report = read_json(laboratory.model(runs[1], "student distilled") / "report.json")
    found = memberships(RunFiles(laboratory.workspace, runs[1]))
    own = next(one for one in found if one.variant == "student distilled")
    assert (report["privacy"]["auc"], report["privacy"]["others"]) == (own.auc, own.others)


def test_what_is_hidden_from_a_students_run_is_no_part_of_its_teachers_report(laboratory, runs):
    teacher, student = (
        read_json(laboratory.model(runs[1], name) / "report.json")["quality"] for name in ("teacher", "student alone")
    )
    assert teacher["hidden"] == []
    assert "was hidden" not in teacher["calibration"]["reason"]
    assert [row["class"] for row in student["hidden"]] == ["3"]
    assert "class 3 was hidden" in student["calibration"]["reason"]
