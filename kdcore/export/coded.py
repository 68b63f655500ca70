"""A network in as few bytes as its zeros and shared values allow: `model.coded`, without a pickle. Storage only.

    "KDCODED\\n" · version · length of the header · length of the payload · sha256 of both
    header    zlib of JSON: the architecture's document, or the graph of an ONNX file without its weights ("graph", in
              base64), and a list of tensors: name, type, shape, form and counts
    payload   the tensors' parts, one after another

A tensor has one of these forms, whichever is smallest:

    raw        all its numbers
    codebook   its distinct values, and a Huffman code of which weight has which
    sparse     the same of the weights that are not zero, and a Huffman code of how far each is from the one before
    positions  the weights that are not zero at four bytes each, and how far each is from the one before
    same       those of another tensor (tied layers)
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from kdcore import models
from kdcore.export import coded_tensors, graph_network, weights
from kdcore.export.coded_tensors import CodedError
from kdcore.files import replacing

NAME = "model.coded"
MAGIC = b"KDCODED\n"
VERSION = 1
FRONT = struct.Struct("<8sHIQ32s")
MOST_HEADER = 4 << 20  # bytes, unpacked
MOST_NUMBERS = 1 << 28  # of all tensors: a gigabyte
MOST_A_BYTE = 4096  # of the file; 99.9 % zeros make about 2000


def pack(tensors: Mapping[str, np.ndarray | str], document: Mapping[str, Any]) -> tuple[bytes, list[dict[str, Any]]]:
    """The file's bytes, and a row for each tensor and for the header. A tensor may be the name of one that it equals.

    A row's `coded_bytes` are what the tensor takes in the file, and all rows' add up to the file. Beside them stand
    `dense_bytes` (every number), `sparse_bytes` (without the zeros, with positions of fixed width) and `shared_bytes`
    (with places of fixed width in a codebook too): Deep Compression's stages. Negative zeros become zeros.
    """
    listed: list[list[Any]] = []
    payload: list[bytes] = []
    rows: list[dict[str, Any]] = []
    for name, values in tensors.items():
        if isinstance(values, str):
            listed.append([name, "", [], "same", values])
            rows.append({"name": name, "form": "same", "weights": 0} | coded_tensors.as_it_is(0))
            continue
        chosen, row = coded_tensors.smallest(values)
        listed.append([name, coded_tensors.kind(values), list(values.shape), chosen.form, *chosen.counts])
        payload.append(chosen.data)
        rows.append({"name": name, **row})
    content = json.dumps({"document": dict(document), "tensors": listed}, separators=(",", ":"))
    header, body = zlib.compress(content.encode(), 9), b"".join(payload)
    digest = hashlib.sha256(header + body).digest()
    front = FRONT.pack(MAGIC, VERSION, len(header), len(body), digest)
    rows.append({"name": "header", "form": "header", "weights": 0} | coded_tensors.as_it_is(len(front) + len(header)))
    return front + header + body, rows


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The document and the tensors of `pack`. Tensors that were tied are the same array.

    Raises CodedError for anything that is not whole, of another version, or would be too large.
    """
    header, body = _parts(data)
    document, listed = _header(header)
    tensors: dict[str, np.ndarray] = {}
    left, numbers = memoryview(body), 0
    for entry in listed:
        name, kind, shape, form, counts = _entry(entry, tensors)
        if form == "same":
            if counts[0] not in tensors:
                raise CodedError(f"tensor {name!r} is tied to a missing one")
            tensors[name] = tensors[counts[0]]
            continue
        numbers += math.prod(shape)
        if numbers > min(MOST_NUMBERS, MOST_A_BYTE * len(data)):
            raise CodedError(f"the tensors have {numbers} numbers or more, too many for a file of {len(data)} bytes")
        try:
            tensors[name], used = coded_tensors.read(left, kind, shape, form, counts)
        except ValueError as error:
            raise CodedError(f"tensor {name!r} cannot be read: {error}") from None
        left = left[used:]
    if left:
        raise CodedError("there are bytes after the last tensor")
    return document, tensors


def _parts(data: bytes) -> tuple[bytes, bytes]:
    if len(data) < FRONT.size or not data.startswith(MAGIC):
        raise CodedError("this is not a coded network: its first bytes are wrong")
    _, version, header, body, digest = FRONT.unpack_from(data)
    if version != VERSION:
        raise CodedError(f"it has version {version}; this program reads {VERSION}")
    if len(data) != FRONT.size + header + body:
        raise CodedError(f"it has {len(data)} bytes and should have {FRONT.size + header + body}")
    rest = data[FRONT.size :]
    if hashlib.sha256(rest).digest() != digest:
        raise CodedError("its checksum is wrong: it was damaged or changed")
    return rest[:header], rest[header:]


def _header(packed: bytes) -> tuple[dict[str, Any], list[Any]]:
    unzip = zlib.decompressobj()
    try:
        text = unzip.decompress(packed, MOST_HEADER)
        if not unzip.eof or unzip.unused_data:
            raise CodedError(f"its header is incomplete, or longer than {MOST_HEADER} bytes")
        content = json.loads(text)
    except (zlib.error, ValueError, RecursionError) as error:
        raise error if isinstance(error, CodedError) else CodedError(f"its header cannot be read: {error}") from None
    if not isinstance(content, dict) or not isinstance(content.get("document"), dict):
        raise CodedError("its header has no document")
    if not isinstance(content.get("tensors"), list):
        raise CodedError("its header lists no tensors")
    return content["document"], content["tensors"]


def _entry(entry: Any, known: Mapping[str, Any]) -> tuple[str, str, tuple[int, ...], str, list[Any]]:
    match entry:
        case [str(name), str(kind), list(shape), str(form), *counts] if name not in known:
            whole = (*shape, *(counts if form != "same" else ()))
            right = all(type(number) is int and 0 <= number <= MOST_NUMBERS * 4 for number in whole)
            if right and len(shape) <= 8 and (form != "same" or [type(one) for one in counts] == [str]):
                return name, kind, tuple(shape), form, counts
    raise CodedError("its header lists an impossible tensor")


def save(path: Path, network: nn.Module, document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Writes the network's state and the document that `models.rebuild` needs; returns the rows of `pack`."""
    data, rows = pack(state(network), document)
    with replacing(path) as temporary:
        temporary.write_bytes(data)
    return rows


def load(path: Path) -> nn.Module:
    """The network that `save` wrote, in evaluation mode on the CPU. Raises FileNotFoundError, CodedError."""
    document, tensors = unpack(path.read_bytes())
    if "graph" in document:
        return _of_graph(document, tensors)
    made: dict[int, torch.Tensor] = {}
    for values in tensors.values():
        made.setdefault(id(values), torch.from_numpy(values))
    try:
        return models.rebuild(document, {name: made[id(values)] for name, values in tensors.items()})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CodedError(f"its tensors do not fit its architecture: {error}") from None


def described(network: nn.Module, folder: Path) -> dict[str, Any]:
    """The document of a finished model, in its folder: of its architecture, or of the graph that it consists of."""
    if isinstance(network, graph_network.GraphNetwork):
        return {"graph": base64.b64encode(network.emptied().SerializeToString()).decode("ascii")}
    path = folder / weights.ARCHITECTURE
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def _of_graph(document: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> nn.Module:
    try:
        model = onnx.load_model_from_string(base64.b64decode(document["graph"], validate=True))
        return graph_network.GraphNetwork(graph_network.filled(model, tensors))
    except Exception as error:  # protobuf's DecodeError, whose module differs by version, among others
        raise CodedError(f"its tensors do not fit its graph: {error}") from None


def state(network: nn.Module) -> dict[str, np.ndarray | str]:
    """The network's tensors, floats as fp32; of tied ones the later as the name of the first."""
    twins = weights.tied(network)
    return {name: twins.get(name) or weights.plain(value).numpy() for name, value in network.state_dict().items()}
