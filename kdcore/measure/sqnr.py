"""The noise that compression puts into each layer's output: one ONNX file beside the one that it was made from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx

from kdcore.export import runtime
from kdcore.export.graph import INTEGER, Weighted, weighted

IMAGES = 64
BATCH = 8  # every layer's output is held at once: 16 MB an image of resnet18 at 224


class Level(NamedTuple):
    """`db`: decibels; None where there is no number, and then `note` says why."""

    db: float | None
    note: str = ""


class Noise(NamedTuple):
    """`layers`: those of the compressed file, in the order of `kdcore.export.graph.weighted`."""

    logits: Level
    layers: list[Level]


def sqnr(path: Path, parent: Path, images: np.ndarray) -> Noise:
    """Signal to quantization-noise ratio of each layer's output, and of the logits, in decibels.

    10 log10(Σ y² / Σ (y - y')²) over all numbers of the outputs for `images`, float32 (n, C, H, W) in [0, 1]: y is what
    the layer gives in the file `parent`, y' what it gives in the file at `path`, which was made from it (Lin et al.
    2016, arXiv:1511.06393, eq. 1). 20 dB is an error of a tenth of the output. Each network runs whole, so a layer's
    number holds the noise of the layers before it too.

    Layers are matched by name (tied ones, which share a name, by their places). An output is what the convolution or
    matrix product gives with its bias and the batch norm that is folded into it, before the activation function, and in
    int8 files before it is rounded: that rounding counts in the next layer. Of a layer that was split (low rank) the
    last part is compared with the whole one. No number have outputs of another shape (channels were removed), outputs
    that are equal, and those that are zero throughout in `parent`. Raises ValueError for files that cannot be run.
    """
    made, before = onnx.load(path), onnx.load(parent)
    layers = weighted(made)
    matched = _matched(layers, weighted(before))
    places = {
        index: (_output(made, layers[index], one.bias is not None), _output(before, one, one.bias is not None))
        for index, one in enumerate(matched)
        if isinstance(one, Weighted)
    }
    pairs = [(made.graph.output[0].name, before.graph.output[0].name), *places.values()]
    levels = _levels(made, before, pairs, images)
    by_place = dict(zip(places, levels[1:], strict=True))
    return Noise(levels[0], [by_place[i] if i in by_place else Level(None, str(one)) for i, one in enumerate(matched)])


def _matched(layers: Sequence[Weighted], parents: Sequence[Weighted]) -> list[Weighted | str]:
    """For each layer the one that it stands for in the parent's file, or why there is none."""
    counts, known = Counter(one.name for one in layers), {one.name: one for one in parents}
    twins = {name for name, count in counts.items() if count > 1}
    twins |= {name for name, count in Counter(one.name for one in parents).items() if count > 1}
    if twins and len(layers) == len(parents):
        return list(parents)
    wholes = {name: _whole(name, known) for name in counts}
    last = {whole: name for name, whole in wholes.items()}
    found: list[Weighted | str] = []
    for one in layers:
        whole = wholes[one.name]
        if whole is None:
            found.append("the parent file has no layer of this name")
        elif one.name in twins or whole in twins:
            found.append("several layers share its name")
        elif last[whole] != one.name:
            found.append(f"part of {whole}; see the output of {last[whole]}")
        else:
            found.append(known[whole])
    return found


def _whole(name: str, known: Mapping[str, Any]) -> str | None:
    """The layer itself, or the one that was split into it."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name or None


def _output(model: onnx.ModelProto, layer: Weighted, biased: bool) -> str:
    """The name of what a layer gives. Whole numbers of dynamic int8 are followed to the real ones, with the bias."""
    name = layer.node.output[0]
    if layer.node.op_type not in INTEGER:
        return name
    users = {given: node for node in model.graph.node for given in node.input}
    for kind in ("Cast", "Mul", "Add") if biased else ("Cast", "Mul"):
        if name in users and users[name].op_type == kind:
            name = users[name].output[0]
    return name


def _levels(
    made: onnx.ModelProto, before: onnx.ModelProto, pairs: Sequence[tuple[str, str]], images: np.ndarray
) -> list[Level]:
    """A level for each pair of tensors, of `made` and of `before`."""
    mine, theirs = zip(*pairs, strict=True)
    after, first = runtime.exposed(made, mine), runtime.exposed(before, theirs)
    notes = [""] * len(pairs)
    signal, noise = np.zeros(len(pairs)), np.zeros(len(pairs))
    for at in range(0, len(images), BATCH):
        given, wanted = (runtime.values(running, images[at : at + BATCH]) for running in (after, first))
        for index, (here, there) in enumerate(pairs):
            now, was = given[here], wanted[there]
            if now.shape != was.shape:
                notes[index] = f"its output is {_size(now)}, in the parent file {_size(was)}"
                continue
            was = was.astype(np.float64)
            signal[index] += np.square(was).sum()
            noise[index] += np.square(was - now).sum()
    return [Level(None, note) if note else _level(*sums) for note, *sums in zip(notes, signal, noise, strict=True)]


def _level(signal: float, noise: float) -> Level:
    if not (math.isfinite(signal) and math.isfinite(noise)):
        return Level(None, "its output has values that are not finite")
    if noise == 0:
        return Level(None, "the outputs are equal")
    if signal == 0:
        return Level(None, "its output in the parent file is zero everywhere")
    return Level(10 * math.log10(signal / noise))


def _size(output: np.ndarray) -> str:
    return "×".join(map(str, output.shape[1:]))
