"""Hugging Face folders of tiny GPT-2s, with a tokenizer trained on the fly, for tests."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from kdcore.inputs.bytepairs import BytePairs
from kdcore.inputs.passages import Passages, Windows
from kdcore.jobs import api
from kdcore.jobs.follow import follow
from kdcore.recipe import parse
from kdcore.workspace.workspace import Workspace
from tests import folders

TEXT = "def read(self, size=-1):\n    return self.file.read(size)\n\n\nclass Größe:\n    def sum(self): return 0\n"
SIZES: dict[str, Any] = {
    "model_type": "gpt2", "n_embd": 32, "n_head": 4, "n_layer": 2, "n_positions": 64, "vocab_size": 300,
    "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5,
}  # fmt: skip
MODEL = {"architecture": "gpt2", "depth": 2, "dim": 32, "heads": 4}


def tokenizer(text: str = TEXT, words: int = 300) -> dict[str, Any]:
    """What tokenizer.json holds, trained on a text."""
    tokenizers = pytest.importorskip("tokenizers", reason="makes a tokenizer: pip install 'kdcore[text]'")
    from tokenizers import models, pre_tokenizers, trainers

    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=words, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<|endoftext|>"],
        show_progress=False,
    )  # fmt: skip
    made.train_from_iterator([text], trainer)
    found: dict[str, Any] = json.loads(made.to_str())
    return found


def tensors(prefix: str = "", **sizes: Any) -> dict[str, np.ndarray]:
    """Random weights under the names of transformers' GPT2Model."""
    chance, about = np.random.default_rng(0), SIZES | sizes
    dim = about["n_embd"]
    shapes = {"wte.weight": (about["vocab_size"], dim), "wpe.weight": (about["n_positions"], dim)}
    layer = {
        "ln_1": (dim,), "attn.c_attn": (dim, 3 * dim), "attn.c_proj": (dim, dim), "ln_2": (dim,),
        "mlp.c_fc": (dim, 4 * dim), "mlp.c_proj": (4 * dim, dim),
    }  # fmt: skip
    modules = {f"h.{at}.{name}": shape for at in range(about["n_layer"]) for name, shape in layer.items()}
    for name, shape in (modules | {"ln_f": (dim,)}).items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[-1:]}
    return {prefix + name: chance.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}


def folder(path: Path, *, config: Any = SIZES, words: Any = None, weights: dict[str, np.ndarray] | None = None) -> Path:
    """A folder with all three files."""
    return folders.written(path, config, words or tokenizer(), tensors() if weights is None else weights)


def passages(folder: Path, length: int) -> Passages:
    """Windows of a text out of the tokens that it keeps."""
    splits = BytePairs.of_folder(folder, length).kept([TEXT] * 2, 2, 1000)
    ids = splits.encoded([TEXT * 3]).flat
    count = len(ids) // length
    windows = Windows(ids[: count * length].reshape(count, length), np.zeros(count, np.int32))
    return Passages(windows, splits)


def recipe(folder: Path, **more: Any) -> dict[str, Any]:
    """The document of a small Recipe on Python's source by the tokens of this folder, whose model is the teacher."""
    train = {"steps": 20, "batch_size": 512, "learning_rate": 0.01}
    source = {"dataset": "python_source", "characters": 20_000, "window": 32, "tokenizer": str(folder)}
    return {
        "name": "Source by tokens",
        "data": {"source": source},
        "teacher": {"model": MODEL | {"weights": str(folder)}, "train": train},
        "student": {"model": {"architecture": "text_decoder", "depth": 1, "dim": 16, "heads": 2}},
        "train": train,
        "measure": {"timing_seconds": 0},
        "seeds": [0],
    } | more


def gpt2_workspace() -> Path:
    """A workspace with a run whose teacher is such a folder's model; made by the first test process that asks."""
    home = Path(os.environ["KDCORE_HOME"]) / "gpt2"
    with FileLock(home.with_suffix(".lock")):
        if not (home / "complete").exists():
            workspace = Workspace(home).ensure()
            controls = [{"method": "gkd", "written": 4}]
            run_id = api.submit(workspace, parse(recipe(folder(home / "folder"), controls=controls)), None)
            *_, row = follow(workspace, run_id)
            assert row.state == "done", row.error
            api.stop_all(workspace)
            (home / "complete").touch()
    return home
