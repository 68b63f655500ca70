"""One picture, from the bytes of its file to the pixels."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from kdcore.data.pictures import decode, worker
from kdcore.data.pictures.decode import Header
from kdcore.data.pictures.names import Refused


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def pixels(content: bytes, grey: bool = False, height: int = 4, width: int = 4) -> np.ndarray:
    return decode.decode(io.BytesIO(content), height, width, grey)


def test_every_mode_becomes_colour():
    red = Image.new("RGB", (4, 4), (255, 0, 0))
    assert pixels(encoded(red.quantize(4)))[0, 0].tolist() == [255, 0, 0]
    assert np.abs(pixels(encoded(red.convert("CMYK"), "TIFF"))[0, 0].astype(int) - [255, 0, 0]).max() <= 2
    assert np.abs(pixels(encoded(red.convert("CMYK"), "JPEG"))[0, 0].astype(int) - [255, 0, 0]).max() <= 6
    assert pixels(encoded(Image.new("L", (4, 4), 77)))[0, 0].tolist() == [77, 77, 77]
    assert pixels(encoded(Image.new("1", (4, 4), 1)))[0, 0].tolist() == [255, 255, 255]
    assert pixels(encoded(Image.new("RGBA", (4, 4), (255, 0, 0, 0))))[0, 0].tolist() == [255, 255, 255]
    assert pixels(encoded(Image.new("RGBA", (4, 4), (0, 0, 0, 51))))[0, 0].tolist() == [204, 204, 204]
    assert pixels(encoded(red, "GIF"))[0, 0].tolist() == [255, 0, 0]
    assert pixels(encoded(red, "WEBP", lossless=True))[0, 0].tolist() == [255, 0, 0]


def test_sixteen_bits_become_eight():
    deep = Image.fromarray(np.array([[0, 256, 65535, 40000]] * 4, dtype=np.uint16))
    for form in ("PNG", "TIFF"):
        assert pixels(encoded(deep, form), grey=True)[0, :, 0].tolist() == [0, 1, 255, 156]
        assert decode.header(io.BytesIO(encoded(deep, form))) == Header(4, 4, grey=True, highest=65535)


def test_deep_colour_of_which_eight_bits_are_lost_is_refused():
    headers = [Header(4, 4, grey=False, highest=256 * 15 + 255)] * 3
    with pytest.raises(Refused, match="use only 12 of them: save them with 8 bits"):
        decode.depth(headers)
    assert decode.depth([*headers, Header(4, 4, grey=False, highest=65535)]) == 16
    assert decode.depth([Header(4, 4, grey=True)]) == 16
    assert decode.header(io.BytesIO(_deep_colour(3000))) == Header(1, 2, grey=False, highest=256 * (3000 // 256) + 255)


def _deep_colour(value: int) -> bytes:
    """A PNG of 2x1 pixels in colour with 16 bits a channel, which Pillow reads and does not write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4) + kind + content + zlib.crc32(kind + content).to_bytes(4)

    shape = (2).to_bytes(4) + (1).to_bytes(4) + bytes([16, 2, 0, 0, 0])
    row = zlib.compress(b"\0" + value.to_bytes(2) * 6)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", shape) + chunk(b"IDAT", row) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("array", "words"), [(np.zeros((4, 4), np.float32), "floating"), (np.full((4, 4), 2**20), "32 bits")]
)
def test_ranges_that_nobody_knows_are_refused(array, words):
    image = Image.fromarray(array.astype(np.float32 if words == "floating" else np.int32))
    with pytest.raises(Refused, match=words):
        pixels(encoded(image, "TIFF"))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_photograph_is_turned_upright(form):
    image = Image.new("RGB", (40, 20), (0, 0, 0))
    image.paste((255, 255, 255), (0, 0, 20, 20))  # the left half is white
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the left is up
    content = encoded(image, form, exif=exif, **({"lossless": True} if form == "WEBP" else {}))
    upright = pixels(content, height=40, width=20)
    assert upright[:18].mean() > 250
    assert upright[22:].mean() < 5
    if form != "PNG":
        assert decode.header(io.BytesIO(content)) == Header(40, 20, grey=False)


def test_the_common_size_is_kept_and_else_the_median_is_taken():
    same = [Header(20, 30, False)] * 5
    assert worker.common_size(same) == (20, 30)
    assert worker.common_size([*same, Header(50, 40, False), Header(90, 99, False)]) == (20, 20)
    assert worker.common_size([Header(30, 40, False), Header(51, 50, False)]) == (40, 40)
    assert worker.common_size([Header(600, 800, False)] * 3) == (224, 224)
    assert worker.common_size([Header(4, 4, False)] * 3) == (8, 8)
    assert worker.common_size([Header(256, 256, False)] * 3) == (256, 256)
