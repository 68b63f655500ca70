"""One picture that somebody sends: opened apart from the dashboard, or refused in one sentence."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from kdcore.data.pictures import single
from kdcore.data.pictures.names import Refused
from kdcore.data.pictures.single import MOST_SIDE, open_picture


def sent(pixels, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def test_a_small_picture_comes_back_bit_for_bit():
    pixels = np.random.RandomState(0).randint(0, 256, (8, 6), np.uint8)
    assert (open_picture(sent(pixels)) == pixels[..., None]).all()


def test_a_large_picture_is_made_smaller_in_proportion():
    assert open_picture(sent(np.zeros((1200, 600, 3), np.uint8), "JPEG")).shape == (MOST_SIDE, MOST_SIDE // 2, 3)


def bomb():
    """A PNG that says it has 100,000 by 100,000 pixels."""
    content = bytearray(sent(np.zeros((8, 8), np.uint8)))
    content[16:24] = (100_000).to_bytes(4) * 2
    return bytes(content)


@pytest.mark.parametrize("content", [b"", b"no picture", bomb(), sent(np.eye(90, dtype=np.uint8))[:60]])
def test_what_cannot_be_opened_is_refused(content):
    with pytest.raises(Refused) as refusal:
        open_picture(content)
    assert "\n" not in str(refusal.value)


def test_too_large_a_file_is_refused_unopened(monkeypatch):
    monkeypatch.setattr(single, "MOST_BYTES", 10)
    with pytest.raises(Refused, match="MB"):
        open_picture(b"x" * 11)
