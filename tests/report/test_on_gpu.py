"""Times on a GPU, in the comparison and in words."""

import pytest

from kdcore.files import read_json, write_json
from kdcore.report import comparison, sessions


def timed(eager, compiled=None):
    modes = {"eager": {"ms": eager, "p90_ms": 2 * eager}, "graph": {"ms": eager / 4, "p90_ms": eager}}
    modes["compiled"] = {"ms": compiled, "p90_ms": compiled} if compiled else {"reason": "no compiler"}
    return {"batches": {"1": {"fp32": modes, "bf16": modes}, "64": {"fp32": modes, "bf16": modes}}}


@pytest.fixture
def told(laboratory, quickstart):
    """Adds times on a GPU to the run's session: the teacher's, the student's without a compiler, none of int8."""
    rows = {row["variant"]: row for row in comparison.rows(laboratory.workspace, [quickstart])}
    path = laboratory.workspace.sessions / f"{rows['teacher']['session']}.json"
    session = read_json(path)
    keys = {name: row["model_key"] for name, row in rows.items()}
    models = {
        keys["teacher"]: timed(0.8, 0.3),
        keys["student distilled"]: timed(0.4),
        keys["int8"]: {"reason": "a file"},
    }
    write_json(path, session | {"cuda": {"device": "a card", "tf32": True, "models": models}})
    return session["id"], {key: name for name, key in keys.items()}


def test_the_columns_are_of_one_image_in_fp32(laboratory, quickstart, told):
    rows = {row["variant"]: row for row in comparison.rows(laboratory.workspace, [quickstart])}
    columns = ("cuda_eager_ms", "cuda_graph_ms", "cuda_compiled_ms")
    assert set(columns) < set(comparison.COLUMNS)
    assert [rows["teacher"][name] for name in columns] == [0.8, 0.2, 0.3]
    assert [rows["student distilled"][name] for name in columns] == [0.4, 0.1, None]
    assert [rows["int8"][name] for name in columns] == [None] * 3
    assert rows["int8"]["latency_ms"] > 0


def test_without_a_gpu_they_are_empty(laboratory, quickstart):
    for row in comparison.rows(laboratory.workspace, [quickstart]):
        assert [value for name, value in row.items() if name.startswith("cuda_")] == [None] * 3


def test_what_is_missing_is_told_with_its_reason(laboratory, told):
    session_id, names = told
    session = sessions.named_session(laboratory.workspace, session_id)
    words = sessions.gpu_note(session, names)
    assert words.startswith("On a card: batch size 1, fp32 (convolutions may use TF32), medians by CUDA events")
    assert "student distilled, compiled: no compiler." in words
    assert "int8: a file." in words
    failed = session | {"cuda": {"reason": "no memory", "models": {}}}
    assert sessions.gpu_note(failed, names) == "No GPU timings: no memory."
    assert sessions.on_gpu(failed, "teacher") == dict.fromkeys(sessions.GPU_MODES)
    assert sessions.gpu_note({}, names) == ""
