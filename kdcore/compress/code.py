"""Entropy coding: zeros and shared values in as few bytes as they need, in a file beside the one that runs."""

from __future__ import annotations

from kdcore.compress.step import CompressError, StepInput, StepResult
from kdcore.compress.traits import StepTraits, any_graph
from kdcore.inputs import EVERY
from kdcore.registry import Options, register


class Code(Options):
    """Entropy coding has no options: every tensor takes the smallest of the forms that the file knows."""


@register(
    "step",
    "code",
    "Huffman-code shared values and zeros: the smallest file to store or send, no faster",
    source="Han et al. 2016, arXiv:1510.00149, section 4; relative positions as in its section 2; Huffman 1952",
    options=Code,
    traits=StepTraits(
        variant="shared",
        stage="code",
        label="coded",
        faster=False,
        final=True,
        graph=any_graph,
        why="Storage only: model.coded is decoded to the same weights before they run, and the file that "
        "runs keeps its size and speed. Only zeros and shared values make it small: prune and share "
        "first.",
        search=(),
        coded=True,
        reads=EVERY,
        formula=r"\text{bits} \approx - \sum_v n_v \log_2 \tfrac{n_v}{n}",
        helps="Last, for storage and transport: lossless. The file must be decoded before it runs.",
    ),
)
def code(material: StepInput, options: Code) -> StepResult:
    """Writes `model.coded` and reads it back. The network and the file that runs stay as they are.

    The rows' `coded_bytes` add up to the file, header, biases and batch norms included. Raises CompressError for
    tensors of unknown types, or should the file not give the same weights.
    """
    from kdcore.export import coded

    path = material.folder / coded.NAME
    try:
        report = coded.save(path, material.network, coded.described(material.network, material.onnx.parent))
        _check(coded.unpack(path.read_bytes())[1], coded.state(material.network))
    except coded.CodedError as error:
        raise CompressError(f"the network cannot be coded: {error}") from None
    return StepResult(material.network, report, onnx=material.onnx, files=(path,))


def _check(read: dict, written: dict) -> None:
    import numpy as np

    for name, values in written.items():
        whole = written[values] if isinstance(values, str) else values
        if not np.array_equal(read[name], whole, equal_nan=whole.dtype.kind == "f"):
            raise CompressError(f"the coded file does not decode to the same tensor {name!r}")
