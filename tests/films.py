"""An ONNX classifier of texts as somebody else makes it, and a data set that its tokenizer splits, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests import folders

WORDS = folders.WORDS
WEIGHTS = np.zeros((len(WORDS), 2), np.float32)  # what each word says of "negative" and "positive"
WEIGHTS[WORDS.index("bad"), 0] = WEIGHTS[WORDS.index("good"), 1] = 3.0
NAMES = ("input_ids", "attention_mask", "token_type_ids")


def source(folder: Path, owner: Path) -> dict[str, Any]:
    """Texts of films that are good or bad, split by the tokenizer in the folder `owner`."""
    lines = ["text,label"]
    for number in range(60):
        lines += [f"the film is good {'abcde'[number % 5]}s,positive", f"film{'s' * (number % 3)} is bad,negative"]
    (folder / "films.csv").write_text("\n".join(lines))
    return {"dataset": "text_csv", "path": str(folder / "films.csv"), "tokenizer": str(owner), "longest": 12}


def classifier(
    path: Path,
    *,
    takes: Sequence[str] = NAMES[:2],
    weights: np.ndarray = WEIGHTS,
    kind: int = TensorProto.INT64,
    sides: Sequence[Any] = ("b", "n"),
    end: Sequence[str] = (),
) -> Path:
    """Each text's sum of what its words say, as logits; `end`: kinds of nodes behind. Without a mask padding counts."""
    table = numpy_helper.from_array(weights, "table")
    one = numpy_helper.from_array(np.array([1], np.int64), "one")
    two = numpy_helper.from_array(np.array([2], np.int64), "two")
    nodes = [helper.make_node("Gather", ["table", takes[0]], ["said"])]
    if NAMES[1] in takes:
        nodes += [
            helper.make_node("Cast", [NAMES[1]], ["shown"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["shown", "two"], ["wide"]),
            helper.make_node("Mul", ["said", "wide"], ["kept"]),
        ]
    nodes.append(helper.make_node("ReduceSum", ["kept" if NAMES[1] in takes else "said", "one"], ["y0"], keepdims=0))
    nodes += [helper.make_node(name, [f"y{at}"], [f"y{at + 1}"]) for at, name in enumerate(end)]
    given = [helper.make_tensor_value_info(name, kind, list(sides)) for name in takes]
    out = helper.make_tensor_value_info(f"y{len(end)}", TensorProto.FLOAT, ["b", weights.shape[1]])
    held = [table, one, *([two] if NAMES[1] in takes else [])]
    made = helper.make_model(helper.make_graph(nodes, "g", given, [out], held),
                             opset_imports=[helper.make_opsetid("", 17)], ir_version=8)  # fmt: skip
    onnx.save(made, path)
    return path


def layered(path: Path) -> Path:
    """The same classifier with two layers behind its table, whose weights steps can change."""
    table = np.zeros((len(WORDS), 4), np.float32)
    first, second = np.zeros((4, 64), np.float32), np.zeros((64, 2), np.float32)
    table[WORDS.index("bad"), 0] = table[WORDS.index("good"), 1] = 1.0
    first[0, 0] = first[1, 1] = 1.0
    second[0, 0] = second[1, 1] = 3.0
    classifier(path, weights=table)
    made = onnx.load(path)
    made.graph.initializer.extend([numpy_helper.from_array(first, "first"), numpy_helper.from_array(second, "second")])
    made.graph.node.extend(
        [
            helper.make_node("MatMul", ["y0", "first"], ["inner"]),
            helper.make_node("Relu", ["inner"], ["active"]),
            helper.make_node("MatMul", ["active", "second"], ["scores"]),
        ]
    )
    made.graph.output[0].CopyFrom(helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["b", 2]))
    onnx.save(made, path)
    return path
