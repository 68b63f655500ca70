"""A person's own input is made to look like the data set's images."""

from __future__ import annotations

import numpy as np
import pytest

from kdcore.data.sets.digits import Digits, digits
from kdcore.tryout.manner import manner
from kdcore.tryout.prepare import NothingThere, drawn, pictured
from kdcore.tryout.strokes import MOST_POINTS, MOST_STROKES, BadDrawing, strokes

ONE = [[[500, 200], [500, 800]]]
CORNER = [[[60, 60], [60, 260]]]


@pytest.fixture(scope="module")
def images():
    return digits(Digits()).test_images


@pytest.fixture(scope="module")
def style(images):
    return manner(images)


def test_digits_are_marks_on_black_that_fill_the_height(style):
    assert style.ground == 0
    assert style.tall == 8
    assert 5 <= style.wide <= 7
    assert style.centre == pytest.approx((3.5, 3.5), abs=0.2)


def test_the_manner_of_light_images_is_that_of_dark_ones_turned_over(images, style):
    light = manner(255 - images)
    assert light.ground == 255
    assert light[4:] == style[4:]


def test_photographs_have_no_ground():
    noise = np.random.RandomState(0).randint(0, 256, (20, 8, 8, 3), np.uint8)
    assert manner(noise).ground is None
    assert manner(noise[..., :1]).ground is None


def test_a_stroke_becomes_a_centred_bar_over_the_whole_height(style):
    image = drawn(strokes(ONE), style).image
    assert image.shape == (8, 8, 1)
    assert image.dtype == np.uint8
    bar = image[..., 0]
    assert (bar.sum(axis=1, dtype=int) > 200).all()  # every row has ink
    assert (bar[:, [0, 1, 6, 7]] == 0).all()
    rows, columns = np.mgrid[:8, :8]
    assert (bar * rows).sum() / bar.sum() == pytest.approx(3.5, abs=0.15)
    assert (bar * columns).sum() / bar.sum() == pytest.approx(style.centre[1], abs=0.15)


def test_place_and_size_of_a_drawing_do_not_matter(style):
    small = drawn(strokes([[[100, 100], [100, 400]]]), style).image
    moved = drawn(strokes([[[700, 500], [700, 800]]]), style).image
    assert np.abs(small.astype(int) - moved).max() < 255 / 8 + 10  # marks are placed to an eighth of a pixel


def test_where_an_image_may_hold_several_things_the_canvas_stays_as_it_is(style):
    image = drawn(strokes(CORNER), style, whole=True).image[..., 0]
    assert image[:2, 0].min() > 100
    assert image[3:].max() == 0
    assert image[:, 2:].max() == 0


def test_a_light_data_set_gets_dark_marks(images, style):
    dark, light = (drawn(strokes(ONE), one).image for one in (style, manner(255 - images)))
    assert (light == 255 - dark).all()


def test_an_image_of_the_right_size_stays_as_it_is(images, style):
    seen = pictured(images[3], style)
    assert (seen.image == images[3]).all()
    assert seen.done == ("unchanged: it has the right size",)


def paper(mark=40, ground=230):
    """A photographed digit one: dark on light, off the middle."""
    page = np.full((120, 160, 3), ground, np.uint8)
    page[20:90, 100:112] = mark
    return page


def test_shadow_noise_and_dirt_do_not_hide_the_mark(style):
    random = np.random.RandomState(0)
    page = paper().astype(float) - np.linspace(0, 90, 160)[None, :, None] + random.normal(0, 5, (120, 160, 1))
    page[110:113, 150:153] = 0  # a crumb in the corner
    dirty = pictured(np.clip(page, 0, 255).astype(np.uint8), style).image
    clean = pictured(paper(), style).image
    assert np.abs(dirty.astype(int) - clean).mean() < 20


def test_thin_strokes_get_as_much_ink_as_the_data_set_has(style):
    page = np.full((400, 400, 1), 240, np.uint8)
    page[50:350, 199:202] = 30
    seen = pictured(page, style)
    assert "thickened" in seen.done
    assert seen.image.mean() / 255 > 0.8 * style.ink


@pytest.mark.parametrize(("mark", "ground"), [(40, 230), (230, 40)])
def test_a_photographed_mark_is_found_whatever_its_colour(style, mark, ground):
    seen = pictured(paper(mark, ground), style)
    expected = drawn(strokes(ONE), style).image
    assert np.abs(seen.image.astype(int) - expected).mean() < 30
    assert ("inverted" in seen.done) == (mark < ground)


def test_without_marks_the_middle_is_taken(style):
    seen = pictured(paper(), style, as_marks=False)
    assert seen.image.shape == (8, 8, 1)
    assert seen.image.min() > 100
    assert "cropped to the middle" in seen.done


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_get_the_channels_of_the_data_set(channels):
    colour = manner(np.random.RandomState(0).randint(0, 256, (20, 16, 12, 3), np.uint8))
    assert pictured(np.zeros((40, 40, channels), np.uint8), colour).image.shape == (16, 12, 3)


def test_nothing_there_is_said(style):
    with pytest.raises(NothingThere, match="drawn"):
        drawn([], style)
    with pytest.raises(NothingThere, match="stands out"):
        pictured(np.full((50, 50, 1), 200, np.uint8), style)


@pytest.mark.parametrize(
    "sent",
    [
        None, "x", [1], [[1]], [[[1]]], [[[1, 2, 3]]], [[[1, "2"]]], [[[-1, 0]]], [[[0, 1001]]], [[[float("nan"), 0]]],
        [[[0, 0]]] * (MOST_STROKES + 1), [[[0, 0]] * (MOST_POINTS + 1)],
    ],
)  # fmt: skip
def test_what_is_no_drawing_is_refused(sent):
    with pytest.raises(BadDrawing):
        strokes(sent)
