"""A run whose files are timed in OpenVINO too, and a later session of them, with real models of seconds."""

from __future__ import annotations

import pytest

from kdcore.execute.in_openvino import IMAGES
from kdcore.export import openvino_runtime
from kdcore.files import read_json
from kdcore.jobs import api
from kdcore.jobs.tasks import task
from kdcore.problems import RecipeError
from kdcore.report import comparison

pytest.importorskip("openvino")


@pytest.fixture(scope="module")
def run_id(laboratory):
    return laboratory.run('compress=[{"step": "int8"}]', "measure.timing_seconds=0.3", "measure.openvino=true")


def test_every_variant_is_timed_and_answers_as_in_onnxruntime(laboratory, run_id):
    rows = comparison.rows(laboratory.workspace, [run_id])
    assert [row["variant"] for row in rows] == ["teacher", "student alone", "student distilled", "int8"]
    for row in rows:
        assert row["openvino_ms"] > 0
        assert row["openvino_speedup_low"] <= row["openvino_speedup"] <= row["openvino_speedup_high"]
        assert row["openvino_agreement"] > (0.9 if row["variant"] == "int8" else 0.99)
    session = read_json(laboratory.workspace.sessions / f"{rows[0]['session']}.json")
    assert {one["images"] for one in session["openvino"]["models"].values()} == {IMAGES}


def test_a_later_session_times_in_openvino_where_that_is_asked_for(laboratory, run_id):
    for asked in (False, True):
        later = api.bench(laboratory.workspace, [run_id], 0.2, openvino=asked)
        work = task(laboratory.workspace, laboratory.workspace.run(later), lambda: None)
        work.carry_out()
        session = read_json(laboratory.workspace.sessions / f"{work.session}.json")
        assert ("openvino" in session) is asked


def test_without_openvino_the_queue_refuses(laboratory, run_id, monkeypatch):
    monkeypatch.setattr(openvino_runtime, "installed", lambda: False)
    with pytest.raises(RecipeError, match="pip install"):
        api.bench(laboratory.workspace, [run_id], openvino=True)
