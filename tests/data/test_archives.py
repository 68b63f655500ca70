"""Every published data set, from tiny archives in its authors' own format."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from kdcore import registry
from kdcore.data import large, places
from kdcore.data.download import FetchFailed
from kdcore.data.fetch import fetch
from kdcore.data.sets.cifar100 import mosaics
from kdcore.data.sets.published_pictures import FLOWERS

RANDOM = np.random.RandomState(0)


def tar(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def picture(red: int, width: int = 60, height: int = 40) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (red, 0, 255 - red)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def reds(images: np.ndarray) -> list[int]:
    """The red of each plain picture, to the nearest ten: JPEG moves it a little."""
    assert np.ptp(images.reshape(len(images), -1, images.shape[-1]), axis=1).max() <= 4
    return [round(value, -1) for value in images[..., 0].mean(axis=(1, 2)).tolist()]


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(header + array.tobytes())


@pytest.mark.parametrize(("name", "third"), [("mnist", "2"), ("fashion_mnist", "Pullover"), ("kmnist", "su")])
def test_mnist_and_its_kin(prepared, name, third):
    images = RANDOM.randint(0, 256, (30, 28, 28)).astype(np.uint8)
    labels = (np.arange(30) % 10).astype(np.uint8)
    files = {
        "train-images-idx3-ubyte.gz": idx(images[:20]),
        "train-labels-idx1-ubyte.gz": idx(labels[:20]),
        "t10k-images-idx3-ubyte.gz": idx(images[20:]),
        "t10k-labels-idx1-ubyte.gz": idx(labels[20:]),
    }
    made = prepared({"dataset": name}, **files)
    np.testing.assert_array_equal(made.train_images[..., 0], images[:20])
    np.testing.assert_array_equal(made.test_images[..., 0], images[20:])
    assert made.train_labels.tolist() == labels[:20].tolist()
    assert (made.shape, made.classes[2], len(made.classes)) == ((1, 28, 28), third, 10)
    three = prepared({"dataset": name, "classes": 3}, **files)
    assert three.train_labels.tolist() == [0, 1, 2, 0, 1, 2]
    np.testing.assert_array_equal(three.test_images[..., 0], images[20:23])
    assert three.classes == made.classes[:3]


def planes(images: np.ndarray) -> np.ndarray:
    """Rows of red, green and blue planes, as the CIFAR files keep them."""
    return np.stack([np.concatenate([image[..., c].ravel() for c in range(3)]) for image in images])


@pytest.mark.parametrize("protocol", [2, 4])
def test_cifar10(prepared, protocol):
    images = RANDOM.randint(0, 256, (24, 32, 32, 3)).astype(np.uint8)
    names = [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]
    parts = {
        f"cifar-10-batches-py/{name}": pickle.dumps(
            {"data": planes(images[4 * n : 4 * n + 4]), "labels": [0, 1, 1, 0]}, protocol=protocol
        )
        for n, name in enumerate(names)
    }
    parts["cifar-10-batches-py/batches.meta"] = pickle.dumps({"label_names": ["airplane", "automobile"]})
    made = prepared({"dataset": "cifar10"}, **{"cifar-10-python.tar.gz": tar(**parts)})
    np.testing.assert_array_equal(made.train_images, images[:20])
    np.testing.assert_array_equal(made.test_images, images[20:])
    assert made.train_labels.tolist() == [0, 1, 1, 0] * 5
    assert made.classes == ("airplane", "automobile")


class _Evil:
    def __reduce__(self):
        return (Path.touch, (Path("evil"),))


def test_a_pickle_that_would_run_something_is_refused(prepared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    archive = tar(**{"cifar-10-batches-py/data_batch_1": pickle.dumps({"data": _Evil()})})
    with pytest.raises(FetchFailed, match="which no CIFAR batch needs"):
        prepared({"dataset": "cifar10"}, **{"cifar-10-python.tar.gz": archive})
    assert not Path("evil").exists()


def test_an_archive_without_its_files_says_which(prepared):
    with pytest.raises(FetchFailed, match=r"cifar-10-python.tar.gz does not contain batches.meta, data_batch_1"):
        prepared({"dataset": "cifar10"}, **{"cifar-10-python.tar.gz": tar(**{"readme.html": b"x"})})


def test_cifar100_is_grouped_by_class(prepared):
    images = RANDOM.randint(0, 256, (10, 32, 32, 3)).astype(np.uint8)
    labels = [2, 0, 1, 2, 1, 0]
    archive = tar(
        **{
            "cifar-100-python/train": pickle.dumps({"data": planes(images[:6]), "fine_labels": labels}),
            "cifar-100-python/test": pickle.dumps({"data": planes(images[6:]), "fine_labels": [2, 1, 0, 1]}),
            "cifar-100-python/meta": pickle.dumps({"fine_label_names": ["apple", "bear", "cup"]}),
        }
    )
    made = prepared({"dataset": "cifar100"}, **{"cifar-100-python.tar.gz": archive})
    assert made.train_labels.tolist() == [0, 0, 1, 1, 2, 2]
    np.testing.assert_array_equal(made.train_images, images[[1, 5, 2, 4, 0, 3]])
    np.testing.assert_array_equal(made.test_images, images[[8, 7, 9, 6]])
    two = prepared({"dataset": "cifar100", "classes": 2}, **{"cifar-100-python.tar.gz": archive})
    assert two.classes == ("apple", "bear")
    np.testing.assert_array_equal(two.train_images, images[[1, 5, 2, 4]])


def test_svhn_calls_the_zero_zero(prepared):
    images = RANDOM.randint(0, 256, (30, 32, 32, 3)).astype(np.uint8)
    labels = np.tile(np.arange(1, 11), 3)[:, None]
    files = {}
    for name, rows in (("train_32x32.mat", slice(0, 20)), ("test_32x32.mat", slice(20, 30))):
        buffer = io.BytesIO()
        savemat(buffer, {"X": images[rows].transpose(1, 2, 3, 0), "y": labels[rows]})
        files[name] = buffer.getvalue()
    made = prepared({"dataset": "svhn"}, **files)
    np.testing.assert_array_equal(made.train_images, images[:20])
    assert made.test_labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
    assert made.classes[0] == "0"


def test_stl10(prepared):
    images = RANDOM.randint(0, 256, (30, 96, 96, 3)).astype(np.uint8)
    labels = np.tile(np.arange(1, 11), 3).astype(np.uint8)
    columns = images.transpose(0, 3, 2, 1)  # colour, then columns, then rows
    members = {
        "train_X.bin": columns[:20],
        "train_y.bin": labels[:20],
        "test_X.bin": columns[20:],
        "test_y.bin": labels[20:],
    }
    archive = tar(**{f"stl10_binary/{name}": array.tobytes() for name, array in members.items()})
    made = prepared({"dataset": "stl10"}, **{"stl10_binary.tar.gz": archive})
    np.testing.assert_array_equal(made.train_images, images[:20])
    np.testing.assert_array_equal(made.test_images, images[20:])
    assert made.train_labels.tolist() == [*range(10)] * 2
    assert made.classes[9] == "truck"


def test_flowers_train_on_both_of_the_authors_training_parts(prepared):
    classes = np.tile(np.arange(1, 103), 4)  # picture n (from 1) shows class (n - 1) % 102 + 1
    files = {}
    splits = {"trnid": np.arange(1, 103), "valid": np.arange(103, 205), "tstid": np.arange(205, 409)}
    for name, content in (("imagelabels.mat", {"labels": classes[None]}), ("setid.mat", splits)):
        buffer = io.BytesIO()
        savemat(buffer, content)
        files[name] = buffer.getvalue()
    files["102flowers.tgz"] = tar(**{f"jpg/image_{n:05d}.jpg": picture(10 * (n % 20)) for n in range(1, 409)})
    made = prepared({"dataset": "flowers102", "size": 32}, **files)
    assert (made.train_images.shape, made.test_images.shape) == ((204, 32, 32, 3), (204, 32, 32, 3))
    assert made.train_labels.tolist() == [*range(102)] * 2
    assert reds(made.train_images) == [10 * (n % 20) for n in range(1, 205)]
    assert made.classes[101] == "blackberry lily"
    few = prepared({"dataset": "flowers102", "size": 32, "classes": 2}, **files)
    assert reds(few.test_images) == [10 * (n % 20) for n in (205, 206, 307, 308)]


def test_pets(prepared):
    lists = {
        "annotations/trainval.txt": "Abyssinian_1 1 1 1\nAbyssinian_2 1 1 1\nmaine_coon_9 2 2 1\nmaine_coon_8 2 2 1",
        "annotations/test.txt": "maine_coon_7 2 2 1\nAbyssinian_3 1 1 1\n",
    }
    shown = {"Abyssinian_1": 10, "Abyssinian_2": 20, "Abyssinian_3": 30, "maine_coon_7": 70}
    shown |= {"maine_coon_8": 80, "maine_coon_9": 90, "not_in_a_list_1": 200}
    made = prepared(
        {"dataset": "oxford_pets", "size": 40},
        **{
            "images.tar.gz": tar(**{f"images/{name}.jpg": picture(red) for name, red in shown.items()}),
            "annotations.tar.gz": tar(**{name: text.encode() for name, text in lists.items()}),
        },
    )
    assert made.classes == ("Abyssinian", "maine coon")
    assert reds(made.train_images) == [10, 20, 90, 80]
    assert reds(made.test_images) == [70, 30]
    assert made.test_labels.tolist() == [1, 0]
    assert made.train_images.shape[1:] == (40, 40, 3)


def test_food(prepared):
    lists = {"train": {"hot_dog": ["hot_dog/1", "hot_dog/2"], "pizza": ["pizza/3", "pizza/4"]}}
    lists["test"] = {"hot_dog": ["hot_dog/5"], "pizza": ["pizza/6"]}
    members = {
        f"food-101/images/{name}.jpg": picture(10 * int(name[-1]))
        for split in lists.values()
        for names in split.values()
        for name in names
    }
    members |= {f"food-101/meta/{split}.json": json.dumps(content).encode() for split, content in lists.items()}
    made = prepared({"dataset": "food101"}, **{"food-101.tar.gz": tar(**members)})
    assert made.classes == ("hot dog", "pizza")
    assert reds(made.train_images) == [10, 20, 30, 40]
    assert reds(made.test_images) == [50, 60]
    assert made.shape == (3, 64, 64)


def test_textures(prepared):
    lists = {"train1": "banded/b_1.jpg\nwoven/w_2.jpg\n", "val1": "banded/b_3.jpg\nwoven/w_4.jpg\n"}
    lists |= {"test1": "banded/b_5.jpg\nwoven/w_6.jpg\n"}
    members = {f"dtd/labels/{name}.txt": text.encode() for name, text in lists.items()}
    members |= {f"dtd/images/{name}": picture(10 * int(name[-5])) for text in lists.values() for name in text.split()}
    made = prepared({"dataset": "dtd"}, **{"dtd-r1.0.1.tar.gz": tar(**members)})
    assert made.classes == ("banded", "woven")
    assert reds(made.train_images) == [10, 20, 30, 40]
    assert made.train_labels.tolist() == [0, 1, 0, 1]
    assert reds(made.test_images) == [50, 60]


def test_imagenette(prepared):
    wnids = ["n01440764", "n02102040", "n02979186"]
    members = {}
    for label, wnid in enumerate(wnids):
        for n in (1, 2):
            members[f"imagenette2-320/train/{wnid}/{wnid}_{n}.JPEG"] = picture(20 * label + 10 * n)
        members[f"imagenette2-320/val/{wnid}/ILSVRC2012_val_{n}.JPEG"] = picture(100 + 10 * label)
    members["imagenette2-320/noisy_imagenette.csv"] = b"path"
    made = prepared({"dataset": "imagenette", "classes": 3}, **{"imagenette2-320.tgz": tar(**members)})
    assert made.classes == ("tench", "English springer", "cassette player")
    assert reds(made.train_images) == [10, 20, 30, 40, 50, 60]
    assert reds(made.test_images) == [100, 110, 120]


def test_eurosat_keeps_a_fifth_for_testing(prepared):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for label, name in enumerate(("Forest", "River")):
            for n in range(10):
                archive.writestr(f"2750/{name}/{name}_{n}.jpg", picture(100 * label + 10 * n, 64, 64))
    made = prepared({"dataset": "eurosat"}, **{"EuroSAT.zip": buffer.getvalue()})
    assert made.classes == ("Forest", "River")
    assert np.bincount(made.train_labels).tolist() == [8, 8]
    assert np.bincount(made.test_labels).tolist() == [2, 2]
    assert sorted(reds(made.train_images) + reds(made.test_images)) == list(range(0, 200, 10))


def test_the_shorter_side_is_brought_to_size_and_the_middle_cut_out():
    image = np.zeros((80, 240, 3), np.uint8)
    image[:, 80:160] = (200, 100, 50)
    image[:40, 80:120] = 255
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    cut = large.square(buffer.getvalue(), 40)
    np.testing.assert_array_equal(cut[2:18, 2:18], np.full((16, 16, 3), 255))
    np.testing.assert_array_equal(cut[22:38, 22:38], np.broadcast_to((200, 100, 50), (16, 16, 3)))


def test_a_picture_that_cannot_be_decoded_is_named_and_nothing_stays(prepared, tmp_path):
    members = {f"dtd/labels/{name}1.txt": b"a/1.jpg\na/2.jpg\nb/3.jpg\nb/4.jpg" for name in ("train", "val", "test")}
    members |= {f"dtd/images/{name}": picture(9) for name in ("a/1.jpg", "a/2.jpg", "b/3.jpg")}
    members["dtd/images/b/4.jpg"] = picture(9)[:200]
    with pytest.raises(FetchFailed, match=r"Describable Textures could not be prepared: dtd/images/b/4.jpg in dtd-r1"):
        prepared({"dataset": "dtd"}, **{"dtd-r1.0.1.tar.gz": tar(**members)})
    assert [path.name for path in (tmp_path / "dtd").iterdir() if path.is_dir()] == ["raw"]


@pytest.mark.skipif(mosaics() is None, reason="KDCORE_CIFAR100 names no folder of mosaics")
def test_cifar100_from_the_mosaics(tmp_path, monkeypatch):
    monkeypatch.setenv("KDCORE_DATA", str(tmp_path))
    source = registry.validate("dataset", {"dataset": "cifar100", "classes": 3})
    assert places.missing(source) == []
    made = fetch(source)
    assert made.classes == ("apple", "aquarium_fish", "baby")
    assert np.bincount(made.train_labels).tolist() == [500] * 3
    assert np.bincount(made.test_labels).tolist() == [100] * 3
    mosaic = np.asarray(Image.open(mosaics() / "train-00.webp").convert("RGB"))
    np.testing.assert_array_equal(made.train_images[51], mosaic[32:64, 32:64])


@pytest.mark.slow
def test_addresses_and_sums_are_those_that_torchvision_knows():
    import torchvision.datasets as published

    fetched = [entry for entry in registry.entries("dataset") if entry.traits.fetch]
    known = {entry.name: entry.traits.fetch._files for entry in fetched}
    kin = {"mnist": published.MNIST, "fashion_mnist": published.FashionMNIST, "kmnist": published.KMNIST}
    for name, kind in kin.items():
        assert {(file.name, file.md5) for file in known[name]} == set(kind.resources)
        assert all(url.removesuffix(file.name) in kind.mirrors for file in known[name] for url in file.urls)
    single = {
        "cifar10": (published.CIFAR10.url, published.CIFAR10.tgz_md5),
        "cifar100": (published.CIFAR100.url, published.CIFAR100.tgz_md5),
        "stl10": (published.STL10.url, published.STL10.tgz_md5),
        "food101": (published.Food101._URL, published.Food101._MD5),
        "dtd": (published.DTD._URL, published.DTD._MD5),
        "imagenette": published.Imagenette._ARCHIVES["320px"],
    }
    for name, (url, md5) in single.items():
        assert [(file.urls, file.md5) for file in known[name]] == [((url,), md5)]
    assert [(file.urls[0], file.md5) for file in known["oxford_pets"]] == list(published.OxfordIIITPet._RESOURCES)
    assert {(file.name, file.md5) for file in known["flowers102"]} == set(published.Flowers102._file_dict.values())
    assert [name.strip() for name in FLOWERS.replace("\n", " ").split(",")] == published.Flowers102.classes
    for split, file in zip(("train", "test"), known["svhn"], strict=True):
        assert [file.urls[0], file.name, file.md5] == published.SVHN.split_list[split]
