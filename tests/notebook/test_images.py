import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset

from kdcore.notebook import images

PIXELS = torch.randint(0, 256, (12, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(12) % 3


@pytest.mark.parametrize(
    "given",
    [
        (PIXELS.numpy(), LABELS.numpy()),
        TensorDataset(PIXELS, LABELS),
        DataLoader(TensorDataset(PIXELS, LABELS), batch_size=5),
        [
            (Image.fromarray(one.permute(1, 2, 0).numpy()), int(label))
            for one, label in zip(PIXELS, LABELS, strict=True)
        ],
    ],
    ids=["arrays", "dataset", "loader", "pictures"],
)
def test_however_they_come_they_are_the_same_images(given):
    found = images.read(given, "train")
    assert np.array_equal(found.images, PIXELS.numpy())
    assert np.array_equal(found.labels, LABELS.numpy())


def test_floats_that_are_pixels_become_pixels_and_others_stay():
    def kept(given):
        one = images.read((given, LABELS), "train")
        return images.material(one, one, one, "abc").dataset.train_images[:12]

    assert np.array_equal(kept(PIXELS / 255), PIXELS.permute(0, 2, 3, 1).numpy())
    normalised = (PIXELS / 255 - 0.5) / 0.25
    assert np.array_equal(kept(normalised), normalised.permute(0, 2, 3, 1).numpy())


def test_the_share_without_labels_is_seen_and_not_labelled():
    labels = LABELS.clone()
    labels[6:] = images.UNLABELLED
    train, validation = (
        images.read((PIXELS, labels), "train", labels=False),
        images.read((PIXELS, LABELS), "validation"),
    )
    shares = images.material(train, validation, None, "abc").shares
    assert shares.labelled.tolist() == list(range(6))
    assert shares.seen.tolist() == list(range(12))
    assert shares.validation.tolist() == list(range(12, 24))
