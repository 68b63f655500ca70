import io
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_digits, load_sample_image

from kdcore.inputs.corruptions import CORRUPTIONS, SEVERITIES, corrupt, kept, strength, strengths

NAMES = tuple(CORRUPTIONS)


def photographs(side, grey=False):
    """Pieces of real photographs, uint8 (N, side, side, C)."""
    made = []
    for name in ("china.jpg", "flower.jpg"):
        picture = Image.fromarray(load_sample_image(name))
        for left in (0, 100, 200):
            piece = picture.crop((left, 50, left + 350, 400)).resize((side, side), Image.Resampling.BOX)
            made.append(np.asarray(piece.convert("L"))[..., None] if grey else np.asarray(piece))
    return np.stack(made)


def digits(side):
    found = (load_digits().images[:40] / 16 * 255).astype(np.uint8)
    large = [np.asarray(Image.fromarray(one).resize((side, side), Image.Resampling.BICUBIC)) for one in found]
    return np.stack(large)[..., None]


IMAGES = {
    "8x8x1": lambda: digits(8),
    "28x28x1": lambda: digits(28),
    "32x32x3": lambda: photographs(32),
    "64x64x1": lambda: photographs(64, grey=True),
    "224x224x3": lambda: photographs(224),
}


@pytest.fixture(params=IMAGES, scope="module")
def images(request):
    return IMAGES[request.param]()


def distance(images, others):
    return np.abs(images.astype(float) - others).mean(axis=(1, 2, 3))


@pytest.mark.parametrize("corruption", NAMES)
def test_each_severity_is_further_from_the_original(images, corruption):
    before = images.copy()
    made = [corrupt(images, corruption, severity) for severity in SEVERITIES]
    assert (images == before).all()
    assert all(one.shape == images.shape and one.dtype == np.uint8 for one in made)
    means = [distance(images, one).mean() for one in made]
    assert means[0] > 0
    if corruption == "pixelation":  # 6 of 8 pixels lie across the old ones, 5 hit them better: not each step is further
        assert means[0] < means[2] < means[3]
        assert means[-1] == max(means)
    else:
        assert means == sorted(set(means))


@pytest.mark.parametrize("corruption", NAMES)
def test_an_image_comes_out_the_same_whatever_stands_beside_it(images, corruption):
    whole = corrupt(images, corruption, 3)
    assert (whole == corrupt(images, corruption, 3)).all()
    assert (whole[2:4] == corrupt(np.ascontiguousarray(images[2:4]), corruption, 3)).all()
    assert (whole[::-1] == corrupt(images[::-1], corruption, 3)).all()


def test_another_seed_is_another_noise(images):
    assert (corrupt(images, "noise", 3, seed=0) != corrupt(images, "noise", 3, seed=1)).any(axis=(1, 2, 3)).all()


def test_noise_has_the_published_spread():
    grey = np.full((4, 32, 32, 3), 128, np.uint8)
    for severity, std in zip(SEVERITIES, (0.04, 0.06, 0.08, 0.09, 0.10), strict=True):
        values = corrupt(grey, "noise", severity) / 255.0
        assert values.std() == pytest.approx(std, rel=0.03)
        assert values.mean() == pytest.approx(128 / 255, abs=0.003)


@pytest.mark.parametrize(("side", "sigmas"), [(32, (0.4, 0.6, 0.7, 0.8, 1.0)), (224, (1, 2, 3, 4, 6))])
def test_blur_is_scipys_gaussian_filter_on_the_published_strengths(side, sigmas):
    images = photographs(side)
    for severity, sigma in zip(SEVERITIES, sigmas, strict=True):
        asked = gaussian_filter(images / 255.0, (0, sigma, sigma, 0), mode="nearest", truncate=4.0)
        assert np.abs(corrupt(images, "blur", severity) - np.rint(255 * asked)).max() <= 1  # a tie may round either way


def test_blur_grows_with_the_image_and_never_falls_below_what_it_is_at_32():
    assert strengths(8, 8).by_corruption["blur"] == strengths(32, 32).by_corruption["blur"] == (0.4, 0.6, 0.7, 0.8, 1.0)
    assert strengths(64, 64).by_corruption["blur"] == (0.8, 1.2, 1.4, 1.6, 2.0)
    assert strengths(112, 112).by_corruption["blur"] == (0.5, 1.0, 1.5, 2.0, 3.0)
    assert strengths(448, 448).by_corruption["blur"] == (2, 4, 6, 8, 12)


def test_contrast_is_the_formula():
    images = photographs(32)
    for severity, share in zip(SEVERITIES, (0.75, 0.5, 0.4, 0.3, 0.15), strict=True):
        means = images.mean(axis=(1, 2), keepdims=True)
        assert (corrupt(images, "contrast", severity) == np.rint((images - means) * share + means)).all()


@pytest.mark.parametrize(("side", "sizes"), [(32, (30, 28, 27, 24, 20)), (224, (134, 112, 89, 67, 56))])
def test_pixelation_is_pillows_box_to_the_published_sizes(side, sizes):
    images = photographs(side)
    for severity, size in zip(SEVERITIES, sizes, strict=True):
        asked = [
            np.asarray(Image.fromarray(one).resize((size, size), Image.BOX).resize((side, side), Image.BOX))
            for one in images
        ]
        assert (corrupt(images, "pixelation", severity) == np.stack(asked)).all()


def test_pixelation_takes_something_at_every_severity_however_small_the_image():
    shares = strengths(8, 8).by_corruption["pixelation"]
    assert [kept(8, severity, shares) for severity in SEVERITIES] == [7, 6, 5, 4, 3]
    assert [kept(28, severity, shares) for severity in SEVERITIES] == [26, 25, 23, 21, 18]
    assert kept(2, 5, shares) == 1


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize(("side", "qualities"), [(32, (80, 65, 58, 50, 40)), (224, (25, 18, 15, 10, 7))])
def test_jpeg_is_pillows_at_the_published_qualities(side, qualities, grey):
    images = photographs(side, grey)
    for severity, quality in zip(SEVERITIES, qualities, strict=True):
        made = corrupt(images, "jpeg", severity)
        for image, one in zip(images, made, strict=True):
            file = io.BytesIO()
            Image.fromarray(image[..., 0] if grey else image).save(file, "JPEG", quality=quality)
            assert (np.asarray(Image.open(file)).reshape(image.shape) == one).all()


def test_which_strengths_an_image_takes():
    assert [strengths(side, side).name for side in (32, 84)] == ["CIFAR-10-C"] * 2
    assert [strengths(side, 500).name for side in (96, 224, 300)] == ["ImageNet-C"] * 3
    small, medium, large = (strengths(side, side).by_corruption for side in (28, 32, 224))
    assert all(small[name] == large[name] for name in ("noise", "jpeg"))
    assert all(small[name] == medium[name] for name in ("blur", "contrast", "pixelation"))
    assert medium["noise"] == (0.04, 0.06, 0.08, 0.09, 0.10)


@pytest.mark.parametrize("corruption", NAMES)
@given(
    images=arrays.arrays(
        np.uint8, st.tuples(st.integers(0, 3), st.integers(1, 17), st.integers(1, 17), st.integers(1, 4))
    ),
    severity=st.sampled_from(SEVERITIES),
)
def test_any_images_keep_their_shape_and_type(corruption, images, severity):
    made = corrupt(images, corruption, severity)
    assert (made.shape, made.dtype) == (images.shape, np.uint8)


@pytest.mark.parametrize("corruption", ["blur", "contrast", "pixelation"])
@pytest.mark.parametrize("value", [0, 1, 254, 255])
def test_what_has_one_colour_keeps_it(corruption, value):
    images = np.full((2, 28, 28, 1), value, np.uint8)
    for severity in SEVERITIES:
        assert (corrupt(images, corruption, severity) == value).all()


@given(images=arrays.arrays(np.uint8, (2, 9, 7, 3)))
def test_noise_and_contrast_take_every_pixel_further_at_each_severity(images):
    for corruption in ("noise", "contrast"):
        away = [np.abs(corrupt(images, corruption, severity).astype(int) - images) for severity in SEVERITIES]
        assert all((far >= near).all() for near, far in pairwise(away))


def test_what_cannot_be_corrupted_is_told():
    images = np.zeros((1, 8, 8, 1), np.uint8)
    with pytest.raises(ValueError, match="there is no corruption 'fog'; there are: noise"):
        corrupt(images, "fog", 1)
    with pytest.raises(ValueError, match="severity 6"):
        corrupt(images, "noise", 6)
    with pytest.raises(ValueError, match="float64"):
        corrupt(images / 255, "noise", 1)


def test_strengths_in_words():
    assert [strength(name, 5, 8, 8) for name in NAMES] == [
        "standard deviation 38 % of white",
        "standard deviation 1 px",
        "15 % of the contrast",
        "3 of 8 pixels a side",
        "quality 7",
    ]
