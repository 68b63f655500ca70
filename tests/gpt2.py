"""Hugging Face folders of tiny GPT-2s, with a tokenizer trained on the fly, for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

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
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps(config))
    (path / "tokenizer.json").write_text(json.dumps(words or tokenizer()))
    save_file(tensors() if weights is None else weights, path / "model.safetensors")
    return path
