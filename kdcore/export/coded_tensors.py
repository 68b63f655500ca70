"""The forms that a tensor can have in a coded file: how many bytes each takes, and the way there and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kdcore.export import huffman

_TYPES = (("f4", "<f4"), ("i8", "<i8"), ("i4", "<i4"), ("u1", "u1"), ("b1", "?"))
KINDS: dict[str, np.dtype[Any]] = {name: np.dtype(kind) for name, kind in _TYPES}
MOST_VALUES = 257  # of a codebook: eight bits, and zero
GAPS = range(2, 9)  # bits of a step from one weight to the next


class CodedError(ValueError):
    """The file is no whole coded network; the message says why."""


class Parts(NamedTuple):
    """A tensor in one form: its row in the header beside the shape, and its bytes."""

    form: str
    counts: tuple[int, ...]
    data: bytes


def kind(values: np.ndarray) -> str:
    """The short name of the array's type. Raises CodedError for types that a file cannot hold."""
    for name, known in KINDS.items():
        if values.dtype == known:
            return name
    raise CodedError(f"numbers of type {values.dtype} cannot be coded")


def as_it_is(count: int) -> dict[str, int]:
    """What takes `count` bytes at every stage."""
    return dict.fromkeys(("dense_bytes", "sparse_bytes", "shared_bytes", "coded_bytes"), count)


def smallest(values: np.ndarray) -> tuple[Parts, dict[str, Any]]:
    """The form that takes the fewest bytes, and its row in the header."""
    raw = Parts("raw", (), values.astype(KINDS[kind(values)]).tobytes())
    row: dict[str, Any] = {"form": "raw", "weights": values.size} | as_it_is(len(raw.data))
    if values.dtype != np.float32 or values.ndim < 2 or not values.size:
        return raw, row
    flat = np.where(values == 0, np.float32(0), values).reshape(-1)
    used = np.flatnonzero(flat)
    wide, positions = _positions(used, flat.size)
    whole, nonzero = _book(flat), _book(flat[used])
    candidates = [
        raw,
        Parts("positions", (len(used), *positions.counts), flat[used].astype("<f4").tobytes() + positions.data),
    ]
    sparse = len(candidates[1].data) - len(positions.data) + wide
    shared = min(len(raw.data), sparse)
    if whole:
        candidates.append(Parts("codebook", whole.parts.counts, whole.parts.data))
        shared = min(shared, whole.fixed)
    if nonzero:
        counts = (len(used), *nonzero.parts.counts, *positions.counts)
        candidates.append(Parts("sparse", counts, nonzero.parts.data + positions.data))
        shared = min(shared, nonzero.fixed + wide)
    best = min(candidates, key=lambda one: len(one.data))
    book = {"codebook": whole, "sparse": nonzero}.get(best.form)
    row |= {"form": best.form, "zeros": flat.size - len(used), "sparse_bytes": min(len(raw.data), sparse)}
    row |= {"shared_bytes": shared, "coded_bytes": len(best.data)}
    if book:
        row |= {"distinct": book.parts.counts[0], "entropy_bits": book.entropy, "code_bits": book.mean}
    return best, row


class Book(NamedTuple):
    """A codebook and its places. `fixed`: bytes with places of fixed width. `mean`: bits of a code, on average."""

    parts: Parts
    fixed: int
    entropy: float
    mean: float


def _book(flat: np.ndarray) -> Book | None:
    """The codebook of these numbers, distinct by their bits; None where there are none, or too many values."""
    values, places, counts = np.unique(flat.view(np.uint32), return_inverse=True, return_counts=True)
    if not 0 < len(values) <= MOST_VALUES:
        return None
    lengths = huffman.lengths(counts)
    bits = huffman.encode(places, lengths)
    data = values.astype("<u4").tobytes() + _nibbles(lengths) + bits
    fixed = 4 * len(values) + math.ceil(flat.size * math.ceil(math.log2(len(values))) / 8)
    mean = float((counts * lengths).sum() / flat.size)
    return Book(Parts("", (len(values), len(bits)), data), fixed, huffman.entropy(counts), mean)


def _positions(used: np.ndarray, size: int) -> tuple[int, Parts]:
    """Bytes of the steps at fixed width, and the coded steps: `bits` of a step, their number, bytes of their code.

    A step is the number of zeros before a weight; the highest symbol passes that many zeros and no weight.
    """
    zeros = np.diff(used, prepend=-1) - 1
    tried = []
    for bits in GAPS:
        top = (1 << bits) - 1
        skips = zeros // top
        counts = np.bincount(zeros % top, minlength=top + 1)
        counts[top] = skips.sum()
        lengths = huffman.lengths(counts)
        tried.append(
            (math.ceil((counts * lengths).sum() / 8) + len(_nibbles(lengths)), bits, lengths, int(counts.sum()))
        )
    _, bits, lengths, count = min(tried, key=lambda one: one[0])
    fixed = min(math.ceil(one[3] * one[1] / 8) for one in tried)
    top = (1 << bits) - 1
    symbols = np.full(count, top, dtype=np.int64)
    symbols[np.cumsum(zeros // top + 1) - 1] = zeros % top
    code = huffman.encode(symbols, lengths)
    return fixed, Parts("", (bits, count, len(code)), _nibbles(lengths) + code)


def _nibbles(lengths: np.ndarray) -> bytes:
    padded = np.append(lengths, 0)[: 2 * math.ceil(len(lengths) / 2)].astype(np.uint8)
    return (padded[0::2] << 4 | padded[1::2]).tobytes()


def read(
    data: memoryview, kind: str, shape: tuple[int, ...], form: str, counts: Sequence[int]
) -> tuple[np.ndarray, int]:
    """The tensor that begins here, and how many bytes it takes. Raises ValueError."""
    size, source = math.prod(shape), _Source(data)
    if kind not in KINDS:
        raise CodedError(f"unknown type {kind!r}")
    expected = {"raw": 0, "codebook": 2, "positions": 4, "sparse": 6}.get(form)
    if expected != len(counts) or (form != "raw" and kind != "f4"):
        raise CodedError(f"there is no form {form!r} with {len(counts)} counts")
    if form == "raw":
        flat = source.numbers(KINDS[kind], size)
        if kind == "b1" and flat.view(np.uint8).max(initial=0) > 1:
            raise CodedError("a truth value is neither 0 nor 1")
    elif form == "codebook":
        flat = source.book(size, *counts)
    else:
        weights = source.numbers(KINDS["f4"], counts[0]) if form == "positions" else source.book(*counts[:3])
        flat = source.spread(weights, size, *counts[-3:])
    return flat.astype(KINDS[kind].newbyteorder("="), copy=False).reshape(shape), source.used


class _Source:
    """Bytes that are taken from the front; there are never more than there are."""

    def __init__(self, data: memoryview):
        self.data, self.used = data, 0

    def take(self, count: int) -> memoryview:
        if count > len(self.data) - self.used:
            raise CodedError("the bytes end too early")
        self.used += count
        return self.data[self.used - count : self.used]

    def numbers(self, kind: np.dtype, count: int) -> np.ndarray:
        return np.frombuffer(self.take(count * kind.itemsize), dtype=kind).copy()

    def lengths(self, count: int) -> np.ndarray:
        packed = np.frombuffer(self.take(math.ceil(count / 2)), dtype=np.uint8)
        return np.stack([packed >> 4, packed & 15], axis=1).reshape(-1)[:count].astype(np.int64)

    def book(self, size: int, values: int, code: int) -> np.ndarray:
        if values > MOST_VALUES:
            raise CodedError(f"a codebook has more than {MOST_VALUES} values")
        codebook = self.numbers(KINDS["f4"], values)
        lengths = self.lengths(values)
        return codebook[huffman.decode(bytes(self.take(code)), lengths, size)]

    def spread(self, weights: np.ndarray, size: int, bits: int, count: int, code: int) -> np.ndarray:
        """The weights at their places among `size` zeros."""
        if bits not in GAPS:
            raise CodedError(f"steps of {bits} bits are unknown")
        top = (1 << bits) - 1
        lengths = self.lengths(top + 1)
        symbols = huffman.decode(bytes(self.take(code)), lengths, count)
        stays = symbols < top
        places = np.cumsum(np.where(stays, symbols + 1, top))[stays] - 1
        if len(places) != len(weights) or (count and not stays[-1]) or (len(places) and places[-1] >= size):
            raise CodedError("the positions are not those of its weights")
        flat = np.zeros(size, dtype=np.float32)
        flat[places] = weights
        return flat
