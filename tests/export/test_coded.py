from __future__ import annotations

import hashlib
import json
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kdcore import models, registry
from kdcore.export import coded, huffman
from kdcore.export.coded_tensors import CodedError
from tests import patience


def back(tensors):
    data, rows = coded.pack(tensors, {"a": 1})
    document, read = coded.unpack(data)
    assert document == {"a": 1}
    assert list(read) == list(tensors)
    assert sum(row["coded_bytes"] for row in rows) == len(data)
    return read, {row["name"]: row for row in rows}, data


def shared(size=(40, 50), zeros=0.0, values=16, seed=0):
    """Numbers of a bell on a few values, the smallest of them zero."""
    numbers = np.random.default_rng(seed).normal(size=size).astype(np.float32)
    small = np.abs(numbers) < np.quantile(np.abs(numbers), zeros)
    lattice = np.round(numbers * values / 8).astype(np.float32) * np.float32(0.3)
    return np.where(small, np.float32(0), np.where(lattice == 0, np.float32(0.05), lattice))


@pytest.mark.parametrize(
    ("values", "form"),
    [
        (np.random.default_rng(0).normal(size=(30, 30)).astype(np.float32), "raw"),
        (shared(), "codebook"),
        (shared(zeros=0.9), "sparse"),
        (
            np.where(shared(zeros=0.8), np.random.default_rng(1).normal(size=(40, 50)), 0).astype(np.float32),
            "positions",
        ),
        (np.zeros((20, 3, 3, 3), np.float32), "positions"),
        (np.full((20, 30), 2.5, np.float32), "codebook"),
        (np.zeros((0, 4), np.float32), "raw"),
        (np.arange(5), "raw"),
        (np.array(7), "raw"),
        (np.array([True, False]), "raw"),
        (np.array([[np.nan, np.inf], [-np.inf, 1e-40]], np.float32), "raw"),
    ],
)
def test_every_form_gives_back_what_was_written(values, form):
    read, rows, _ = back({"x.weight": values})
    assert rows["x.weight"]["form"] == form
    assert read["x.weight"].dtype == values.dtype
    assert np.array_equal(read["x.weight"], values, equal_nan=values.dtype.kind == "f")


@settings(max_examples=80, deadline=None)
@given(
    arrays.arrays(
        np.float32,
        arrays.array_shapes(min_dims=2, max_dims=4, max_side=12),
        elements=st.sampled_from([0.0, 0.0, 0.0, 0.5, -1.25, 3.0, 1e-30, float("inf")]),
    )
)
def test_any_shared_numbers_come_back(values):
    read, rows, _ = back({"x": values, "tied": "x", "bias": values[0]})
    assert np.array_equal(read["x"], values)
    assert np.array_equal(read["bias"], values[0])
    assert read["tied"] is read["x"]
    stages = [rows["x"][f"{stage}_bytes"] for stage in ("dense", "sparse", "shared")]
    assert stages == sorted(stages, reverse=True)


def test_long_stretches_of_zeros_are_passed_over():
    values = np.zeros((3, 5000), np.float32)
    values[[0, 1, 2, 2], [300, 4000, 4998, 4999]] = [1, 2, 2, 1]
    read, rows, _ = back({"x": values})
    assert rows["x"]["form"] == "sparse"
    assert np.array_equal(read["x"], values)


def test_negative_zeros_become_zeros():
    values = np.array([[-0.0, 1.0]] * 40, np.float32)
    read, _, _ = back({"x": values})
    assert np.array_equal(read["x"], values)
    assert not np.signbit(read["x"]).any()


def test_places_and_positions_are_coded_within_two_percent_of_their_entropy():
    values = shared((400, 500), zeros=0.8, values=48)
    _, rows, _ = back({"x": values})
    row, flat = rows["x"], values.reshape(-1)
    _, counts = np.unique(flat[flat != 0], return_counts=True)
    places = huffman.entropy(counts)
    assert row["entropy_bits"] == pytest.approx(places)
    assert row["code_bits"] <= 1.02 * places
    _, zeros_between = np.unique(np.diff(np.flatnonzero(flat)) - 1, return_counts=True)
    least = counts.sum() * (places + huffman.entropy(zeros_between)) / 8 + 4 * len(counts)
    assert least <= row["coded_bytes"] <= 1.02 * least + 300  # the tables


def test_equal_content_makes_equal_bytes():
    assert coded.pack({"x": shared(zeros=0.5)}, {"a": 1})[0] == coded.pack({"x": shared(zeros=0.5)}, {"a": 1})[0]


def network(**options):
    torch.manual_seed(0)
    chosen = registry.validate("architecture", {"architecture": "cnn", "width": 8, **options})
    document = models.describe(chosen, 10, (1, 8, 8), [0.3], [0.4])
    return models.create(chosen, 10, (1, 8, 8), [0.3], [0.4]).eval(), document


def test_a_network_is_the_same_in_a_fresh_process_without_a_pickle(tmp_path):
    made, document = network()
    made.stage1.conv.weight.data = torch.from_numpy(shared((8, 8, 3, 3), zeros=0.5))
    coded.save(tmp_path / coded.NAME, made, document)
    images = torch.rand(4, 1, 8, 8)
    np.savez(tmp_path / "seen.npz", images=images.numpy(), logits=made(images).detach().numpy())
    code = """
import sys, pickle, numpy as np, torch
from pathlib import Path
from kdcore.export import coded
def never(*_, **__): raise AssertionError("a pickle")
pickle.load = pickle.loads = torch.load = never
torch.set_num_threads(1)
folder = Path(sys.argv[1])
seen = np.load(folder / "seen.npz")
network = coded.load(folder / "model.coded")
assert np.array_equal(network(torch.from_numpy(seen["images"])).detach(), seen["logits"])
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=patience.SECONDS)


def test_a_document_of_another_network_is_refused(tmp_path):
    made, document = network()
    for wrong in ({}, {**document, "architecture": {"architecture": "mlp"}}, {**document, "classes": 3}):
        coded.save(tmp_path / "x", made, wrong)
        with pytest.raises(CodedError, match="do not fit its architecture"):
            coded.load(tmp_path / "x")


WHOLE = coded.pack({"x": shared(zeros=0.7), "y": shared(), "z": np.arange(3), "tied": "x"}, {"a": 1})[0]


@given(st.integers(0, len(WHOLE) - 1))
def test_a_truncated_file_is_refused(length):
    with pytest.raises(CodedError):
        coded.unpack(WHOLE[:length])


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused(place, change):
    with pytest.raises(CodedError):
        coded.unpack(WHOLE[:place] + bytes([WHOLE[place] ^ change]) + WHOLE[place + 1 :])


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data):
    for one in (data, coded.MAGIC + data):
        with pytest.raises(CodedError):
            coded.unpack(one)


def summed(header: bytes, payload: bytes) -> bytes:
    """A file whose sum is right whatever is in it."""
    digest = hashlib.sha256(header + payload).digest()
    return coded.FRONT.pack(coded.MAGIC, coded.VERSION, len(header), len(payload), digest) + header + payload


def told(tensors, document=None) -> bytes:
    return zlib.compress(json.dumps({"document": document or {}, "tensors": tensors}).encode())


HEADER, PAYLOAD = coded._parts(WHOLE)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(PAYLOAD) - 1), st.binary(min_size=1, max_size=6))
def test_a_payload_that_was_changed_with_its_sum_gives_numbers_or_is_refused(place, change):
    payload = PAYLOAD[:place] + change + PAYLOAD[place + len(change) :]
    try:
        _, tensors = coded.unpack(summed(HEADER, payload))
    except CodedError:
        return
    assert {name: values.shape for name, values in tensors.items()} == {
        "x": (40, 50), "y": (40, 50), "z": (3,), "tied": (40, 50)
    }  # fmt: skip


LISTED = json.loads(zlib.decompress(HEADER))["tensors"]
ODD = st.one_of(st.integers(-1, 2**70), st.none(), st.text(max_size=3), st.floats(), st.lists(st.integers(0, 2**40)))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([(row, column) for row, entry in enumerate(LISTED) for column in range(len(entry))]), ODD)
def test_a_header_that_was_changed_with_its_sum_gives_numbers_or_is_refused(place, odd):
    listed = json.loads(json.dumps(LISTED))
    listed[place[0]][place[1]] = odd
    try:
        _, tensors = coded.unpack(summed(told(listed), PAYLOAD))
    except CodedError:
        return
    assert sum(values.size for values in tensors.values()) < 100_000  # no bomb: the true file holds some thousands


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (zlib.compress(b"0" * 50_000_000), "longer than"),
        (zlib.compress(b"[" * 1_000_000), "header cannot be read"),
        (b"\x00\x01", "header cannot be read"),
        (told([["x", "f4", [1 << 20, 1 << 20], "positions", 0, 2, 0, 0]]), "tensor that cannot be|too many"),
        (told([["x", "f4", [1 << 14, 1 << 13], "positions", 0, 2, 0, 0]]), "too many"),
        (told([["x", "f4", [4], "codebook", 1 << 30, 0]]), "more than 257 values"),
        (told([["x", "f4", [4], "positions", 1 << 29, 2, 0, 0]]), "end too early"),
        (told([["x", "f4", [4], "positions", 0, 60, 0, 0]]), "steps of 60 bits"),
        (told([["x", "O", [4], "raw"]]), "unknown type 'O'"),
        (told([["x", "f4", [4], "pickle"]]), "there is no form 'pickle'"),
        (told([["x", "", [], "same", "x"]]), "tied to a missing one"),
        (told(5), "lists no tensors"),
        (told([], [1]), "no document"),
    ],
)
def test_bombs_and_nonsense_with_a_right_sum_are_refused(header, reason):
    with pytest.raises(CodedError, match=reason):
        coded.unpack(summed(header, b""))


def test_another_version_is_told():
    later = coded.MAGIC + struct.pack("<H", 2) + WHOLE[10:]
    with pytest.raises(CodedError, match="version 2; this program reads 1"):
        coded.unpack(later)


def test_types_that_the_file_cannot_hold_are_refused():
    with pytest.raises(CodedError, match="complex64 cannot be coded"):
        coded.pack({"x": np.zeros(3, np.complex64)}, {})
