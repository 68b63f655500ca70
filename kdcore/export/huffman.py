"""Canonical Huffman codes of at most 15 bits: how long each symbol's code is says all."""

from __future__ import annotations

import heapq

import numpy as np

LONGEST = 15  # bits of a code, so that a length takes half a byte
CHUNK = 1 << 20  # bits that are looked up at once


class CodeError(ValueError):
    """These bytes are no Huffman code of what they should be."""


def lengths(counts: np.ndarray) -> np.ndarray:
    """Bits (k,) of each symbol's code for its count (k,), 0 for symbols that never occur; none above 15.

    The sum of counts times lengths is the least that whole bits allow (Huffman 1952), except where a code would be
    longer than 15 bits: then counts are halved until none is.
    """
    counts = np.asarray(counts, dtype=np.int64)
    while True:
        found = _lengths(counts)
        if found.max(initial=0) <= LONGEST:
            return found
        counts = np.where(counts > 0, (counts + 1) // 2, 0)


def _lengths(counts: np.ndarray) -> np.ndarray:
    found = np.zeros(len(counts), dtype=np.int64)
    heap: list[tuple[int, int, tuple[int, ...]]] = [
        (int(count), symbol, (symbol,)) for symbol, count in enumerate(counts) if count > 0
    ]
    if len(heap) == 1:
        found[heap[0][1]] = 1
    heapq.heapify(heap)
    while len(heap) > 1:
        (few, first, rare), (more, _, others) = heapq.heappop(heap), heapq.heappop(heap)
        found[[*rare, *others]] += 1
        heapq.heappush(heap, (few + more, first, rare + others))
    return found


def codes(lengths: np.ndarray) -> np.ndarray:
    """The canonical codes (k,): counting up from zero by length, then symbol. Raises CodeError."""
    lengths = np.asarray(lengths, dtype=np.int64)
    used = np.flatnonzero(lengths)
    if used.size and lengths.max() > LONGEST:
        raise CodeError("a code is longer than 15 bits")
    room = int((1 << (LONGEST - lengths[used])).sum())
    if room > 1 << LONGEST or (len(used) > 1 and room < 1 << LONGEST) or (len(used) == 1 and lengths[used[0]] != 1):
        raise CodeError("the lengths are not those of a Huffman code")
    found = np.zeros(len(lengths), dtype=np.int64)
    code, before = 0, 0
    for symbol in used[np.argsort(lengths[used], kind="stable")]:
        code <<= int(lengths[symbol]) - before
        before = int(lengths[symbol])
        found[symbol] = code
        code += 1
    return found


def encode(symbols: np.ndarray, lengths: np.ndarray) -> bytes:
    """The codes of `symbols` (n,) one after another, first bit highest; the last byte is filled with zeros."""
    widths = np.asarray(lengths)[symbols]
    values = codes(lengths)[symbols]
    ends = np.cumsum(widths)
    bits = np.zeros(int(ends[-1]) if len(ends) else 0, dtype=np.uint8)
    for place in range(int(widths.max(initial=0))):  # the last bit of every code, then the last but one
        has = widths > place
        bits[ends[has] - 1 - place] = (values[has] >> place) & 1
    return np.packbits(bits).tobytes()


def decode(data: bytes, lengths: np.ndarray, count: int) -> np.ndarray:
    """`count` symbols from exactly these bytes. Raises CodeError."""
    lengths = np.asarray(lengths, dtype=np.int64)
    table = _table(lengths)
    if count > 8 * len(data):  # a code has a bit at least
        raise CodeError(f"{count} symbols do not fit into {len(data)} bytes")
    if count == 0:
        if data:
            raise CodeError("there are bytes where no symbol is left")
        return np.zeros(0, dtype=np.int64)
    if not lengths.any():
        raise CodeError("there is no code")
    bits = np.concatenate([np.unpackbits(np.frombuffer(data, np.uint8)), np.zeros(LONGEST, np.uint8)])
    found: list[np.ndarray] = []
    start, left = 0, count
    while left:
        # All windows of 15 bits at once, then from code to code
        part = bits[start : start + CHUNK + LONGEST].astype(np.uint16)
        span = len(part) - LONGEST
        if span <= 0:
            raise CodeError("the bytes end before the last symbol")
        windows = np.zeros(span, dtype=np.uint16)
        for place in range(LONGEST):
            windows = (windows << np.uint16(1)) | part[place : place + span]
        symbols = table[windows]
        steps = np.where(symbols >= 0, lengths[symbols], 0).tolist()
        places: list[int] = []
        here = 0
        while here < span and len(places) < left:
            step = steps[here]
            if not step:
                raise CodeError("there is no symbol with this code")
            places.append(here)
            here += step
        found.append(symbols[places])
        left -= len(places)
        start += here
    if (start + 7) // 8 != len(data) or bits[start:].any():
        raise CodeError("the bytes do not end with the last symbol")
    return np.concatenate(found)


def _table(lengths: np.ndarray) -> np.ndarray:
    """The symbol of every 15 bits that begin with its code, or -1."""
    table = np.full(1 << LONGEST, -1, dtype=np.int64)
    values = codes(lengths)
    for symbol in np.flatnonzero(lengths):
        free = LONGEST - int(lengths[symbol])
        table[int(values[symbol]) << free : (int(values[symbol]) + 1) << free] = symbol
    return table


def entropy(counts: np.ndarray) -> float:
    """Bits a symbol that no code can go below, from the counts of each symbol (Shannon 1948)."""
    shares = np.asarray(counts, dtype=np.float64)
    shares = shares[shares > 0] / max(shares.sum(), 1)
    return float(max(0.0, -(shares * np.log2(shares)).sum()))
