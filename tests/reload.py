"""Loads models in a process that cannot unpickle: `python -m tests.reload LIST.json ANSWERS.npz`.

The list has `images`, the path of an array float32 (N, C, H, W), and `models`, folders by name. The answers hold
`NAME/weights`, the logits of the network from model.safetensors, and `NAME/file`, those of model.onnx.
"""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch

from kdcore.export import runtime, weights


def refuse(*arguments: Any, **more: Any) -> NoReturn:
    raise AssertionError("something was unpickled")


class Refusing(pickle.Unpickler):
    """A class, because torch makes others of it."""

    def __init__(self, *arguments: Any, **more: Any):
        refuse()


def hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "pickle.find_class":  # whoever unpickles, and by whatever name
        refuse()


def main(listed: Path, answers: Path) -> None:
    pickle.load = pickle.loads = torch.load = refuse
    pickle.Unpickler = Refusing  # type: ignore[misc]
    sys.addaudithook(hear)
    torch.set_num_threads(1)
    asked = json.loads(listed.read_text("utf-8"))
    images = np.load(asked["images"], allow_pickle=False)
    found = {}
    for name, folder in asked["models"].items():
        with torch.no_grad():
            found[f"{name}/weights"] = weights.load(Path(folder))(torch.from_numpy(images)).numpy()
        found[f"{name}/file"] = runtime.logits(Path(folder) / "model.onnx", images)
    np.savez(answers, **found)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
