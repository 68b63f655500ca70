"""A variant as a LiteRT (TensorFlow Lite) file, which must say what the measured ONNX file says.

Optional: `pip install kdcore[litert]`, in an environment of its own, because litert-torch holds PyTorch back.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kdcore import inputs
from kdcore.files import replacing
from kdcore.problems import Problem, RecipeError, first_line
from kdcore.takeaway.trackers import MissingLibrary
from kdcore.workspace.library import Library
from kdcore.workspace.workspace import Workspace

IMAGES = 64
TOLERANCE = 1e-3  # of the largest logit: float32 in another order of operations


class Converted(NamedTuple):
    """On how many test images the file was verified, and the largest difference of a logit."""

    images: int
    difference: float


def convert(workspace: Workspace, run_id: str, variant: str, target: Path) -> Converted:
    """Writes the first seed's network of a variant, for a single input as its ONNX file takes it, once it is verified.

    Raises MissingLibrary, UnknownRun, OSError, and RecipeError where the variant has no network (int8 exists as an ONNX
    file alone), where litert-torch cannot convert it, or where its answers differ.
    """
    if find_spec("litert_torch") is None:
        raise MissingLibrary("litert-torch is not installed: pip install 'kdcore[litert]' in an environment of its own")
    import litert_torch
    import torch

    from kdcore.export import weights

    found = Library(workspace).network(run_id, variant)
    assert found.fingerprint, "a complete model names its data set"
    kind = inputs.of(found.shape)
    images = kind.load(workspace.dataset(found.fingerprint), "test_images")[:IMAGES]
    with np.load(found.folder / "logits.npz", allow_pickle=False) as logits:
        known = logits["test"][: len(images)]
    try:
        made = litert_torch.convert(weights.load(found.folder), (torch.from_numpy(kind.plain(found.shape, 1)),))
        said = np.concatenate([np.asarray(made(image[None])) for image in torch.from_numpy(kind.feed(images))])
    except Exception as error:  # the converter raises many kinds
        raise _refused(f"litert-torch cannot convert {variant}: {first_line(error)}") from error
    difference = float(np.abs(said - known).max())
    if not difference <= TOLERANCE * max(1.0, float(np.abs(known).max())):
        raise _refused(f"the LiteRT file of {variant} differs from the ONNX file by {difference:.2g} in a logit")
    with replacing(target) as temporary:
        made.export(str(temporary))
    return Converted(len(images), difference)


def _refused(message: str) -> RecipeError:
    return RecipeError([Problem("variant", message)])
