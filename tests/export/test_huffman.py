from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kdcore.export import huffman


def test_a_code_worked_out_by_hand():
    lengths = huffman.lengths(np.array([45, 13, 12, 16, 9, 5]))  # the textbook's example: 224 bits
    assert lengths.tolist() == [1, 3, 3, 3, 4, 4]
    assert huffman.codes(lengths).tolist() == [0b0, 0b100, 0b101, 0b110, 0b1110, 0b1111]
    assert huffman.encode(np.array([0, 5, 1]), lengths) == bytes([0b01111100])


@given(st.lists(st.integers(1, 40), min_size=2, max_size=5))
def test_no_code_is_shorter(counts):
    found = huffman.lengths(np.array(counts))
    complete = (
        bits
        for bits in itertools.product(range(1, len(counts)), repeat=len(counts))
        if math.isclose(sum(2.0**-b for b in bits), 1)
    )
    best = min(np.dot(counts, bits) for bits in complete)
    assert np.dot(counts, found) == best


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=257))
def test_a_code_is_within_a_bit_of_the_entropy_and_complete(counts):
    counts = np.array(counts)
    lengths = huffman.lengths(counts)
    assert ((lengths > 0) == (counts > 0)).all()
    if (counts > 0).sum() > 1:
        assert sum(2.0 ** -int(length) for length in lengths if length) == 1
        mean = (counts * lengths).sum() / counts.sum()
        assert huffman.entropy(counts) - 1e-9 <= mean < huffman.entropy(counts) + 1


def test_codes_of_rare_symbols_are_no_longer_than_fifteen_bits():
    fibonacci = [1, 1]
    while len(fibonacci) < 40:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    lengths = huffman.lengths(np.array(fibonacci))
    assert lengths.max() == 15
    assert sum(2.0 ** -int(length) for length in lengths) == 1


def test_a_bell_of_32_values_is_coded_within_two_percent_of_its_entropy():
    symbols = np.clip(np.random.default_rng(0).normal(16, 4, 100_000), 0, 31).astype(int)
    counts = np.bincount(symbols, minlength=32)
    lengths = huffman.lengths(counts)
    coded = 8 * len(huffman.encode(symbols, lengths)) / len(symbols)
    assert huffman.entropy(counts) <= coded <= 1.02 * huffman.entropy(counts)


@given(st.lists(st.integers(0, 256), max_size=300))
def test_what_is_encoded_is_decoded(symbols):
    symbols = np.array(symbols, dtype=np.int64)
    lengths = huffman.lengths(np.bincount(symbols, minlength=257))
    data = huffman.encode(symbols, lengths)
    assert huffman.decode(data, lengths, len(symbols)).tolist() == symbols.tolist()


def test_long_codes_are_decoded_in_chunks(monkeypatch):
    monkeypatch.setattr(huffman, "CHUNK", 64)
    symbols = np.random.default_rng(0).geometric(0.2, 1000)
    lengths = huffman.lengths(np.bincount(symbols))
    assert np.array_equal(huffman.decode(huffman.encode(symbols, lengths), lengths, 1000), symbols)


@example(b"", [2], 0)
@given(st.binary(max_size=40), st.lists(st.integers(0, 20), max_size=20), st.integers(0, 10**9))
def test_any_bytes_are_decoded_or_refused(data, lengths, count):
    try:
        found = huffman.decode(data, np.array(lengths, dtype=np.int64), count)
    except huffman.CodeError:
        return
    assert len(found) == count <= 8 * len(data)
    assert huffman.encode(found, np.array(lengths)) == data


@pytest.mark.parametrize("lengths", [[1, 1, 1], [1, 2], [2], [16, 16], [1, 15]])
def test_lengths_of_no_code_are_refused(lengths):
    with pytest.raises(huffman.CodeError):
        huffman.codes(np.array(lengths))
