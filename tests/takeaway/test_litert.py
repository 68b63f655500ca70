"""A variant as a LiteRT file, with a converter that stands in for litert-torch."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from kdcore.cli import main
from kdcore.problems import RecipeError
from kdcore.takeaway import litert


class Converted:
    """Answers as the network does, but for what is added to a logit."""

    def __init__(self, network, added):
        self.network, self.added = network, added

    def __call__(self, image):
        with torch.no_grad():
            return self.network(image).numpy() + self.added

    def export(self, path):
        Path(path).write_bytes(b"TFL3")


@pytest.fixture
def converter(monkeypatch):
    """Puts a converter in place whose files are this far off."""

    def put(added):
        def convert(network, example):
            assert example[0].shape == (1, 1, 8, 8)
            return Converted(network, added)

        monkeypatch.setattr(litert, "find_spec", lambda module: True)
        monkeypatch.setitem(sys.modules, "litert_torch", SimpleNamespace(convert=convert))

    return put


def test_the_file_is_written_once_it_is_verified(workspace, run, converter, tmp_path):
    converter(0.0)
    found = litert.convert(workspace, run, "student distilled", tmp_path / "student.tflite")
    assert (tmp_path / "student.tflite").read_bytes() == b"TFL3"
    assert found.images == litert.IMAGES
    assert found.difference < 1e-3


def test_a_file_that_answers_otherwise_is_not_written(workspace, run, converter, tmp_path):
    converter(0.5)
    with pytest.raises(RecipeError, match=r"differs from the ONNX file by 0\.5"):
        litert.convert(workspace, run, "student distilled", tmp_path / "student.tflite")
    assert not list(tmp_path.iterdir())


def test_int8_which_is_an_onnx_file_alone_is_refused(workspace, run, converter, tmp_path):
    converter(0.0)
    with pytest.raises(RecipeError, match="use its parent"):
        litert.convert(workspace, run, "int8", tmp_path / "int8.tflite")


def test_a_missing_converter_is_named_in_a_line(workspace, run, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("KDCORE_HOME", str(workspace.root))
    monkeypatch.setattr(litert, "find_spec", lambda module: None)
    command = ["export", run, "--to", "litert", "--variant", "teacher", "-o", str(tmp_path / "out.tflite")]
    assert main.main(command) == 2
    assert "pip install 'kdcore[litert]'" in capsys.readouterr().err
