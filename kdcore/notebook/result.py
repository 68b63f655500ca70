"""What a notebook gets: a network, its file, and what was measured of that file."""

from __future__ import annotations

import html
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from kdcore.data.types import Dataset
from kdcore.notebook.run import Run
from kdcore.report import format
from kdcore.report.statistics import Interval, wilson
from kdcore.workspace.plans import Stage

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """A network that `kdcore.distill` or `kdcore.compress` made, or that `kdcore.compare` was given.

    `model`: the network, in evaluation mode on the CPU; of an int8 or rounded file, what the file was made from.
    `judged_by`: "test" or "validation" images. `before`: what the step was applied to. `taps`: the modules whose
    outputs count as features. `report`: all that was measured, as the workspace keeps it. The files live as long as
    this object; `save` keeps the ONNX file.
    """

    name: str
    model: nn.Module
    judged_by: str
    taps: tuple[str, ...]
    before: Result | None
    stage: Stage
    dataset: Dataset
    _kept: tempfile.TemporaryDirectory[str]

    @property
    def folder(self) -> Path:
        """Where the files are until this object goes."""
        return Path(self._kept.name)

    @property
    def onnx(self) -> Path:
        """The file that was measured: "images" float32 (batch, C, H, W) in, "logits" (batch, K) out."""
        return self.folder / "model.onnx"

    def save(self, path: Path | str) -> Path:
        """Copies the ONNX file to `path`, whose folder must exist, and returns it. Raises OSError."""
        return Path(shutil.copyfile(self.onnx, path))

    @cached_property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "report.json").read_text("utf-8"))
        return found

    @cached_property
    def answers(self) -> np.ndarray:
        """The class that the file chooses for each image that judges it, int64 (N,)."""
        with np.load(self.folder / "logits.npz", allow_pickle=False) as logits:
            return logits["test"].argmax(axis=1)

    @property
    def accuracy(self) -> Interval:
        """Share of the images that are right, 0..1, with Wilson's 95 % interval."""
        quality = self.report["quality"]
        return wilson(quality["correct"], quality["n"])

    @property
    def bytes(self) -> int:
        """Size of the ONNX file."""
        return int(self.report["size"]["size_bytes"])

    @property
    def history(self) -> pd.DataFrame:
        """A row an epoch: epoch, step, loss, accuracy, val_loss, val_accuracy, learning_rate, images_per_s."""
        import pandas as pd

        return pd.DataFrame(self.epochs())

    def epochs(self) -> list[dict[str, Any]]:
        """The rows of `history`; none where nothing was trained."""
        path = self.folder / "history.jsonl"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []

    @property
    def layers(self) -> pd.DataFrame:
        """A row a layer of the file with weights: name, operator, shape, params, macs, zeros, bits and more."""
        import pandas as pd

        return pd.DataFrame(self.report["layers"])

    @property
    def step(self) -> pd.DataFrame:
        """What the compression step says of each layer; empty without a step."""
        import pandas as pd

        return pd.DataFrame(self.report["step"])

    @property
    def chain(self) -> list[Result]:
        """From the network that the steps began with to this one."""
        return [*(self.before.chain if self.before else ()), self]

    def figure(self) -> go.Figure:
        """Validation accuracy by optimizer step where something was trained, else the parameters of each layer."""
        from kdcore.figures import curves, layers

        rows = self.epochs()
        if rows:
            values = {name: [row[name] for row in rows] for name in ("step", "val_accuracy")}
            series = {"variant": self.name, "role": self.stage.role, "seed": self.stage.seed, **values}
            return curves.curves([series], "val_accuracy")
        return layers.shares([layers.Model(one.name, one.stage.role, one.report["layers"]) for one in self.chain])

    def to_workspace(self, name: str, workspace: Path | str | None = None) -> str:
        """Takes the chain into the workspace as a run, as `Comparison.to_workspace` does; its id."""
        return Run(self.chain, seconds=0, margin=1.0).take(name, workspace)

    def __repr__(self) -> str:
        return f"<{self.name}: {summary(self)}>"

    def _repr_html_(self) -> str:
        return table(self.chain).to_html(index=False, border=0)


def summary(one: Result) -> str:
    """97.2 % (95.9 % to 98.1 %) of 360 test images, 12.4 kB."""
    value, low, high = one.accuracy
    of = f"{one.report['quality']['n']:,} {one.judged_by} images"
    return f"{format.percent_interval(value, low, high)} of {of}, {format.size(one.bytes)}"


def table(results: Sequence[Result]) -> pd.DataFrame:
    """A row a result, in words: what `_repr_html_` shows."""
    import pandas as pd

    rows = []
    for one in results:
        value, low, high = one.accuracy
        rows.append(
            {
                "model": html.escape(one.name),
                f"{one.judged_by} accuracy": format.percent(value),
                "95 % interval": format.percent_bounds(low, high),
                "file": format.size(one.bytes),
                "parameters": format.count(one.report["cost"]["params"]),
                "MACs per image": format.count(one.report["cost"]["macs"]),
            }
        )
    return pd.DataFrame(rows)
