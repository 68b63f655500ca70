from __future__ import annotations

import time

import numpy as np
import pytest

from kdcore.data.normalisations import USUAL, Normalisation, given, usual
from kdcore.models import first_look
from kdcore.models.first_look import Look, Sample, look

CLASSES = 12
NAMES = sorted(str(number) for number in range(1, CLASSES + 1))  # "1", "10", "11", "12", "2", ...
AS_IS = Normalisation((0.0,), (1.0,))


def sample(count: int = 240) -> Sample:
    """Images whose every pixel is the place of their class, times 20."""
    labels = np.arange(count) % CLASSES
    images = np.repeat(labels.astype(np.uint8) * 20, 4).reshape(count, 2, 2, 1)
    return Sample(images, np.eye(CLASSES, dtype=np.uint8)[labels], NAMES)


def knows(normalisation: Normalisation, order=range(CLASSES), right: float = 1.0):
    """A network that reads the class off pixels that are normalised so; `order`: the class of each output."""

    def ask(pixels: np.ndarray) -> np.ndarray:
        brightness = (pixels.mean(axis=(1, 2, 3)) * normalisation.std[0] + normalisation.mean[0]) * 255
        seen = np.clip(np.round(brightness / 20), 0, CLASSES - 1).astype(int)
        spoilt = np.modf(brightness * 7.31 + np.arange(len(pixels)) * 0.618)[0] > right
        said = np.where(spoilt, (seen + 1) % CLASSES, seen)
        return np.eye(CLASSES)[np.argsort(list(order))[said]]

    return ask


def test_a_network_that_is_right_is_asked_nothing():
    found = look(knows(AS_IS), sample(), AS_IS, usual(1))
    assert found == Look(240, 1.0, pytest.approx(1 / CLASSES), None)
    assert not found.near_chance


@pytest.mark.parametrize("name", ["imagenet", "0..255", "-1..1"])
def test_the_normalisation_that_makes_it_right_is_found(name):
    found = look(knows(usual(1)[name]), sample(), AS_IS, usual(1))
    assert found.right < 0.5
    assert (found.suggestion.right, found.suggestion.order) == (1.0, None)
    np.testing.assert_allclose(usual(1)[found.suggestion.pixels], usual(1)[name], atol=0.05)


def test_the_order_in_which_people_count_is_found():
    natural = [NAMES.index(str(number)) for number in range(1, CLASSES + 1)]
    found = look(knows(AS_IS, natural), sample(), AS_IS, usual(1))
    assert found.right < 0.2
    assert found.suggestion == (1.0, None, natural)


def test_any_order_is_found_with_another_normalisation_at_once():
    order = np.random.default_rng(0).permutation(CLASSES).tolist()
    found = look(knows(usual(1)["0..255"], order), sample(), AS_IS, usual(1))
    assert found.suggestion == (1.0, "0..255", order)


def test_an_order_that_is_given_is_the_one_it_is_asked_in():
    order = np.random.default_rng(0).permutation(CLASSES).tolist()
    assert look(knows(AS_IS, order), sample(), AS_IS, usual(1), order).right == 1.0


def test_a_network_that_knows_nothing_is_near_chance_and_nothing_is_suggested():
    generator = np.random.default_rng(0)
    found = look(lambda pixels: generator.random((len(pixels), CLASSES)), sample(), AS_IS, usual(1))
    assert found.near_chance
    assert found.suggestion is None


def test_a_trifle_is_no_suggestion():
    """One way of five hundred is a little better by chance."""
    others = {"imagenet": Normalisation((0.001,), (1.0,))}
    assert look(knows(AS_IS, right=0.8), sample(), AS_IS, others).suggestion is None


def test_images_of_several_classes_count_where_one_of_them_is_named_first():
    several = sample()
    labels = several.labels | np.roll(several.labels, 1, axis=1)
    assert look(knows(AS_IS), several._replace(labels=labels), AS_IS, {}).right == 1.0


def test_a_slow_network_is_asked_about_fewer_images():
    def slow(pixels: np.ndarray) -> np.ndarray:
        time.sleep(0.001 * len(pixels))
        return knows(AS_IS)(pixels)

    assert look(slow, sample(), AS_IS, usual(1), seconds=0.01).images == first_look.LEAST


def test_a_sample_and_a_look_survive_their_files(tmp_path):
    sample().write(tmp_path / "a.npz")
    again = Sample.read(tmp_path / "a.npz")
    assert (again.names, again.images.tolist()) == (NAMES, sample().images.tolist())
    found = look(knows(usual(1)["0..255"]), again, AS_IS, usual(1))
    assert Look.read(found.document()) == found


def test_numbers_for_colour_and_for_one_channel():
    assert usual(3)["imagenet"] == USUAL["imagenet"]
    assert usual(1)["imagenet"] == (pytest.approx((0.449,)), pytest.approx((0.226,)))
    assert usual(3)["mnist"].mean == (0.1307,) * 3
    assert "imagenet" not in usual(4)
    assert given("0..255", (127.5,), (51,), 3) == Normalisation((0.5,) * 3, (0.2,) * 3)
    with pytest.raises(ValueError, match="mean has 2 numbers"):
        given("0..1", (0.5, 0.5), (1,), 3)
    with pytest.raises(ValueError, match=r"must be 0\.\.1 or 0\.\.255"):
        given("imagenet", (0.5,), (1,), 1)
