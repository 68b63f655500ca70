"""OpenVINO on one thread of the CPU, where it is installed: the same ONNX files in another runtime."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdcore.problems import first_line

if TYPE_CHECKING:
    import numpy as np

INSTALL = "pip install 'openvino>=2026.1,<2027'"
MISSING = f"OpenVINO is not installed: {INSTALL}"
ONE_THREAD = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}


def installed() -> bool:
    return importlib.util.find_spec("openvino") is not None


def version() -> str:
    """Raises importlib.metadata.PackageNotFoundError where it is not installed."""
    return importlib.metadata.version("openvino")


@cache
def _core() -> Any:
    import openvino

    return openvino.Core()


def _tensor(images: np.ndarray) -> Any:
    import numpy as np
    import openvino

    return openvino.Tensor(np.ascontiguousarray(images), shared_memory=True)


class Model:
    """An ONNX file that OpenVINO runs. Raises UnreadableModel for one that it cannot read, and for batches of it."""

    def __init__(self, path: Path):
        from kdcore.export.runtime import UnreadableModel

        try:
            self._graph = _core().read_model(path)
        except Exception as error:  # its exceptions have no common base below Exception
            raise UnreadableModel(f"OpenVINO cannot read {path.name}: {first_line(error)}") from None

    def ready(self, images: np.ndarray) -> Callable[[], Any]:
        """A call that runs these inputs, compiled for their shape; its result belongs to OpenVINO."""
        from kdcore.export.runtime import UnreadableModel

        try:
            self._graph.reshape(list(images.shape))
            request = _core().compile_model(self._graph, "CPU", ONE_THREAD).create_infer_request()
            request.set_input_tensor(_tensor(images))  # once: handing it over at every call takes 0.1 ms each
            call = partial(request.infer, share_outputs=True)
            call()
        except Exception as error:
            raise UnreadableModel(f"OpenVINO cannot run it: {first_line(error)}") from None
        return call

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Outputs float32 (N, K) for inputs as the file takes them."""
        given: np.ndarray = self.ready(images)()[0].copy()
        return given
