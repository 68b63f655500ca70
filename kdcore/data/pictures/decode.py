"""One picture: its size and kind from the header, then its pixels, upright, in grey or colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from kdcore.data.pictures.names import Refused

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
MOST_PIXELS = 2**26
SIDEWAYS = (5, 6, 7, 8)  # values of EXIF's orientation that swap width and height
ORIENTATION = 0x0112
SIXTEEN_BITS = 2**16
DEPTHS = (8, 10, 12, 14, 16)  # bits that cameras, scanners and instruments give
Image.MAX_IMAGE_PIXELS = MOST_PIXELS


class Header(NamedTuple):
    """Pixels of the upright picture, and whether it has no colour.

    `highest`: the largest value of a picture with 16 bits a channel, and 0 of another.
    """

    height: int
    width: int
    grey: bool
    highest: int = 0


def header(file: BinaryIO) -> Header:
    """What the first bytes say; of 16 bits a channel, the pixels too. Raises Refused, and OSError for no picture's."""
    with _opened(file) as image:
        width, height = image.size
        # A TIFF's size is that of the upright picture already. A PNG's orientation is known when it is decoded, too
        # late to count here; decode() turns it upright all the same.
        if image.format not in ("PNG", "TIFF") and image.getexif().get(ORIENTATION) in SIDEWAYS:
            width, height = height, width
        return Header(height, width, _is_grey(image), _highest(image))


def depth(headers: Sequence[Header]) -> int:
    """How many of 16 bits the pictures use together: the fewest of DEPTHS that hold their largest value.

    Raises Refused for pictures in colour that use fewer than all: only their upper eight bits are read.
    """
    deep = [one for one in headers if one.highest]
    if not deep:
        return DEPTHS[-1]
    used = next(bits for bits in DEPTHS if max(one.highest for one in deep) < 2**bits)
    if used < DEPTHS[-1] and not all(one.grey for one in deep):
        raise Refused(
            f"the pictures with 16 bits per channel use only {used} of them: save them with 8 bits per channel"
        )
    return used


def decode(file: BinaryIO, height: int, width: int, grey: bool, bits: int = 16) -> np.ndarray:
    """uint8 (height, width, 1 or 3): the largest middle part of that shape, brought to that size.

    Transparent parts become white, 16 bits a pixel, of which `bits` are used, become 8. Raises Refused and OSError.
    """
    with _opened(file) as image:
        image.draft(None, (2 * max(height, width),) * 2)  # a large JPEG is decoded at a fraction of its size
        upright = _plain(ImageOps.exif_transpose(image), bits).convert("L" if grey else "RGB")
    if upright.size != (width, height):
        scale = min(upright.width / width, upright.height / height)
        left, top = (upright.width - scale * width) / 2, (upright.height - scale * height) / 2
        box = (left, top, left + scale * width, top + scale * height)
        upright = upright.resize((width, height), Image.Resampling.BILINEAR, box=box)
    return np.asarray(upright).reshape(height, width, 1 if grey else 3)


def _opened(file: BinaryIO) -> Image.Image:
    try:
        image = Image.open(file, formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Refused(f"has more than {MOST_PIXELS >> 20} million pixels: make it smaller") from None
    if image.width * image.height > MOST_PIXELS:
        raise Refused(f"has {image.width}x{image.height} pixels; {MOST_PIXELS >> 20} million are accepted")
    return image


def _highest(image: Image.Image) -> int:
    if image.mode == "I" or image.mode.startswith("I;16"):
        return min(int(np.asarray(image).max()), SIXTEEN_BITS - 1)
    raw = str(getattr(image, "tile", ""))
    return 256 * int(np.asarray(image).max()) + 255 if ";16" in raw else 0  # Pillow keeps the upper bits of colour


def _is_grey(image: Image.Image) -> bool:
    return image.mode in ("1", "L", "LA", "La", "I") or image.mode.startswith("I;16")


def _plain(image: Image.Image, bits: int) -> Image.Image:
    """The same picture in 8 bits a channel and without transparency."""
    if image.mode == "F":
        raise Refused("has floating-point pixels, whose range is unknown: save it with 8 bits per channel")
    if image.mode == "I" or image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() >= SIXTEEN_BITS:
            raise Refused("has 32 bits per pixel: save it with 8 bits per channel")
        return Image.fromarray((values >> (bits - 8)).astype(np.uint8))
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen)
    return image
