from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdcore.inputs import augmentation
from kdcore.recipe import Augmentation

torch.set_num_threads(1)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(images: int = 16, shape: tuple[int, int, int] = (3, 8, 8), classes: int = 10):
    generator = seeded(images)
    targets = torch.eye(classes)[torch.randint(classes, (images,), generator=generator)]
    return torch.rand(images, *shape, generator=generator), targets


ALL = Augmentation(shift=2, flip=True, crop=3, mixup=0.4)


def test_without_views_nothing_happens():
    images, targets = batch()
    generator = seeded()
    before = generator.get_state()
    same, labels = augmentation.apply(images, targets, Augmentation(), generator)
    assert same is images
    assert labels is targets
    assert torch.equal(generator.get_state(), before)


def test_a_shift_moves_every_way_equally_often_and_fills_with_zeros():
    images = torch.zeros(9000, 2, 8, 8)
    images[:, 0, 3, 4], images[:, 1, 0, 0] = 1, 0.5  # the second one can fall off the edge
    targets = torch.ones(9000, 1)
    shifted, labels = augmentation.apply(images, targets, Augmentation(shift=1), seeded())
    assert labels is targets
    rows, columns = np.divmod(shifted[:, 0].flatten(1).argmax(1).numpy(), 8)
    moves, counts = np.unique(np.stack([rows - 3, columns - 4]), axis=1, return_counts=True)
    assert moves.shape == (2, 9)
    assert np.abs(counts - 1000).max() < 150  # five standard deviations
    torch.testing.assert_close(shifted[:, 0].sum((1, 2)), torch.ones(9000))
    gone = torch.from_numpy((rows < 3) | (columns < 4))
    assert torch.equal(shifted[:, 1].sum((1, 2)) == 0, gone)


def test_channels_move_together_and_images_apart():
    image = torch.rand(1, 1, 8, 8, generator=seeded())
    shifted, _ = augmentation.apply(image.repeat(64, 3, 1, 1), torch.ones(64, 1), Augmentation(shift=2), seeded())
    assert torch.equal(shifted[:, 0], shifted[:, 2])
    assert len({tuple(one.flatten().tolist()) for one in shifted[:, 0]}) > 10


def test_a_crop_is_a_window_of_the_reflected_image():
    images, targets = batch(32, (2, 8, 9))
    cropped, _ = augmentation.apply(images, targets, Augmentation(crop=3), seeded())
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (3, 3), (3, 3)), mode="reflect")
    for whole, one in zip(padded, cropped.numpy(), strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(whole, one.shape)[0].reshape(-1, *one.shape)
        assert (windows == one).all(axis=(1, 2, 3)).any()


def test_a_crop_wider_than_the_image_is_filled_with_zeros():
    ones = torch.ones(400, 1, 8, 8)
    cropped, _ = augmentation.apply(ones, torch.ones(400, 1), Augmentation(crop=8), seeded())
    assert set(cropped.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(augmentation.apply(ones, torch.ones(400, 1), Augmentation(crop=7), seeded())[0], ones)


def test_a_flip_mirrors_about_half_of_the_images():
    images, targets = batch(2000, (1, 8, 8))
    flipped, _ = augmentation.apply(images, targets, Augmentation(flip=True), seeded())
    mirrored = (flipped == images.flip(3)).all(dim=(1, 2, 3))
    assert torch.equal(mirrored, ~(flipped == images).all(dim=(1, 2, 3)))
    assert 0.44 < mirrored.float().mean() < 0.56  # five standard deviations


@pytest.mark.parametrize("beta", [0.2, 1.0, 5.0])
def test_mixup_blends_images_and_targets_with_the_same_share(beta):
    count = 1000
    values = torch.arange(count) / count
    images, targets = augmentation.apply(
        values.view(-1, 1, 1, 1).expand(count, 1, 2, 2), torch.eye(count), Augmentation(mixup=beta), seeded()
    )
    torch.testing.assert_close(targets @ values, images[:, 0, 0, 0])
    torch.testing.assert_close(targets.sum(1), torch.ones(count))
    assert (targets > 0).sum(1).max() == 2
    own = targets.diagonal()
    assert abs(own.mean() - 0.5) < 0.06
    assert own.var().item() == pytest.approx(1 / (4 * (2 * beta + 1)), rel=0.15)  # of Beta(beta, beta)


def test_mixup_with_an_unlabelled_image_keeps_the_labelled_part():
    images = torch.zeros(200, 1, 1, 1)
    targets = torch.zeros(200, 3)
    images[:100], targets[:100, 1] = 1, 1  # the labelled images are white
    mixed, labels = augmentation.apply(images, targets, Augmentation(mixup=1), seeded())
    torch.testing.assert_close(labels[:, 1], mixed.flatten())
    torch.testing.assert_close(labels.sum(1), labels[:, 1])
    assert ((mixed > 0) & (mixed < 1)).sum() > 50


def test_the_generator_alone_decides():
    images, targets = batch()
    torch.manual_seed(1)
    np.random.seed(1)
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    generator = seeded(5)
    first, second = (augmentation.apply(images, targets, ALL, generator) for _ in range(2))
    again = augmentation.apply(images, targets, ALL, seeded(5))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], second[0])
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()


@settings(max_examples=60, deadline=None)
@given(
    st.builds(
        Augmentation,
        shift=st.integers(0, 16),
        crop=st.integers(0, 16),
        flip=st.booleans(),
        mixup=st.sampled_from([0, 0.05, 8]),
    ),
    st.tuples(st.integers(1, 4), st.integers(8, 20), st.integers(8, 20)),
    st.integers(1, 9),
)
def test_every_view_is_an_image_of_the_same_size_with_whole_targets(chosen, shape, count):
    images, targets = batch(count, shape)
    before = images.clone(), targets.clone()
    seen, labels = augmentation.apply(images, targets, chosen, seeded())
    assert seen.shape == images.shape
    assert seen.dtype == labels.dtype == torch.float32
    assert seen.min() >= 0
    assert seen.max() <= 1
    torch.testing.assert_close(labels.sum(1), torch.ones(count))
    assert torch.equal(images, before[0])
    assert torch.equal(targets, before[1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_sees_the_same_views():
    images, targets = batch()
    here, there = (augmentation.apply(images.to(d), targets.to(d), ALL, seeded()) for d in ("cpu", "cuda"))
    torch.testing.assert_close(there[0].cpu(), here[0])
    torch.testing.assert_close(there[1].cpu(), here[1])


def pasted(seed, beta=1.0, count=12, shape=(2, 8, 10)):
    """A batch in which every image has a value of its own, after cutmix: values (B, H, W) and targets (B, count)."""
    values = torch.arange(1, count + 1) / count
    images = values.view(-1, 1, 1, 1).expand(count, *shape)
    mixed, targets = augmentation.apply(images, torch.eye(count), Augmentation(cutmix=beta), seeded(seed))
    assert torch.equal(mixed[:, 0], mixed[:, 1])
    return (mixed[:, 0] * count).round().long() - 1, targets


@pytest.mark.parametrize("seed", range(12))
def test_cutmix_pastes_one_rectangle_and_labels_follow_the_areas(seed):
    sources, targets = pasted(seed)
    for index, (source, target) in enumerate(zip(sources, targets, strict=True)):
        shares = torch.bincount(source.flatten(), minlength=12) / source.numel()
        torch.testing.assert_close(target, shares)
        rows, columns = torch.nonzero(source != index, as_tuple=True)
        if len(rows):
            box = source[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            assert len(box.unique()) == 1, "not one rectangle of one other image"
    foreign = [source != index for index, source in enumerate(sources) if (source != index).any()]
    assert all(torch.equal(one, foreign[0]) for one in foreign), "the batch shares one rectangle"


def test_the_rectangles_share_is_drawn_from_beta():
    """A strong Beta draws about one half: rectangles of 70 % of each side, cut where they reach over an edge."""
    images = torch.zeros(2, 1, 100, 100)
    images[1] = 1
    heights = []
    for seed in range(300):
        mixed, _ = augmentation.apply(images, torch.eye(2), Augmentation(cutmix=8), seeded(seed))
        heights += [int((one != own).any(2).sum()) for own, one in enumerate(mixed[:1]) if (one != own).any()]
    assert max(heights) == pytest.approx(100 * 0.5**0.5, abs=20)
    assert np.mean(heights) == pytest.approx(100 * (0.707 - 0.707**2 / 4), abs=3)  # a uniform centre loses s²/4


def test_with_mixup_and_cutmix_each_batch_takes_one_of_them():
    count, blended = 400, 0
    values = torch.tensor([0.0, 1.0]).view(-1, 1, 1, 1).expand(2, 1, 8, 8)
    for seed in range(count):
        mixed, _ = augmentation.apply(values, torch.eye(2), Augmentation(mixup=1.0, cutmix=1.0), seeded(seed))
        inside = ((mixed > 0) & (mixed < 1)).flatten(1)
        assert (inside.all(1) | ~inside.any(1)).all(), "an image was blended and pasted on"
        blended += bool(inside.any())
    assert 0.15 < blended / count < 0.35  # half of the batches; half of their pairs are an image with itself


@settings(max_examples=60, deadline=None)
@given(
    st.builds(
        Augmentation, shift=st.integers(0, 2), mixup=st.sampled_from([0, 1.0]), cutmix=st.sampled_from([0.05, 1.0, 8])
    ),
    st.tuples(st.integers(1, 4), st.integers(8, 20), st.integers(8, 20)),
    st.integers(1, 9),
    st.integers(0, 99),
)
def test_cutmix_keeps_sizes_whole_targets_and_its_input(chosen, shape, count, seed):
    images, targets = batch(count, shape)
    targets[::4] = 0  # without a label
    before = images.clone(), targets.clone()
    seen, labels = augmentation.apply(images, targets, chosen, seeded(seed))
    assert seen.shape == images.shape
    assert labels.shape == targets.shape
    assert seen.min() >= 0
    assert seen.max() <= 1
    assert labels.min() >= 0
    assert labels.sum(1).max() <= 1 + 1e-5
    assert torch.equal(images, before[0])
    assert torch.equal(targets, before[1])
