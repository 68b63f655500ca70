"""Every step on every family of networks: made, verified, saved, and loaded elsewhere without a pickle, or refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from kdcore.compress.step import CompressError
from kdcore.files import read_json
from tests import families
from tests.families import FAMILIES, HOLDS, REFUSED, Laboratory, brief, holding, refused, step_names

ROOT = Path(__file__).parents[2]
KNOWN = {
    "architecture.json", "done.json", "history.jsonl", "logits.npz", "members.npz", "model.coded", "model.onnx",
    "model.safetensors", "report.json",
}  # fmt: skip
QUICK = ("MLP", "CNN", "ResNet", "VGG", "WRN")  # to export; the others take two steps here, and all where slow
TWO_STEPS = ("prune_structured", "int8")
TORCHVISION: dict[str, dict[str, str]] = {  # by network, what is refused and how
    "mobilenet_v3_small": {},
    "resnet18": {"tie": families.FOLDED},
}
TOLERANCE = 1e-4  # of the largest logit: float32 in another order


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory):
    return Laboratory(tmp_path_factory.mktemp("families"))


def carried_out(laboratory, pairs):
    """The keys of the models that the steps left, by "step on family"; what was refused is compared with the table."""
    made, wrong = {}, []
    for step, family in pairs:
        expected = REFUSED.get((step, family))
        try:
            made[f"{step} on {family}"] = laboratory.child(laboratory.parent(FAMILIES[family]), brief(step))
            told = None
        except CompressError as error:
            told = str(error)
        said = refused(step, family) or told  # a plan's words come first; carrying it out must be refused too
        refusals = {words is not None for words in (said, told, expected)}
        if len(refusals) > 1 or (expected or "") not in (said or ""):
            wrong.append(f"{step} on {family}: expected {expected}, planned and told {said}, when carried out {told}")
    assert wrong == []
    return made


def reloaded(laboratory, made, folder):
    """Logits by "name/weights" and "name/file", of a fresh process."""
    np.save(folder / "images.npy", laboratory.test_images().numpy())
    places = {name: str(laboratory.workspace.model(key)) for name, key in made.items()}
    asked = {"images": str(folder / "images.npy"), "models": places}
    (folder / "list.json").write_text(json.dumps(asked))
    command = [sys.executable, "-m", "tests.reload", str(folder / "list.json"), str(folder / "answers.npz")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return np.load(folder / "answers.npz", allow_pickle=False)


def check(laboratory, made, folder):
    """What is true of every model that a step leaves."""
    answers, wrong = reloaded(laboratory, made, folder), []
    for name, key in made.items():
        model = laboratory.workspace.model(key)
        said = laboratory.said[key]
        deployed = np.load(model / "logits.npz", allow_pickle=False)["test"]
        report = read_json(model / "report.json")
        checks = {
            "the weights come back": np.array_equal(answers[f"{name}/weights"], said),
            "the file comes back": np.array_equal(answers[f"{name}/file"], deployed),
            "the files are known": {file.name for file in model.iterdir()} <= KNOWN,
            "the step reports": bool(report["step"]),
            "the layers are told": bool(report["layers"]),
            "the weights are what is told": holds(laboratory, model, name.split(" on ")[0], said, deployed),
        }
        wrong += [f"{name}: not so: {what}" for what, so in checks.items() if not so]
    assert wrong == []


def holds(laboratory, model, step, said, deployed):
    """Whether model.safetensors holds what `holding` tells of the step."""
    match holding(step):
        case "parent":
            parent = laboratory.workspace.model(read_json(model / "done.json")["stage"]["parent"])
            return (model / "model.safetensors").read_bytes() == (parent / "model.safetensors").read_bytes()
        case "file":
            return np.abs(said - deployed).max() <= TOLERANCE * max(1, np.abs(deployed).max())
        case "weights":
            rows = [row for row in read_json(model / "report.json")["step"] if "bits" in row]
            with safe_open(model / "model.safetensors", framework="pt") as file:
                return all(on_grid(file.get_tensor(f"{row['name']}.weight"), row["bits"]) for row in rows)


def on_grid(weight, bits):
    """Whether no filter has more different weights than so many bits can tell apart."""
    return all(len(torch.unique(filter)) <= 2**bits for filter in weight)


@pytest.mark.slow
def test_every_step_on_the_families_that_are_quick_to_export(laboratory, tmp_path):
    pairs = [(step, family) for family in QUICK for step in step_names()]
    check(laboratory, carried_out(laboratory, pairs), tmp_path)


@pytest.mark.slow
def test_the_other_families_with_a_step_that_cuts_and_one_that_quantizes(laboratory, tmp_path):
    pairs = [(step, family) for family in FAMILIES if family not in QUICK for step in TWO_STEPS]
    check(laboratory, carried_out(laboratory, pairs), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in QUICK])
def test_every_step_on_the_other_families(laboratory, tmp_path, family):
    pairs = [(step, family) for step in step_names()]
    check(laboratory, carried_out(laboratory, pairs), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", TORCHVISION)
def test_every_step_on_torchvisions_networks(tmp_path, name):
    laboratory = Laboratory(tmp_path / "workspace", (3, 32, 32))
    parent = laboratory.parent({"architecture": "torchvision", "name": name})
    made, told = {}, {}
    for step in step_names():
        try:
            made[f"{step} on {name}"] = laboratory.child(parent, brief(step))
        except CompressError as error:
            told[step] = str(error)
    assert told.keys() == TORCHVISION[name].keys(), told
    assert [step for step, fragment in TORCHVISION[name].items() if fragment not in told[step]] == []
    check(laboratory, made, tmp_path)


def test_the_page_of_steps_is_up_to_date():
    assert families.PAGE.read_text("utf-8") == families.page(), "run `python -m tests.families`"


def test_the_table_names_steps_and_families_that_there_are():
    assert [holding(step) for step in step_names()]
    assert HOLDS.keys() <= set(step_names())
    assert {step for step, _ in REFUSED} <= set(step_names())
    assert {family for _, family in REFUSED} <= FAMILIES.keys()
