from __future__ import annotations

import json
import math
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from kdcore.files import read_json
from kdcore.report import comparison, sessions
from kdcore.report.comparison import COLUMNS
from kdcore.workspace.workspace import UnknownRun
from tests.damage.runs import DATA

ORDER = ["teacher", "student alone", "student on hard labels", "student distilled", "pruned 50 %", "int8"]


@pytest.fixture
def rows(laboratory, quickstart):
    return comparison.rows(laboratory.workspace, [quickstart])


def named(rows, variant):
    return next(row for row in rows if row["variant"] == variant)


def test_rows_hold_every_column_in_designs_order(laboratory, quickstart, rows):
    assert [row["variant"] for row in rows] == ORDER
    assert all(set(COLUMNS) <= row.keys() for row in rows)
    assert list(comparison.table(laboratory.workspace, [quickstart]).columns) == list(COLUMNS)


def test_one_seed_has_wilsons_interval(rows):
    teacher = named(rows, "teacher")
    expected = stats.binomtest(198, 200).proportion_ci(method="wilson")
    assert (teacher["accuracy"], teacher["seeds"], teacher["interval"]) == (0.99, 1, "Wilson, n=200")
    assert (teacher["accuracy_low"], teacher["accuracy_high"]) == pytest.approx(tuple(expected))


def test_several_seeds_have_students_interval_of_their_mean(rows):
    alone = named(rows, "student alone")
    accuracies = np.array([170, 168, 173]) / 200
    expected = stats.t.interval(0.95, 2, accuracies.mean(), stats.sem(accuracies))
    assert (alone["seeds"], alone["interval"]) == (3, "t, 3 seeds")
    assert (alone["accuracy"], alone["accuracy_low"], alone["accuracy_high"]) == pytest.approx(
        (accuracies.mean(), *expected)
    )
    assert alone["macro_recall"] == pytest.approx(accuracies.mean())  # which the tests' reports set equal


def test_intervals_of_shares_stay_shares(laboratory):
    keys = [laboratory.model(right) for right in (200, 199, 194)]
    run = laboratory.run([{"name": "student alone", "role": "alone", "keys": keys}])
    (row,) = comparison.rows(laboratory.workspace, [run])
    assert row["accuracy_high"] == 1.0


def test_agreement_is_counted_on_the_images(laboratory, rows):
    """Where both are wrong they give the same wrong class here, so they agree where both are right or both wrong."""
    teacher_right, student_right = np.arange(200) < 198, np.arange(200) < 194
    assert named(rows, "student distilled")["agreement"] == pytest.approx((teacher_right == student_right).mean())
    assert named(rows, "teacher")["agreement"] == 1.0


def test_a_step_is_told_against_its_parent_file_not_against_the_mean(rows):
    assert named(rows, "pruned 50 %")["parent_delta"] == pytest.approx(191 / 200 - 194 / 200)
    assert named(rows, "int8")["parent_delta"] == pytest.approx(190 / 200 - 191 / 200)
    assert named(rows, "student distilled")["parent_delta"] is None


def test_speed_is_against_the_teacher_in_the_session(laboratory, quickstart, rows):
    path = next(laboratory.workspace.sessions.glob("*.json"))
    models = read_json(path)["models"]
    int8, teacher = named(rows, "int8"), named(rows, "teacher")
    cost = {batch: {key: found["batches"][batch]["cpu_ms"] for key, found in models.items()} for batch in ("1", "64")}
    for batch, name in (("1", "speedup"), ("64", "throughput_gain")):
        expected = cost[batch][teacher["model_key"]] / cost[batch][int8["model_key"]]
        assert int8[name] == pytest.approx(expected, rel=0.02)
        assert int8[f"{name}_low"] < int8[name] < int8[f"{name}_high"]
    assert int8["latency_ms"] == models[int8["model_key"]]["batches"]["1"]["cpu_ms"]
    assert int8["images_per_s"] == pytest.approx(64_000 / models[int8["model_key"]]["batches"]["64"]["cpu_ms"])
    assert int8["images_per_s"] / teacher["images_per_s"] == pytest.approx(int8["throughput_gain"]), "one basis"
    assert teacher["latency_ms"] / int8["latency_ms"] == pytest.approx(int8["speedup"])
    assert (int8["speedup_differs"], int8["throughput_differs"]) == (True, True)
    assert teacher["speedup"] == 1.0
    assert int8["session"] == path.stem


def test_what_is_as_fast_as_the_reference_is_no_difference(laboratory):
    keys = [laboratory.model(198), laboratory.model(170)]
    run = laboratory.run(
        [{"name": "teacher", "role": "teacher", "keys": keys[:1]}, {"name": "s", "role": "alone", "keys": keys[1:]}]
    )
    laboratory.session({keys[0]: 1.0, keys[1]: 1.0}, noise=0.05)
    row = comparison.rows(laboratory.workspace, [run])[1]
    assert row["speedup_differs"] is False
    session = comparison.sessions.choose_session(laboratory.workspace, [comparison.RunFiles(laboratory.workspace, run)])
    assert sessions.speed(session[run], 1, keys[1], keys[0]).words == sessions.NO_DIFFERENCE


def test_an_order_that_turns_with_the_batch_size_is_reported(laboratory):
    teacher, small, large = (laboratory.model(right) for right in (199, 198, 170))
    path = laboratory.workspace.sessions / f"{laboratory.session({teacher: 9.0, small: 1.0, large: 5.0})}.json"
    names = {small: "pruned", large: "int8"}
    session = read_json(path)
    assert sessions.turned(session, names) == ""
    single, many = (session["models"][key]["batches"] for key in (small, large))
    single["64"], many["64"] = many["64"], single["64"]
    told = sessions.turned(session, names)
    assert re.search(r"pruned is [45]\.\d× as fast as int8 \(batch 1\), but int8 is [45]\.\d× as fast as pruned", told)
    fastest = {**names, teacher: "fastest"}
    session["models"][teacher]["batches"] = {"1": {"rounds_cpu_ms": [0.1] * 20}, "64": {"rounds_cpu_ms": [0.1] * 20}}
    assert sessions.turned(session, fastest) == told, "two others may turn below the fastest"
    assert sessions.turned(session, {small: "pruned"}) == sessions.turned(session, {}) == ""


def test_unfinished_variants_are_left_out_and_the_run_still_reads(laboratory, quickstart):
    keys = [row["model_key"] for row in comparison.rows(laboratory.workspace, [quickstart])]
    plan = read_json(laboratory.workspace.run(quickstart) / "plan.json")
    alone = next(row for row in plan["variants"] if row["role"] == "alone")["keys"]
    (laboratory.workspace.model(keys[-1]) / "done.json").unlink()
    (laboratory.workspace.model(alone[1]) / "done.json").unlink()
    rows = comparison.rows(laboratory.workspace, [quickstart])
    assert [row["variant"] for row in rows] == ORDER[:-1]
    assert named(rows, "student alone")["seeds"] == 2
    assert named(rows, "student alone")["accuracy"] == pytest.approx((170 + 173) / 400)
    verdict = comparison.verdicts(laboratory.workspace, quickstart)[0]
    assert (verdict.n, verdict.points) == (2, pytest.approx(100 * ((184 - 170) + (183 - 173)) / 400))


def test_a_run_without_anything_finished_has_no_rows(laboratory):
    run = laboratory.run([{"name": "teacher", "role": "teacher", "keys": ["ab" * 32]}], state="queued")
    assert comparison.rows(laboratory.workspace, [run]) == []
    assert comparison.summary(laboratory.workspace, run) == {}
    assert comparison.document(laboratory.workspace, run)["state"] == "queued"


def test_the_document_of_a_failed_run_has_the_reason(laboratory):
    rows = [{"name": "student distilled", "role": "distilled", "keys": [laboratory.model(190)]}]
    run = laboratory.run(rows)
    assert comparison.document(laboratory.workspace, run)["error"] is None
    path = laboratory.workspace.run(run) / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"state": "failed", "error": "no two layers"}))
    assert comparison.document(laboratory.workspace, run)["error"] == "no two layers"


def test_an_unknown_run_is_refused(laboratory):
    with pytest.raises(UnknownRun):
        comparison.rows(laboratory.workspace, ["261121-000000-abcdef"])


def test_a_lost_data_set_costs_the_steps_verdicts_alone(laboratory, quickstart):
    (laboratory.workspace.dataset("f00d") / "test_labels.npy").unlink()
    rows = comparison.rows(laboratory.workspace, [quickstart])
    assert named(rows, "int8")["verdict"] is None
    assert named(rows, "student distilled")["verdict"] == "BEATS"


class TestSessions:
    """Which session a comparison is read from."""

    def pair(self, laboratory):
        keys = [laboratory.model(198), laboratory.model(170), laboratory.model(180)]
        teacher = {"name": "teacher", "role": "teacher", "keys": keys[:1]}
        runs = [laboratory.run([teacher, {"name": "s", "role": "alone", "keys": [key]}]) for key in keys[1:]]
        return keys, runs

    def test_the_newest_that_timed_all_together(self, laboratory):
        keys, runs = self.pair(laboratory)
        laboratory.session(dict.fromkeys(keys, 1.0))
        newest = laboratory.session(dict.fromkeys(keys, 1.0))
        laboratory.session(dict.fromkeys(keys[:2], 1.0))
        rows = comparison.rows(laboratory.workspace, runs)
        assert {row["session"] for row in rows} == {newest}
        assert {row["latency_note"] for row in rows} == {""}

    def test_else_each_its_own_and_it_is_said(self, laboratory):
        keys, runs = self.pair(laboratory)
        first = laboratory.session(dict.fromkeys(keys[:2], 1.0))
        second = laboratory.session(dict.fromkeys([keys[0], keys[2]], 1.0))
        rows = comparison.rows(laboratory.workspace, runs)
        assert [row["session"] for row in rows] == [first, first, second, second]
        assert all(sessions.APART in row["latency_note"] for row in rows)

    def test_ratios_of_different_sessions_are_never_mixed(self, laboratory):
        keys, runs = self.pair(laboratory)
        laboratory.session(dict.fromkeys(keys[:2], 1.0))
        laboratory.session(dict.fromkeys([keys[0], keys[2]], 1.0))
        rows = comparison.rows(laboratory.workspace, runs)
        across = comparison.differences(laboratory.workspace, rows, rows[1])[3]
        assert (across.faster, across.throughput) == (None, None)

    def test_a_chosen_one_is_taken(self, laboratory):
        keys, runs = self.pair(laboratory)
        old = laboratory.session(dict.fromkeys(keys, 1.0))
        laboratory.session(dict.fromkeys(keys, 1.0))
        assert {row["session"] for row in comparison.rows(laboratory.workspace, runs, old)} == {old}
        with pytest.raises(LookupError, match="no timing session"):
            comparison.rows(laboratory.workspace, runs, "nothing")

    def test_none_leaves_the_times_empty(self, laboratory):
        _, runs = self.pair(laboratory)
        row = comparison.rows(laboratory.workspace, runs)[0]
        assert (row["session"], row["latency_ms"], row["speedup"], row["peak_memory_mb"]) == (None,) * 4

    def test_a_variant_that_was_finished_later_does_not_cost_the_others_theirs(self, laboratory):
        keys, runs = self.pair(laboratory)
        laboratory.session(dict.fromkeys([keys[0]], 1.0))
        rows = comparison.rows(laboratory.workspace, runs[:1])
        assert [row["latency_ms"] is None for row in rows] == [False, True]

    def test_a_busy_machine_is_told(self, laboratory):
        keys, runs = self.pair(laboratory)
        laboratory.session(dict.fromkeys(keys, 1.0), noisy=True)
        assert comparison.rows(laboratory.workspace, runs)[0]["latency_note"] == sessions.NOISY

    def test_a_damaged_file_is_passed_over(self, laboratory):
        keys, runs = self.pair(laboratory)
        good = laboratory.session(dict.fromkeys(keys, 1.0))
        (laboratory.workspace.sessions / "991231-235959-abcdef.json").write_text('{"schema": 1, "mod')
        assert comparison.rows(laboratory.workspace, runs)[0]["session"] == good


def test_differences_to_a_baseline(laboratory, rows):
    found = comparison.differences(laboratory.workspace, rows, named(rows, "student distilled"))
    int8 = next(one for one in found if one.variant == "int8")
    assert int8.smaller == 4.0
    assert int8.points == pytest.approx(100 * (190 / 200 - (194 + 192 + 196) / 600))
    assert int8.faster.value == pytest.approx(5.0, rel=0.05)
    assert int8.faster.words.startswith(("5.0× (", "4.9× (", "5.1× ("))
    own = next(one for one in found if one.variant == "student distilled")
    assert (own.smaller, own.points, own.faster.differs) == (1.0, 0.0, False)


def test_the_summary_is_the_last_variant_against_its_teacher(laboratory, quickstart, rows):
    found = comparison.summary(laboratory.workspace, quickstart)
    assert found == {
        "variant": "int8",
        "accuracy": 0.95,
        "measure": "accuracy",
        "score": 0.95,
        "bits": None,
        "smaller": 40.0,
        "faster": named(rows, "int8")["throughput_gain"],
        "differs": True,
        "busy": False,
    }


def test_in_a_sweep_every_row_is_told_against_its_own_teacher_and_control(laboratory):
    def rows(width, rights):
        keys = [[laboratory.model(right) for right in seeds] for seeds in rights]
        values = {"train.steps": width}
        return [
            {"name": f"student alone ({width})", "role": "alone", "keys": keys[0], "values": values},
            {"name": f"student distilled ({width})", "role": "distilled", "keys": keys[1], "values": values},
        ]

    teacher = {"name": "teacher", "role": "teacher", "keys": [laboratory.model(198)]}
    low, high = rows(100, [(100, 102), (150, 153)]), rows(200, [(180, 181), (190, 192)])
    run = laboratory.run([teacher, low[0], high[0], low[1], high[1]])
    found = {verdict.variant: verdict for verdict in comparison.verdicts(laboratory.workspace, run)}
    assert found["student distilled (100)"].against == "student alone (100)"
    assert found["student distilled (200)"].against == "student alone (200)"
    assert found["student distilled (200)"].points == pytest.approx(100 * 10.5 / 200)


def test_the_document_is_json_and_designs(laboratory, quickstart):
    found = json.loads(json.dumps(comparison.document(laboratory.workspace, quickstart), allow_nan=False))
    assert list(found)[:6] == ["run", "state", "recipe", "environment", "stages", "variants"]
    assert (found["run"], found["state"], found["environment"]) == (quickstart, "done", {"cpu": "a test's"})
    assert [list(variant) for variant in found["variants"]] == [list(COLUMNS)] * 6
    assert found["stages"][0].keys() == {"stage", "key", "reused", "seconds"}
    pairs = [(one["variant"], one["against"]) for one in found["verdicts"]]
    assert ("student distilled", "student on hard labels") in pairs


def test_documents_name_their_baseline(laboratory, quickstart, rows):
    found = comparison.documents(laboratory.workspace, [quickstart], rows[3])
    assert found["baseline"] == {"run": quickstart, "variant": "student distilled"}
    assert [run["run"] for run in found["runs"]] == [quickstart]


def test_the_table_keeps_whole_numbers_whole(laboratory, quickstart):
    found = comparison.table(laboratory.workspace, [quickstart])
    kinds = found[["size_bytes", "seeds", "accuracy", "top5"]].dtypes.astype(str).tolist()
    assert kinds == ["int64", "int64", "float64", "float64"]
    assert found["parent_delta"].isna().tolist() == [True] * 4 + [False] * 2
    assert isinstance(found, pd.DataFrame)


def test_a_timing_session_is_a_run_without_rows(laboratory, quickstart):
    plan = {"stages": [], "variants": [], "dataset": DATA}
    meta = {"name": "Timing", "requested": "run", "turn": 1, "created": 0.0}
    files = {"recipe.json": {"bench": [quickstart], "seconds": 5}, "plan.json": plan, "meta.json": meta}
    run = laboratory.workspace.new_run(files)
    assert comparison.rows(laboratory.workspace, [run, quickstart])[0]["run"] == quickstart
    assert comparison.document(laboratory.workspace, run)["variants"] == []


def test_every_number_is_finite_or_missing(rows):
    numbers = [value for row in rows for value in row.values() if isinstance(value, float)]
    assert numbers
    assert all(math.isfinite(value) for value in numbers)
    assert not any(isinstance(value, np.generic) for row in rows for value in row.values())


@pytest.mark.parametrize(
    "module", ["format", "statistics", "reading", "sessions", "verdicts", "comparison", "documents"]
)
def test_importing_the_report_is_light(module):
    heavy = "{'torch', 'scipy', 'pandas', 'sklearn', 'onnxruntime', 'streamlit'}"
    code = f"import sys, kdcore.report.{module}; print(sorted({heavy} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_a_layer_that_pruning_left_nearly_empty_is_told_in_the_note(laboratory):
    keys = [laboratory.model(190), laboratory.model(20)]
    path = laboratory.workspace.model(keys[1]) / "report.json"
    shares = {"head": 0.995, "last": 0.98, "first": 0.5}
    step = [{"name": name, "weights": 1000, "zeros": int(1000 * one), "sparsity": one} for name, one in shares.items()]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"step": step}))
    rows = [
        {"name": "student distilled", "role": "distilled", "keys": keys[:1]},
        {"name": "80 % zeros", "role": "pruned", "keys": keys[1:], "parent": "student distilled", "note": "No faster."},
    ]
    found = comparison.rows(laboratory.workspace, [laboratory.run(rows)])
    assert [row["note"] for row in found] == [
        "",
        "No faster. Nearly empty layers: head (99.5 % zeros), last (98.0 % zeros). Little signal passes through them.",
    ]


def test_a_step_that_counts_zeros_but_no_share_of_them_keeps_its_row(laboratory):
    """As sharing does."""
    keys = [laboratory.model(190), laboratory.model(189)]
    path = laboratory.workspace.model(keys[1]) / "report.json"
    step = [{"name": "head", "weights": 1000, "zeros": 900, "values": 16}]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"step": step}))
    rows = [
        {"name": "student distilled", "role": "distilled", "keys": keys[:1]},
        {"name": "shared 4 bits", "role": "shared", "keys": keys[1:], "parent": "student distilled"},
    ]
    run = laboratory.run(rows)
    assert not comparison.damages(laboratory.workspace, [run])
    assert [row["variant"] for row in comparison.rows(laboratory.workspace, [run])][-1] == "shared 4 bits"


def test_a_batch_size_that_was_left_out_of_the_timing_is_told(laboratory, quickstart):
    path = next(laboratory.workspace.sessions.glob("*.json"))
    found = json.loads(path.read_text())
    for timed in (*(model["batches"] for model in found["models"].values()), found["aa"]):
        timed.pop("64")
    path.write_text(json.dumps(found | {"left_out": {"64": "batches of 64 images were left out"}}))
    rows = comparison.rows(laboratory.workspace, [quickstart])
    assert {row["latency_note"] for row in rows} == {"batches of 64 images were left out"}
    assert {(row["images_per_s"], row["throughput_gain"]) for row in rows[1:]} == {(None, None)}
    assert all(row["latency_ms"] > 0 for row in rows)
