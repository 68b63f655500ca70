"""Teachers that a run does not train: what is planned, what is refused where, and that each one teaches."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from kdcore.data.dataset import load
from kdcore.distill import softlabels
from kdcore.distill.source import ChangedFile
from kdcore.execute.file_teachers import RecordedLogits
from kdcore.execute.teachers import GoneTeacher
from kdcore.files import read_json
from kdcore.jobs import api
from kdcore.jobs.tasks import task
from kdcore.plan.estimate import FIXED_SECONDS, NOMINAL_RATE, architectures, weights
from kdcore.recipe import RecipeError
from kdcore.report import comparison, documents
from kdcore.workspace.gc import collect
from kdcore.workspace.integrity import inventory
from tests.small import small

STILL = ("train.views.shift=0", "train.views.mixup=0")


def source(name, **options):
    return "teacher.source=" + json.dumps({"teacher": name} | {key: str(value) for key, value in options.items()})


@pytest.fixture(scope="module")
def earlier(laboratory):
    """A finished run."""
    return laboratory.run("compress=" + json.dumps([{"step": "int8"}]))


@pytest.fixture(scope="module")
def digits():
    return load(small().data.source)


@pytest.fixture(scope="module")
def soft(tmp_path_factory, digits):
    """Files of soft labels, with and without answers to the test images: right nine times out of ten."""
    folder = tmp_path_factory.mktemp("soft")
    generator = np.random.default_rng(0)
    told = {}
    for part, labels in (("train", digits.train_labels), ("test", digits.test_labels)):
        told[part] = generator.normal(size=(len(labels), 10)).astype(np.float32)
        told[part][np.arange(len(labels)), labels] += 4 * (np.arange(len(labels)) % 10 > 0)
    softlabels.write(folder / "whole.npz", digits, told["train"], told["test"], "a test")
    softlabels.write(folder / "half.npz", digits, told["train"], None, "a test")
    return folder


def problems(laboratory, *assignments):
    with pytest.raises(RecipeError) as caught:
        laboratory.submit(*assignments)
    return {problem.field: problem.message for problem in caught.value.problems}


def rows(laboratory, run_id):
    return {row["variant"]: row for row in comparison.rows(laboratory.workspace, [run_id])}


# An earlier model


@pytest.mark.parametrize("by", ["run", "key"])
def test_an_earlier_model_is_the_teacher_as_it_is(laboratory, earlier, by):
    key = laboratory.key(earlier)
    run_id = laboratory.submit(source("earlier", model=earlier if by == "run" else key), "distill.temperature=3")
    plan = laboratory.plan(run_id)
    assert plan.variants[0].keys == (key,)
    assert [stage.kind for stage in plan.stages] == ["given", "train", "distill"]
    run = laboratory.carry_out(run_id)
    assert [stage["reused"] for stage in run.stages][:2] == [True, True]
    assert rows(laboratory, run_id)["teacher"]["model_key"] == key


def test_an_estimate_counts_what_asking_it_takes(laboratory, earlier):
    plan = laboratory.plan(laboratory.submit(source("earlier", model=earlier)))
    sizes = dict.fromkeys(architectures(plan), 1000)
    found = {stage.title: weights(plan, sizes)[stage.key] for stage in plan.stages}
    asked = read_json(laboratory.model(earlier) / "report.json")["cost"]["macs"]
    assert found["teacher"] == FIXED_SECONDS
    assert found["student distilled"] == pytest.approx(FIXED_SECONDS + 10 * 32 * (3 * 1000 + asked) / NOMINAL_RATE)


def test_who_teaches_decides_the_key_and_not_how_it_was_named(laboratory, earlier):
    def distilled(*assignments):
        return laboratory.key(laboratory.submit(*assignments), "student distilled")

    by_run, by_key = (distilled(source("earlier", model=name)) for name in (earlier, laboratory.key(earlier)))
    assert by_run == by_key == distilled()
    assert distilled(source("earlier", model=earlier, variant="student alone")) != by_run


def test_a_student_may_teach_its_own_kind_and_stays_a_row(laboratory, earlier):
    run_id = laboratory.run(source("earlier", model=earlier, variant="student alone"))
    found = rows(laboratory, run_id)
    assert list(found) == ["teacher", "student alone", "student distilled"]
    assert found["teacher"]["model_key"] == found["student alone"]["model_key"]


def test_an_int8_file_teaches_as_the_file_that_it_is(laboratory, earlier):
    named = source("earlier", model=earlier, variant="int8")
    assert "distill.method" in problems(laboratory, named, "distill.method=fitnets")
    run_id = laboratory.run(named)
    assert rows(laboratory, run_id)["teacher"]["model_key"] == laboratory.key(earlier, "int8")


@pytest.mark.parametrize(
    ("options", "field", "words"),
    [
        ({"model": ""}, "model", "name an earlier run"),
        ({"model": "260101-000000-abcdef"}, "model", "neither a run"),
        ({"model": "0" * 64}, "model", "no longer in the workspace"),
        ({"model": "RUN", "variant": "nobody"}, "variant", "there are: teacher, student alone"),
    ],
)
def test_who_is_not_there_is_told_at_the_field(laboratory, earlier, options, field, words):
    options = {name: value.replace("RUN", earlier) for name, value in options.items()}
    assert words in problems(laboratory, source("earlier", **options))[f"teacher.source.{field}"]


def test_classes_and_shape_must_fit(laboratory, earlier):
    scenes = 'data.source={"dataset":"digit_scenes"}'
    told = problems(laboratory, scenes, "distill.method=sigmoid", source("earlier", model=earlier))
    assert "expects images 8x8" in told["teacher.source.model"]


def test_what_a_waiting_run_is_taught_by_is_kept_and_a_teacher_that_is_gone_is_told_of(laboratory, tmp_path, earlier):
    workspace = laboratory.workspace
    alone = laboratory.run("teacher.train.steps=19")
    key = laboratory.key(alone)
    waiting = laboratory.submit(source("earlier", model=key))
    workspace.discard(alone)
    collect(workspace)
    assert workspace.complete(key)
    shutil.rmtree(workspace.model(key))
    with pytest.raises(GoneTeacher, match="no longer in the workspace"):
        laboratory.carry_out(waiting)


def test_a_model_of_other_images_is_measured_anew_on_these(laboratory, earlier):
    """Its own test images are not this data set's: what it scored there is no row here."""
    workspace, key = laboratory.workspace, laboratory.key(earlier)
    other = workspace.model("ab" * 32)
    shutil.copytree(workspace.model(key), other)
    done = read_json(other / "done.json")
    done["dataset"]["fingerprint"] = "0" * 64
    report = read_json(other / "report.json")
    (other / "report.json").write_text(json.dumps(report | {"quality": report["quality"] | {"correct": 0}}))
    (other / "done.json").write_text(json.dumps(done | {"files": inventory(other)}))
    run_id = laboratory.run(source("earlier", model=other.name))
    teacher = rows(laboratory, run_id)["teacher"]
    assert teacher["model_key"] not in (key, other.name)
    assert teacher["accuracy"] == rows(laboratory, earlier)["teacher"]["accuracy"]
    collect(workspace)
    assert workspace.complete(other.name)


# Files


def test_weights_from_a_file_make_the_same_teacher(laboratory, earlier):
    path = laboratory.model(earlier) / "model.safetensors"
    run_id = laboratory.run(source("weights_file", path=path), "distill.method=fitnets")
    ours, theirs = (rows(laboratory, run)["teacher"] for run in (earlier, run_id))
    for name in ("accuracy", "params", "macs", "size_bytes"):
        assert theirs[name] == ours[name]
    assert "not trained here" in theirs["note"]


def test_weights_of_another_architecture_are_refused_before_anything_is_trained(laboratory, earlier):
    path = laboratory.model(earlier) / "model.safetensors"
    told = problems(laboratory, source("weights_file", path=path), 'teacher.model={"architecture":"mlp"}')
    assert list(told) == ["teacher.source.path"]
    assert "stage1.conv.weight" in told["teacher.source.path"]  # the file's own names


def test_weights_that_answer_with_no_number_are_refused(laboratory, earlier, tmp_path):
    state = load_file(laboratory.model(earlier) / "model.safetensors")
    for name, tensor in state.items():
        if name.endswith("weight"):
            tensor.fill_(1e38)
    save_file(state, tmp_path / "large.safetensors")
    told = problems(laboratory, source("weights_file", path=tmp_path / "large.safetensors"))
    assert "outputs are not finite" in told["teacher.source.path"]


def test_an_onnx_file_teaches_by_its_answers(laboratory, earlier):
    path = laboratory.model(earlier) / "model.onnx"
    run_id = laboratory.run(source("onnx_file", path=path))
    ours, theirs = (rows(laboratory, run) for run in (earlier, run_id))
    assert theirs["teacher"]["accuracy"] == ours["teacher"]["accuracy"]
    assert theirs["teacher"]["macs"] == ours["teacher"]["macs"]
    folder = laboratory.model(run_id)
    assert not (folder / "model.safetensors").exists()
    own, its = (np.load(laboratory.model(run) / "logits.npz")["test"] for run in (earlier, run_id))
    np.testing.assert_allclose(its, own, atol=1e-4)
    both = [np.load(laboratory.model(run, "student distilled") / "logits.npz")["test"] for run in (earlier, run_id)]
    np.testing.assert_allclose(*both, atol=0.05)  # the same teacher, asked another way


@pytest.mark.parametrize("name", ["onnx_file", "weights_file", "soft_labels"])
def test_a_file_that_is_not_there_is_told_at_the_field(laboratory, tmp_path, name):
    assert "choose the file" in problems(laboratory, source(name, path=""))["teacher.source.path"]
    missing = problems(laboratory, source(name, path=tmp_path / "none.npz"), *STILL)
    assert f"file {tmp_path / 'none.npz'} does not exist" in missing["teacher.source.path"]


@pytest.mark.parametrize("path", ["~nobody-of-this-name/a", "a\0b", "a" * 500, "/"])
def test_a_name_that_no_file_has_is_told_at_the_field(laboratory, path):
    for name in ("onnx_file", "weights_file", "soft_labels"):
        assert "give the path" in problems(laboratory, source(name, path=path), *STILL)["teacher.source.path"]


@pytest.mark.parametrize(
    ("name", "words", "suffix"),
    [
        ("onnx_file", "not an ONNX file", "onnx"),
        ("soft_labels", "archive", "npz"),
        ("weights_file", "is not a weights file", "safetensors"),
    ],
)
def test_a_broken_file_is_told_at_the_field(laboratory, tmp_path, name, words, suffix):
    path = tmp_path / f"broken.{suffix}"
    path.write_bytes(b"garbage" * 50)
    assert words in problems(laboratory, source(name, path=path), *STILL)["teacher.source.path"]


def test_a_file_counts_by_its_content_and_not_by_its_place(laboratory, soft, tmp_path):
    shutil.copy(soft / "whole.npz", tmp_path / "copy.npz")
    keys = [
        laboratory.key(laboratory.submit(source("soft_labels", path=path), *STILL))
        for path in (soft / "whole.npz", tmp_path / "copy.npz", soft / "half.npz")
    ]
    assert keys[0] == keys[1] != keys[2]


def test_a_file_that_is_called_by_its_own_hash_is_a_file(laboratory, soft, tmp_path):
    """As in the object folders of git-lfs and DVC."""
    content = (soft / "half.npz").read_bytes()
    path = tmp_path / hashlib.sha256(content).hexdigest()
    path.write_bytes(content)
    assert laboratory.run(source("soft_labels", path=path), *STILL, "data.validation=0.15")


def test_a_file_that_changed_since_it_was_planned_with_is_an_error(laboratory, soft, tmp_path):
    path = tmp_path / "soft.npz"
    shutil.copy(soft / "half.npz", path)
    run_id = laboratory.submit(source("soft_labels", path=path), *STILL, "data.validation=0.2")
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ChangedFile, match="has changed since the run was planned"):
        laboratory.carry_out(run_id)
    path.unlink()
    with pytest.raises(ChangedFile, match="cannot be read any more"):
        laboratory.carry_out(run_id)


# Soft labels


def test_soft_labels_teach_without_a_teacher(laboratory, soft, digits):
    run_id = laboratory.run(
        source("soft_labels", path=soft / "whole.npz"), *STILL, "train.steps=60", "measure.timing_seconds=0.2"
    )
    found = rows(laboratory, run_id)
    teacher, student = found["teacher"], found["student distilled"]
    assert teacher["accuracy"] == pytest.approx(0.9, abs=0.02)
    assert [teacher[name] for name in ("size_bytes", "params", "latency_ms", "speedup")] == [None] * 4
    assert student["latency_ms"] > 0
    assert student["speedup"] is None
    assert student["agreement"] is not None
    session = read_json(laboratory.workspace.sessions / f"{student['session']}.json")
    assert session["reference"] == found["student alone"]["model_key"]


def test_every_table_takes_a_teacher_of_whom_nothing_is_known(laboratory, soft):
    run_id = laboratory.run(
        source("soft_labels", path=soft / "half.npz"), *STILL, "compress=" + json.dumps([{"step": "int8"}])
    )
    found = rows(laboratory, run_id)
    assert found["teacher"]["accuracy"] is found["int8"]["agreement"] is None
    assert "Accuracy is unknown" in found["teacher"]["note"]
    for name in documents.FORMATS:
        assert documents.comparison_file(laboratory.workspace, [run_id], name)
    listed = list(found.values())
    against = comparison.differences(laboratory.workspace, listed, listed[0])
    assert {(one.smaller, one.points) for one in against} == {(None, None)}
    assert comparison.summary(laboratory.workspace, run_id)["smaller"] is None


@pytest.mark.parametrize("view", ["shift=1", "flip=true", "crop=1", "mixup=0.5", "cutmix=1"])
def test_cached_outputs_hold_for_images_as_they_are(laboratory, soft, view):
    told = problems(laboratory, source("soft_labels", path=soft / "whole.npz"), *STILL, f"train.views.{view}")
    assert list(told) == [f"train.views.{view.partition('=')[0]}"]
    assert "cached outputs" in next(iter(told.values()))


@pytest.mark.parametrize("scheme", ["joint", "mutual", "several_teachers", "born_again", "function_matching"])
def test_schemes_with_teachers_or_views_of_their_own_refuse_soft_labels(laboratory, soft, scheme):
    told = problems(laboratory, source("soft_labels", path=soft / "whole.npz"), *STILL, f"scheme.scheme={scheme}")
    assert list(told) == ["scheme.scheme"]


@pytest.mark.parametrize("method", ["fitnets", "crd", "simkd", "weight_selection"])
def test_methods_that_look_inside_need_a_network(laboratory, soft, method):
    named = source("soft_labels", path=soft / "whole.npz")
    told = problems(laboratory, named, *STILL, f"distill.method={method}")
    assert "provides only outputs" in told["distill.method"]
    told = problems(laboratory, named, *STILL, f'controls=[{{"method":"hard_labels"}},{{"method":"{method}"}}]')
    assert list(told) == ["controls.1.method"]


@pytest.mark.parametrize("method", ["dkd", "hard_labels", "ofa"])
def test_methods_that_take_answers_learn_from_soft_labels(laboratory, soft, method):
    run_id = laboratory.run(source("soft_labels", path=soft / "whole.npz"), *STILL, f"distill.method={method}")
    assert len(rows(laboratory, run_id)) == 3


def test_a_teacher_on_record_can_be_asked_nothing_else():
    with pytest.raises(RuntimeError, match="stored outputs only"):
        RecordedLogits()(None)


# Whatever the teacher


@pytest.mark.parametrize("method", ["attention", "reviewkd", "simkd"])
@pytest.mark.parametrize("whose", ["teacher", "student"])
def test_feature_maps_of_an_mlp_are_refused_at_the_method(laboratory, method, whose):
    told = problems(laboratory, f'{whose}.model={{"architecture":"mlp"}}', f"distill.method={method}")
    assert f"the {whose} (mlp) has none" in told["distill.method"]


def test_what_only_the_worker_can_see_becomes_a_failed_run_in_words(laboratory):
    from kdcore.distill.method import Unsuitable

    with pytest.raises(Unsuitable, match="no stage 'stage9'"):
        laboratory.run('distill={"method":"fitnets","student_tap":"stage9"}')


def test_planning_with_any_source_needs_no_torch(laboratory, earlier, soft):
    folder = laboratory.model(earlier)
    named = [
        source("earlier", model=earlier),
        source("weights_file", path=folder / "model.safetensors"),
        source("onnx_file", path=folder / "model.onnx"),
        source("soft_labels", path=soft / "whole.npz"),
    ]
    code = f"""
import sys
from kdcore.plan.plan import plan
from kdcore.workspace.integrity import inventory
from kdcore.workspace.workspace import Workspace
from tests.small import small
for source in {named!r}:
    assert plan(small(source, *{STILL!r}), Workspace({str(laboratory.workspace.root)!r})).files
heavy = {{"torch", "onnx", "onnxruntime", "sklearn"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("method", ["ofa", "fitnets", "weight_pull"])
@pytest.mark.parametrize("scheme", ["mutual", "joint"])
def test_networks_that_learn_together_share_answers_only(laboratory, scheme, method):
    """OFA asks the teacher for answers alone, but it looks into the student, which these lessons do not show."""
    assert "distill.method" in problems(laboratory, f"scheme.scheme={scheme}", f"distill.method={method}")


def test_a_run_whose_teacher_is_on_record_can_be_timed_again(laboratory, soft):
    run_id = laboratory.run(source("soft_labels", path=soft / "whole.npz"), *STILL)
    bench = laboratory.workspace.run(api.bench(laboratory.workspace, [run_id], seconds=0.2))
    work = task(laboratory.workspace, bench, lambda: None)
    work.carry_out()
    found = rows(laboratory, run_id)
    assert {row["session"] for name, row in found.items() if name != "teacher"} == {work.session}
    assert found["teacher"]["session"] is None
