import json

import pytest

from kdcore.files import read_json, write_json
from kdcore.report import comparison


def hide(laboratory, run, recalls):
    """Says in the files that the run's students never saw a 3, and how often each model recognises one."""
    plan = laboratory.workspace.run(run) / "plan.json"
    document = read_json(plan)
    document["dataset"]["hidden"] = ["3"]
    write_json(plan, document)
    for key, (recall, corrected) in recalls.items():
        path = laboratory.workspace.model(key) / "report.json"
        report = read_json(path)
        report["quality"]["hidden"] = [{"class": "3", "recall": recall, "recall_corrected": corrected}]
        path.write_text(json.dumps(report))


def test_the_recall_of_a_hidden_class_is_the_mean_over_the_seeds(laboratory):
    teacher, first, second = laboratory.model(190), laboratory.model(150), laboratory.model(150)
    run = laboratory.run(
        [
            {"name": "teacher", "role": "teacher", "keys": [teacher]},
            {"name": "student distilled", "role": "distilled", "keys": [first, second]},
        ]
    )
    hide(laboratory, run, {teacher: (1.0, 1.0), first: (0.2, 0.9), second: (0.4, 1.0)})
    (row,) = comparison.hidden(laboratory.workspace, run)
    assert row.variant == "student distilled"
    assert (row.recall, row.corrected, row.seeds) == (pytest.approx(0.3), pytest.approx(0.95), 2)
    assert comparison.document(laboratory.workspace, run)["hidden"][0]["hidden"] == "3"


def test_without_a_hidden_class_there_is_nothing_to_tell(laboratory):
    run = laboratory.run([{"name": "teacher", "role": "teacher", "keys": [laboratory.model(190)]}])
    assert comparison.hidden(laboratory.workspace, run) == []
