from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from kdcore import registry
from kdcore.data import dataset, prepare
from kdcore.paths import CHECKOUT
from tests import patience


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_arrays_come_back_as_the_data_set_gave_them(tiny):
    loaded = dataset.load(tiny())
    images = np.arange(48, dtype=np.uint8).reshape(4, 2, 3, 2)
    np.testing.assert_array_equal(loaded.train_images, images)
    np.testing.assert_array_equal(loaded.test_images, images[:2] + 100)
    assert loaded.train_labels.tolist() == [0, 1, 0, 1]
    assert loaded.test_labels.tolist() == [1, 0]
    assert loaded.train_labels.dtype == loaded.test_labels.dtype == np.int64
    assert loaded.train_images.dtype == np.uint8
    assert (loaded.name, loaded.classes, loaded.shape) == ("tiny", ("cat", "dog"), (2, 2, 3))


def test_mean_and_std_are_those_of_the_training_pixels(tiny):
    loaded = dataset.load(tiny())
    pixels = np.asarray(loaded.train_images) / 255
    np.testing.assert_allclose(loaded.mean, pixels.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(loaded.std, pixels.std(axis=(0, 1, 2)), rtol=1e-9)


def test_a_constant_channel_has_a_std_that_can_be_divided_by(tiny):
    loaded = dataset.load(tiny(train_images=np.full((4, 2, 3, 2), 51, np.uint8)))
    assert loaded.mean == pytest.approx((0.2, 0.2))
    assert loaded.std == (1 / 255, 1 / 255)


def test_the_second_load_prepares_nothing(tiny, monkeypatch):
    source = tiny()
    first = dataset.load(source)
    monkeypatch.setattr(prepare, "prepare", lambda *_: pytest.fail("prepared again"))
    assert dataset.load(source).fingerprint == first.fingerprint


def test_another_version_of_a_data_set_is_prepared_anew(tiny):
    first = dataset.load(tiny(version=1))
    second = dataset.load(tiny(version=2, train_labels=np.array([1, 0, 1, 0])))
    assert first.train_labels.tolist() == [0, 1, 0, 1]
    assert second.train_labels.tolist() == [1, 0, 1, 0]


def test_what_is_written_to_the_arrays_never_reaches_the_disk(tiny):
    source = tiny()
    dataset.load(source).train_images[:] = 7
    assert dataset.load(source).train_images.max() == 47


@pytest.mark.parametrize(
    "changes",
    [
        {"train_images": np.zeros((4, 2, 3, 2), np.uint8)},
        {"test_images": np.zeros((2, 2, 3, 2), np.uint8)},
        {"train_labels": np.array([1, 0, 0, 1])},
        {"test_labels": np.array([1, 1])},
        {"classes": ("cat", "cow")},
        {"classes": ("dog", "cat")},
    ],
)
def test_the_fingerprint_changes_with_every_part_of_the_contents(tiny, changes):
    before = dataset.load(tiny(version=1)).fingerprint
    assert dataset.load(tiny(version=2, **changes)).fingerprint != before
    assert dataset.load(tiny(version=3)).fingerprint == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_images": np.zeros((4, 2, 3, 2), np.float32)}, "must be uint8"),
        ({"train_images": np.zeros((4, 2, 3), np.uint8)}, "must be uint8"),
        ({"test_images": np.zeros((2, 9, 9, 2), np.uint8)}, "of one size"),
        ({"train_labels": np.array([0, 1, 0])}, "one label"),
        ({"test_labels": np.array([0, 2])}, "from 0 to 1"),
        ({"train_labels": np.array([0, 1, 0, -1])}, "from 0 to 1"),
        ({"train_labels": np.array([0, 0, 0, 1])}, "'dog' has 1 training image"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused_and_leave_nothing(tiny, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        dataset.load(tiny(**changes))
    assert files(tmp_path) == []


def test_a_failing_disk_leaves_nothing_and_the_next_load_works(tiny, tmp_path, monkeypatch):
    source = tiny()
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            dataset.load(source)
    assert files(tmp_path) == []
    assert dataset.load(source).classes == ("cat", "dog")


def test_two_that_prepare_at_once_leave_one_whole_data_set(tiny, tmp_path, monkeypatch):
    source = tiny()
    meeting = threading.Barrier(2, timeout=patience.SECONDS)
    written = prepare._info
    monkeypatch.setattr(prepare, "_info", lambda *given: (meeting.wait(), written(*given))[1])
    loaded = []
    threads = [threading.Thread(target=lambda: loaded.append(dataset.load(source))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.fingerprint for one in loaded}) == 1
    assert len(loaded) == 2
    assert len(list((tmp_path / "tiny").iterdir())) == 1  # no temporary folder stays


def test_digits_are_all_of_scikit_learns_images(digits):
    from sklearn.datasets import load_digits

    bunch = load_digits()
    assert (len(digits.train_labels), len(digits.test_labels)) == (1197, 600)
    ours = np.concatenate([digits.train_images, digits.test_images])[..., 0]
    labels = np.concatenate([digits.train_labels, digits.test_labels])
    sixteenths = np.rint(ours / (255 / 16)).reshape(len(ours), 64)
    expected = sorted(zip(map(tuple, bunch.data), bunch.target, strict=True))
    assert sorted(zip(map(tuple, sixteenths), labels, strict=True)) == expected
    assert {0: 0, 8: 128, 16: 255}.items() <= dict(zip(sixteenths.ravel(), ours.ravel(), strict=True)).items()


def test_the_test_split_of_digits_holds_a_third_of_every_class_and_never_moves(digits):
    counts = np.bincount(digits.test_labels)
    whole = counts + np.bincount(digits.train_labels)
    assert np.abs(counts - whole * 600 / 1797).max() < 1
    assert digits.fingerprint == "9b20d4821e4986dca74af48c6fb121f8ca8deb3ab525a03f971f9256fade9a0a"


FRESH = """
import sys, time
from kdcore import recipe, registry
from kdcore.data import dataset, splits
from kdcore.inputs import augmentation
from kdcore.models import cost, zoo
for kind in ("dataset", "architecture"):
    for entry in registry.entries(kind):
        entry.options.model_validate({kind: entry.name}).model_json_schema()
wanted = recipe.parse({"data": {"labels": 50}, "student": {"model": {"architecture": "resnet", "depth": 8}}})
times = []
for _ in range(3):
    started = time.perf_counter()
    loaded = dataset.load(wanted.data.source)
    times.append(time.perf_counter() - started)
splits.split(loaded, wanted.data)
heavy = {"torch", "sklearn", "scipy", "pandas", "onnx", "onnxruntime", "streamlit"} & set(sys.modules)
print(f"{min(times):.4f}", *sorted(heavy))
"""


def test_registries_and_a_prepared_data_set_need_no_heavy_library(digits, data_folder):
    done = subprocess.run(
        [sys.executable, "-c", FRESH],
        env=os.environ | {"KDCORE_DATA": data_folder},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, *heavy = done.stdout.split()
    assert heavy == []
    assert float(seconds) < patience.stretched(0.02)


@pytest.mark.parametrize("module", ["dataset", "places", "prepare", "sets.digits", "splits"])
def test_every_module_can_be_the_first_that_is_imported(module):
    subprocess.run([sys.executable, "-c", f"import kdcore.data.{module}"], cwd=CHECKOUT, check=True)


def test_digits_is_in_the_catalog_with_a_source():
    entry = registry.entry("dataset", "digits")
    assert "1,797" in entry.description
    assert entry.source
