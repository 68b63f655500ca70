"""ONNX Runtime on one thread of the CPU: how every exported file is run here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from kdcore.inputs.images import feed
from kdcore.problems import first_line

if TYPE_CHECKING:
    import onnx

pixels = feed  # pictures as files take them


class UnreadableModel(ValueError):
    """The file is missing, damaged, or no model that ONNX Runtime can run."""


def session(path: Path | str | bytes, threads: int = 1, profile: Path | None = None) -> onnxruntime.InferenceSession:
    """An inference session on the CPU with `threads` threads, the caller's own among them. Raises UnreadableModel.

    `path`: of a file, or the content of one. `profile`: where its profiler writes, and how the file's name begins.
    """
    options = onnxruntime.SessionOptions()
    if profile:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        model = path if isinstance(path, bytes) else str(path)
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common base below Exception
        shown = "it" if isinstance(path, bytes) else path
        raise UnreadableModel(f"{shown} is not a model that ONNX Runtime can run: {first_line(error)}") from None


def logits(model: onnxruntime.InferenceSession | Path | str, images: np.ndarray, batch: int = 256) -> np.ndarray:
    """Outputs float32 (N, K) of a model for pixels float32 (N, C, H, W) in [0, 1], at least one image.

    Raises ValueError when the model does not take these images, UnreadableModel for a bad file.
    """
    running = model if isinstance(model, onnxruntime.InferenceSession) else session(model)
    name = running.get_inputs()[0].name
    try:
        parts = [running.run(None, {name: images[at : at + batch]})[0] for at in range(0, len(images), batch)]
    except Exception as error:
        raise ValueError(f"the model does not run on {images.dtype} {images.shape}: {first_line(error)}") from None
    return np.concatenate(parts)


def exposed(model: onnx.ModelProto, names: Sequence[str]) -> onnxruntime.InferenceSession:
    """A session of a copy of the model that gives these tensors too. Raises UnreadableModel."""
    import onnx

    made = onnx.ModelProto()
    made.CopyFrom(model)
    there = {value.name for value in (*made.graph.output, *made.graph.input)}
    made.graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(names) if name not in there)
    return session(made.SerializeToString())


def values(running: onnxruntime.InferenceSession, images: np.ndarray) -> dict[str, Any]:
    """All that a session gives for images, by name."""
    names = [output.name for output in running.get_outputs()]
    return dict(zip(names, running.run(names, {running.get_inputs()[0].name: images}), strict=True))
