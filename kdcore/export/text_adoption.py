"""The subprocess of `external_onnx` for classifiers of texts. Not for a process that matters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from kdcore.export import onnx_reading as reading
from kdcore.export.external_onnx import ForeignModel, Judged, WantedTexts
from kdcore.export.onnx_judging import (
    allow_looking,
    answer,
    ends_in_sigmoid,
    logits_of,
    named,
    output,
    run,
    same,
    session,
    weighted,
)
from kdcore.export.onnx_macs import macs
from kdcore.export.onnx_wrapping import PREFIX, Takes, wrapped_texts
from kdcore.models.first_look import Look, Plain, Sample, look

ROLES = {  # what exporters call the inputs
    "ids": ("input_ids", "ids", "tokens", "token_ids", "input"),
    "mask": ("attention_mask", "input_mask", "mask"),
    "types": ("token_type_ids", "segment_ids", "token_types"),
}
INTEGERS = (TensorProto.INT64, TensorProto.INT32)
SHORT = 2  # tokens of the shortest text in the trial


def adopt(path: Path, wanted: WantedTexts, target: Path | None, sample: Path | None = None) -> Judged:
    """See `external_onnx.adopt`. Raises ForeignModel, and whatever a hostile file makes a library raise."""
    model = onnx.compose.add_prefix(reading.read(path), PREFIX)
    takes, gives = _takes(model), output(model)
    reading.check_modes(model)
    order = wanted.order or reading.class_order(model, wanted.names) or reading.order_of(wanted.labels, wanted.names)
    wanted = wanted._replace(order=[] if list(order) == list(range(wanted.classes)) else order)
    params, zeros = reading.count(model)
    plain = _Asked(wrapped_texts(model, wanted._replace(outputs="logits", order=[]), takes, gives))
    texts = _texts(wanted)
    expected = logits_of(plain.alone(texts, wanted.classes), wanted, ends_in_sigmoid(model))
    made = wrapped_texts(model, wanted, takes, gives)
    if not same(_Asked(made).together(texts), expected, (gives,)):
        raise ForeignModel(_why(takes))
    if target:
        target.write_bytes(made.SerializeToString())
    found = _look(plain, wanted, sample) if sample else None
    counted = macs(made, np.ones((1, max(SHORT, wanted.length)), np.int64))
    return Judged(params, zeros, counted, None, False, list(wanted.order), found, weighted(model))


class _Asked:
    """A file that takes ids as ours do."""

    def __init__(self, model: onnx.ModelProto):
        self.running = session(model)

    def together(self, ids: np.ndarray) -> np.ndarray:
        """Its answers (n, K) to ids (n, L), padded with 0."""
        length = max(1, int((ids != 0).sum(axis=1).max()))
        try:
            return run(self.running, "ids", ids[:, :length])
        except ForeignModel as error:
            raise ForeignModel(f"{error}. If it reads shorter texts only, lower longest of the data set") from None

    def alone(self, ids: np.ndarray, classes: int) -> np.ndarray:
        """Its answers (n, K), each text asked by itself. Raises ForeignModel where they are none of K classes."""
        said = []
        for one in ids:
            out = self.together(one[None])
            if out.shape != (1, classes):
                raise ForeignModel(f"its output is {out.shape}; (1, {classes}) is needed, a number for each class")
            said.append(out[0])
        return np.stack(said).astype(np.float32)


def _takes(model: onnx.ModelProto) -> Takes:
    """Its inputs by what they are. Raises ForeignModel."""
    held = {tensor.name for tensor in model.graph.initializer}
    given = [value for value in model.graph.input if value.name not in held]
    takes = {}
    for value in given:
        _check(value)
        name = value.name.removeprefix(PREFIX).lower()
        role = "ids" if len(given) == 1 else next((role for role, names in ROLES.items() if name in names), "")
        if not role or role in takes:
            raise ForeignModel(f"its inputs are{named(given)}; input_ids, attention_mask and token_type_ids are known")
        takes[role] = value
    if "ids" not in takes:
        raise ForeignModel(f"its inputs are{named(given)}; input_ids is needed")
    return takes


def _check(value: onnx.ValueInfoProto) -> None:
    kind, name = value.type.tensor_type, value.name.removeprefix(PREFIX)
    if kind.elem_type not in INTEGERS and (kind.elem_type != TensorProto.BOOL or "mask" not in name.lower()):
        found = TensorProto.DataType.Name(kind.elem_type).lower()
        raise ForeignModel(f"its input {name!r} is {found}, but token ids are whole numbers (int64)")
    sides = kind.shape.dim
    if len(sides) != 2:
        raise ForeignModel(f"its input {name!r} has {len(sides)} axes; two are needed, texts and tokens")
    for what, side in zip(("batch size", "length"), sides, strict=True):
        if side.HasField("dim_value") and side.dim_value >= 0:
            raise ForeignModel(
                f"the {what} of its input {name!r} is fixed to {side.dim_value}: export it with two dynamic axes"
            )
        side.ClearField("dim_value")


def _texts(wanted: WantedTexts) -> np.ndarray:
    """Ids (n, L) of texts from the shortest to the longest that there can be, padded with 0."""
    lengths = sorted({SHORT, max(SHORT, wanted.length), max(SHORT, wanted.longest)})
    texts = np.random.default_rng(0).integers(1, wanted.vocabulary, (len(lengths), lengths[-1]))
    return np.where(np.arange(lengths[-1]) < np.array(lengths)[:, None], texts, 0)


def _why(takes: Takes) -> str:
    if "mask" not in takes:
        return "its outputs depend on padding (id 0), and it has no input attention_mask: export it with one"
    return (
        "its outputs depend on the other texts of the batch, or on padding: if it is quantized dynamically, "
        "use the file before quantization"
    )


def _look(plain: _Asked, wanted: WantedTexts, sample: Path) -> Look:
    allow_looking()
    return look(plain.together, Sample.read(sample), Plain(), {}, wanted.order)


def _asked(question: dict[str, Any]) -> Judged:
    return adopt(Path(question["path"]), WantedTexts(**question["wanted"]), question["target"], question["sample"])


if __name__ == "__main__":
    answer(_asked)
