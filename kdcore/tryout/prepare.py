"""A drawing or a picture made into an image as the data set has them, with what was done to it in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from kdcore.tryout.manner import Manner, Pixels
from kdcore.tryout.strokes import Ink, Stroke, ink

FINE = 8  # a pixel is this many a side while marks are put in place
THICKEST = FINE  # strokes grow by this many fine pixels at most, on each side
COARSE, WIDEST = 64, 15  # pixels of the longer side while the paper is found; a mark is thinner than WIDEST of them
CONTRAST = 25  # of 255, at least, between mark and paper
CALM = 256  # pixels of the longer side in which marks are looked for
SPECK = 0.08  # of the largest mark: a smaller one is dirt
FAINT, FULL = 0.3, 0.7  # shares of the strongest mark in a photograph: below is paper, above is ink


class Seen(NamedTuple):
    """What the networks get: uint8 (H, W, C) in the data set's shape. `done`: what was done, one phrase a step."""

    image: Pixels
    done: tuple[str, ...]


class NothingThere(ValueError):
    """The drawing is empty, or no mark can be found in the picture; the message says so."""


def drawn(strokes: Sequence[Stroke], manner: Manner, *, whole: bool = False) -> Seen:
    """A drawing as an image of the data set. Raises NothingThere.

    `whole`: the canvas stands for the whole image, as where an image may hold several things; else the marks are
    cropped, scaled and centred as the data set's are.
    """
    painted = ink(strokes, manner.height, manner.width)
    if not painted.any():
        raise NothingThere("Nothing is drawn yet.")
    if whole or manner.ground is None:
        small = _shrunk(painted, manner.height, manner.width)
        return _coloured(small, manner, (f"scaled to {manner.width}x{manner.height} pixels",))
    return _placed(painted, manner, ())


def pictured(picture: Pixels, manner: Manner, *, as_marks: bool = True) -> Seen:
    """A picture uint8 (h, w, 1 or 3) as an image of the data set. Raises NothingThere.

    One that has the data set's size already stays as it is. `as_marks`: where the data set's images are marks on a
    plain ground, the marks are found in the picture, and placed as those of a drawing; else its middle is taken.
    """
    if picture.shape[:2] == (manner.height, manner.width):
        image, steps = _channels(picture, manner.channels)
        return Seen(image, steps or ("unchanged: it has the right size",))
    if as_marks and manner.ground is not None:
        grey, steps = _channels(picture, 1)
        found, inverted = _found(grey[..., 0], manner.ground)
        return _placed(found, manner, (*steps, *(("inverted",) if inverted else ()), "paper removed"))
    middle, cropped = _middle(picture, manner.width / manner.height)
    image, steps = _channels(middle, manner.channels)
    small = Image.fromarray(image.squeeze(-1) if manner.channels == 1 else image)
    small = small.resize((manner.width, manner.height), Image.Resampling.BILINEAR, reducing_gap=3.0)
    done = (
        *(("cropped to the middle",) if cropped else ()),
        *steps,
        f"scaled to {manner.width}x{manner.height} pixels",
    )
    return Seen(np.asarray(small).reshape(manner.shape), done)


def _placed(marks: Ink, manner: Manner, before: tuple[str, ...]) -> Seen:
    """Marks, 0..1, cropped to their box, scaled to the usual extent and moved to the usual centre of mass."""
    rows, columns = np.flatnonzero(marks.any(axis=1)), np.flatnonzero(marks.any(axis=0))
    box = marks[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = FINE * min(manner.tall / box.shape[0], manner.wide / box.shape[1])
    tall, wide = (max(FINE, round(side * scale)) for side in box.shape)
    scaled, thicker = _thickened(_shrunk(box, tall, wide), manner)
    tall, wide = scaled.shape
    room = np.zeros((manner.height * FINE, manner.width * FINE))
    at = [_start(scaled.sum(axis=1 - axis), manner.centre[axis], room.shape[axis]) for axis in (0, 1)]
    room[at[0] : at[0] + tall, at[1] : at[1] + wide] = scaled[: room.shape[0], : room.shape[1]]
    small = room.reshape(manner.height, FINE, manner.width, FINE).mean(axis=(1, 3))
    ground = "black" if manner.ground == 0 else "white"
    bold = ("thickened",) if thicker else ()
    steps = (
        *before,
        "cropped",
        *bold,
        "centred",
        f"scaled to {manner.width}x{manner.height} pixels",
        f"put on {ground}",
    )
    return _coloured(small, manner, steps)


def _thickened(marks: Ink, manner: Manner) -> tuple[Ink, bool]:
    """Fine marks with strokes as thick as the data set's, no larger than its marks; and whether that changed them."""
    least = 255 * manner.ink * manner.height * manner.width * FINE**2
    tallest, widest = round(manner.tall * FINE), round(manner.wide * FINE)
    image, thick = np.rint(255 * marks).astype(np.uint8), 0
    while image.sum() < least and thick < THICKEST:
        thick += 1
        wider = Image.fromarray(np.pad(image, 1)).filter(ImageFilter.MaxFilter(3))
        size = min(wider.width, max(widest, marks.shape[1])), min(wider.height, max(tallest, marks.shape[0]))
        image = np.asarray(wider.resize(size, Image.Resampling.BOX))
    return image / 255, thick > 0


def _start(profile: NDArray[np.float64], centre: float, room: int) -> int:
    """Where marks with this profile begin, in fine pixels, for the usual centre of mass; they stay inside."""
    mass = float(profile @ np.arange(len(profile)) / profile.sum())
    wanted = round((centre + 0.5) * FINE - 0.5 - mass)
    return max(0, min(wanted, room - len(profile)))


def _shrunk(marks: Ink, height: int, width: int) -> Ink:
    """Every pixel the mean of what it covers."""
    image = Image.fromarray(marks.astype(np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BOX), np.float64)


def _coloured(marks: Ink, manner: Manner, steps: tuple[str, ...]) -> Seen:
    image = np.rint(255 * np.clip(marks, 0, 1)).astype(np.uint8)[..., None]
    image = 255 - image if manner.ground == 255 else image
    return Seen(image.repeat(manner.channels, axis=2), steps)


def _found(grey: Pixels, ground: int) -> tuple[Ink, bool]:
    """The marks of a picture, 0..1, and whether they are dark on light where the data set's are light on dark."""
    grey = _calm(grey)
    usual = float(np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])))
    darkest, lightest = np.percentile(grey, (0.5, 99.5))
    light = usual - darkest > lightest - usual  # dark marks on light paper
    away = np.clip((1 if light else -1) * (_paper(grey, light) - grey), 0, None)
    strongest = float(np.percentile(away, 99.5))
    if strongest < CONTRAST:
        raise NothingThere("No mark stands out from the background of this picture. Take one with more contrast.")
    marks = _without_specks(np.clip((away / strongest - FAINT) / (FULL - FAINT), 0, 1))
    return marks, light != (ground == 255)


def _calm(grey: Pixels) -> Pixels:
    """At most CALM pixels a side, without the noise of a camera."""
    image = Image.fromarray(grey)
    image.thumbnail((CALM, CALM), Image.Resampling.BOX)
    return np.asarray(image.filter(ImageFilter.MedianFilter(3)))


def _without_specks(marks: Ink) -> Ink:
    """The marks but those that are much smaller than the largest."""
    from scipy import ndimage

    parts, count = ndimage.label(marks > 0)
    mass = ndimage.sum_labels(marks, parts, np.arange(count + 1))
    return np.where(np.isin(parts, np.flatnonzero(mass >= SPECK * mass.max())), marks, 0.0)


def _paper(grey: Pixels, light: bool) -> NDArray[np.float64]:
    """What the picture would be without its marks: a shadow or a lamp makes paper brighter on one side."""
    size = (max(1, grey.shape[1] * COARSE // max(grey.shape)), max(1, grey.shape[0] * COARSE // max(grey.shape)))
    small = Image.fromarray(grey).resize(size, Image.Resampling.BOX)
    spread = small.filter(ImageFilter.MaxFilter(WIDEST) if light else ImageFilter.MinFilter(WIDEST))
    even = spread.filter(ImageFilter.GaussianBlur(WIDEST // 2))
    return np.asarray(even.resize((grey.shape[1], grey.shape[0]), Image.Resampling.BILINEAR), np.float64)


def _channels(picture: Pixels, wanted: int) -> tuple[Pixels, tuple[str, ...]]:
    """The picture with as many channels as are wanted."""
    if picture.shape[2] == wanted:
        return picture, ()
    if wanted == 1:
        return np.asarray(Image.fromarray(picture).convert("L"))[..., None], ("turned grey",)
    return picture.repeat(wanted, axis=2), ("grey in every channel",)


def _middle(picture: Pixels, proportion: float) -> tuple[Pixels, bool]:
    """The largest middle part whose width is `proportion` times its height."""
    height, width = picture.shape[:2]
    tall, wide = min(height, round(width / proportion)), min(width, round(height * proportion))
    top, left = (height - tall) // 2, (width - wide) // 2
    return picture[top : top + tall, left : left + wide], (tall, wide) != (height, width)
