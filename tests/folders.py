"""Hugging Face folders of tiny BERTs, for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

SIZES: dict[str, Any] = {
    "model_type": "bert", "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 64, "hidden_act": "gelu",
    "num_hidden_layers": 4, "vocab_size": 24, "max_position_embeddings": 16, "type_vocab_size": 2,
}  # fmt: skip
WORDS = ["[PAD]", "the", "film", "is", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "##ly", "##s", *"abcdefg", "an", "no"]
MODEL = {"architecture": "bert", "depth": 2, "dim": 16, "heads": 2}


def tokenizer(words: list[str] = WORDS, **changes: Any) -> dict[str, Any]:
    """What tokenizer.json holds."""
    vocabulary = {word: number for number, word in enumerate(words)}
    return {
        "model": {"type": "WordPiece", "vocab": vocabulary},
        "normalizer": {"type": "BertNormalizer", "lowercase": True, "strip_accents": None},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
    } | changes


def tensors(**sizes: Any) -> dict[str, np.ndarray]:
    """Random weights under the names of transformers' BertModel."""
    from kdcore.models.nets.bert import LAYER, OUTER

    chance, about = np.random.default_rng(0), SIZES | sizes
    dim, inner = about["hidden_size"], about["intermediate_size"]
    rows = {"word": about["vocab_size"], "position": about["max_position_embeddings"], "token": 2}
    found = {}
    for name in [*OUTER, *(f"encoder.layer.{at}.{part}" for at in range(about["num_hidden_layers"]) for part in LAYER)]:
        if name.endswith("_embeddings"):
            shape: tuple[int, ...] = (rows[name.split(".")[1].split("_")[0]], dim)
        elif name.endswith("LayerNorm"):
            shape = (dim,)
        else:
            outputs = inner if "intermediate" in name else dim
            shape = (outputs, inner if name.endswith("output.dense") and "attention" not in name else dim)
        found[f"{name}.weight"] = chance.normal(0, 0.3, shape).astype(np.float32)
        if "_embeddings" not in name:
            found[f"{name}.bias"] = chance.normal(0, 0.3, shape[:1]).astype(np.float32)
    return found


def folder(path: Path, *, config: Any = SIZES, words: Any = None, weights: dict[str, np.ndarray] | None = None) -> Path:
    """A folder with all three files."""
    return written(path, config, words or tokenizer(), tensors() if weights is None else weights)


def written(path: Path, config: Any, words: Any, weights: dict[str, np.ndarray]) -> Path:
    """The folder with these files."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps(config))
    (path / "tokenizer.json").write_text(json.dumps(words))
    save_file(weights, path / "model.safetensors")
    return path
