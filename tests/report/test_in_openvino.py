"""Times in OpenVINO, in the comparison and in words."""

import pytest

from kdcore.files import read_json, write_json
from kdcore.report import columns, comparison, sessions


@pytest.fixture
def told(laboratory, quickstart):
    """Adds times in OpenVINO to the run's session: half of the student's in ONNX Runtime, none of int8."""
    rows = {row["variant"]: row for row in comparison.rows(laboratory.workspace, [quickstart])}
    keys = {name: row["model_key"] for name, row in rows.items()}
    path = laboratory.workspace.sessions / f"{rows['teacher']['session']}.json"
    session = read_json(path)
    batches = {
        batch: {"rounds_cpu_ms": [ms / 2 for ms in times["rounds_cpu_ms"]]}
        for batch, times in session["models"][keys["student distilled"]]["batches"].items()
    }
    models = {
        keys["student distilled"]: {"batches": batches, "agreement": 0.99, "images": 100},
        keys["int8"]: {"batches": {}, "reason": "too few bits"},
    }
    write_json(path, session | {"openvino": {"version": "1.0", "models": models}})
    return session["id"], {key: name for name, key in keys.items()}


def rows_of(laboratory, run):
    return {row["variant"]: row for row in comparison.rows(laboratory.workspace, [run])}


def test_speed_is_against_the_teacher_in_onnxruntime(laboratory, quickstart, told):
    rows = rows_of(laboratory, quickstart)
    student = rows["student distilled"]
    assert student["openvino_ms"] == pytest.approx(student["latency_ms"] / 2)
    assert student["openvino_speedup"] == pytest.approx(2 * student["speedup"])
    assert student["openvino_images_per_s"] == pytest.approx(2 * student["images_per_s"])
    assert student["openvino_agreement"] == 0.99
    names = [name for name in comparison.COLUMNS if name.startswith("openvino_")]
    assert [rows["int8"][name] for name in names] == [None] * len(names)


def test_the_baseline_runs_in_onnxruntime_all_the_same(laboratory, quickstart, told):
    rows = comparison.rows(laboratory.workspace, [quickstart])
    student = next(row for row in rows if row["variant"] == "student distilled")
    against = {one.variant: one for one in comparison.differences(laboratory.workspace, rows, student)}
    assert against["student distilled"].openvino.value == pytest.approx(2)
    assert against["int8"].openvino is None


def test_its_columns_are_shown_where_there_are_times(laboratory, quickstart, told):
    rows = comparison.rows(laboratory.workspace, [quickstart])
    assert {"openvino_ms", "openvino", "openvino_agreement"} < set(columns.usual(rows))
    table = columns.rounded(laboratory.workspace, rows).table
    assert any("openvino" in name.lower() for name in table)
    without = [row | dict.fromkeys(("openvino_ms", "openvino_agreement")) for row in rows]
    assert not [name for name in columns.usual(without) if name.startswith("openvino")]


def test_what_is_missing_is_told_with_its_reason(laboratory, told):
    session_id, names = told
    session = sessions.named_session(laboratory.workspace, session_id)
    words = sessions.openvino_note(session, names)
    assert words.startswith("OpenVINO 1.0: ")
    assert "100 test examples" in words
    assert "Int8: too few bits." in words
    missing = session | {"openvino": {"reason": "not here", "models": {}}}
    assert sessions.openvino_note(missing, names) == "Not timed in OpenVINO: not here."
    assert sessions.openvino_note({}, names) == ""
