"""A variant as a .zip that works without kdcore."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from kdcore.files import read_json
from kdcore.problems import RecipeError
from kdcore.recipe import parse
from kdcore.takeaway.variant import variant_zip
from kdcore.workspace.workspace import UnknownRun
from tests import patience

ALLOWED = {"sys", "pathlib", "numpy", "onnxruntime", "PIL"}


@pytest.fixture
def unpacked(workspace, run, tmp_path):
    def unpack(variant):
        with zipfile.ZipFile(io.BytesIO(variant_zip(workspace, run, variant))) as archive:
            archive.extractall(tmp_path)
        return tmp_path

    return unpack


def classified(folder, picture):
    """What the script in the folder prints for a picture, run from elsewhere, without kdcore on the path."""
    return subprocess.run(
        [sys.executable, "-I", str(folder / "run.py"), str(picture)],
        cwd="/", capture_output=True, text=True, check=True, timeout=patience.SECONDS,
    ).stdout  # fmt: skip


@pytest.mark.parametrize("variant", ["teacher", "int8"])
def test_the_script_gives_the_recorded_answers(workspace, run, unpacked, tmp_path, variant):
    folder = unpacked(variant)
    plan = workspace.plan(run)
    key = next(one.keys[0] for one in plan.variants if one.name == variant)
    logits = np.load(workspace.model(key) / "logits.npz")["test"].astype(float)
    images = np.load(workspace.dataset(plan.dataset["fingerprint"]) / "test_images.npy")
    for place in (0, 5):
        Image.fromarray(images[place, ..., 0]).save(tmp_path / "picture.png")
        shares = np.exp(logits[place]) / np.exp(logits[place]).sum()
        name, _, share = classified(folder, tmp_path / "picture.png").strip().partition(": ")
        assert name == plan.dataset["classes"][shares.argmax()]
        assert float(share.rstrip("%")) == pytest.approx(100 * shares.max(), abs=0.02)


def test_the_script_takes_a_large_photograph_in_colour(unpacked, tmp_path):
    folder = unpacked("int8")
    Image.new("RGB", (300, 200), "navy").save(tmp_path / "photo.jpg")
    assert classified(folder, tmp_path / "photo.jpg").strip().endswith("%")


def test_the_script_is_short_and_needs_three_packages(unpacked):
    text = (unpacked("int8") / "run.py").read_text()
    assert len(text.splitlines()) <= 15
    imported = {line.split()[1].partition(".")[0] for line in text.splitlines() if line.startswith(("import", "from"))}
    assert imported == ALLOWED


def test_the_folder_tells_what_the_model_is(workspace, run, unpacked):
    folder = unpacked("int8")
    assert (folder / "labels.txt").read_text().split() == list("0123456789")
    card = (folder / "README.md").read_text()
    for words in ("int8 of Quickstart", "Test accuracy", "float32 (batch, 1, 8, 8)", "A softmax", "then pruned 50 %"):
        assert words in card
    assert parse(read_json(folder / "recipe.json")) == parse(read_json(workspace.run(run) / "recipe.json"))


def test_the_same_variant_gives_the_same_bytes(workspace, run):
    assert variant_zip(workspace, run, "int8") == variant_zip(workspace, run, "int8")


def test_what_is_not_there_is_named(workspace, run):
    with pytest.raises(RecipeError, match="is not in"):
        variant_zip(workspace, run, "int4")
    with pytest.raises(UnknownRun):
        variant_zip(workspace, "260101-000000-abcdef", "int8")
