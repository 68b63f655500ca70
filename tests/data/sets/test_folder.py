"""A person's own pictures, from the file to the arrays."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kdcore import registry
from kdcore.data import dataset
from kdcore.data.dataset import NotFetched
from kdcore.data.fetch import fetch, status
from kdcore.data.pictures import decode, isolated, members, worker
from kdcore.data.pictures.names import Refused
from kdcore.data.sets.cifar100 import mosaics
from kdcore.problems import RecipeError
from tests import patience
from tests.data.test_decode import encoded


@pytest.fixture(autouse=True)
def _data(tmp_path, monkeypatch):
    monkeypatch.setenv("KDCORE_DATA", str(tmp_path / "data"))


def chosen(path: Path | str, **options: object) -> registry.Options:
    return registry.validate("dataset", {"dataset": "folder", "path": str(path), **options})


def plain(value: int = 9, side: int = 12, mode: str = "RGB") -> bytes:
    return encoded(Image.new(mode, (side, side), value))


def two_classes(count: int = 5) -> dict[str, bytes]:
    return {f"{kind}/{n}.png": plain(n) for kind in ("cat", "dog") for n in range(count)}


@pytest.fixture
def packed(tmp_path) -> Callable[..., Path]:
    def pack(files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
        path = tmp_path / "mine.zip"
        with warnings.catch_warnings(), zipfile.ZipFile(path, "w", compression) as archive:
            warnings.simplefilter("ignore")  # names that come twice
            for name, content in files.items():
                archive.writestr(name, content)
        return path

    return pack


def refusal(path: Path, tmp_path: Path, **options: object) -> str:
    """Why these pictures are refused, without a process of their own."""
    target = tmp_path / "target"
    target.mkdir(exist_ok=True)
    with pytest.raises(Refused) as caught:
        worker.work({**chosen(path, **options).model_dump(), "folder": str(target), "table": False})
    return str(caught.value)


# From the file to the data set


def test_a_zip_and_the_same_folder_give_the_same_data_set(packed, tmp_path):
    files = two_classes()
    files |= {"cat/notes.txt": b"x", "more.zip": b"PK", "__MACOSX/cat/._0.png": b"x", "cat/Thumbs.db": b"x"}
    top = tmp_path / "pets"
    for name, content in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(content)
    path = packed({f"pets/{name}": content for name, content in files.items()})
    with pytest.raises(NotFetched, match=r"mine.zip is not prepared yet \(nothing to download\)") as caught:
        dataset.load(chosen(path))
    assert caught.value.download_bytes == 0
    from_zip, from_folder = fetch(chosen(path)), fetch(chosen(top))
    assert from_zip.fingerprint == from_folder.fingerprint
    assert (from_zip.name, from_folder.name, from_zip.classes) == ("mine", "pets", ("cat", "dog"))
    assert (from_zip.train_images.shape, from_zip.test_images.shape) == ((8, 12, 12, 3), (2, 12, 12, 3))
    assert sorted(from_zip.train_images[:, 0, 0, 0].tolist() + from_zip.test_images[:, 0, 0, 0].tolist()) == sorted(
        [*range(5)] * 2
    )
    assert (
        status(chosen(path)).message == "2 files that are not pictures were left out: pets/cat/notes.txt, pets/more.zip"
    )
    assert dataset.load(chosen(path)).fingerprint == from_zip.fingerprint


@pytest.mark.skipif(mosaics() is None, reason="KDCORE_CIFAR100 names no folder of mosaics")
def test_the_zip_of_cifar100_gives_its_very_pixels(tmp_path):
    path = tmp_path / "cifar.zip"
    script = mosaics() / "unpack.py"
    command = [sys.executable, script, "zip", path, "--classes", "5", "--per-class", "40", "--parts", "*-0[01]"]
    subprocess.run(command, check=True)
    made = fetch(chosen(path))
    assert made.classes == ("apple", "aquarium_fish", "baby", "bear", "beaver")
    assert (len(made.train_labels), len(made.test_labels), made.shape) == (200, 200, (3, 32, 32))
    mosaic = np.asarray(Image.open(mosaics() / "train-00.webp").convert("RGB"))
    np.testing.assert_array_equal(made.train_images[39], mosaic[:32, 39 * 32 : 40 * 32])


def test_what_has_changed_is_prepared_anew_and_what_is_gone_is_told(pictures):
    path = pictures({f"{kind}/{n}.png": (n, 10) for kind in "ab" for n in range(5)})
    first = fetch(chosen(path))
    pictures({"a/new.png": (77, 10)})
    with pytest.raises(NotFetched):
        dataset.load(chosen(path))
    assert fetch(chosen(path)).fingerprint != first.fingerprint
    assert len(list((path.parent / "data" / "folder").glob("*/info.json"))) == 1  # what nobody can load is gone
    path.rename(path.with_name("elsewhere"))
    with pytest.raises(RecipeError, match=r"data.source.path: .*mine cannot be read"):
        dataset.load(chosen(path))


def test_a_prepared_folder_loads_at_once(pictures):
    source = chosen(pictures({f"{kind}/{n}.png": (n, 10) for kind in "ab" for n in range(5)}))
    fetch(source)
    assert min(_seconds(lambda: dataset.load(source)) for _ in range(3)) < patience.stretched(0.01)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def test_bad_pictures_are_named_together_at_the_field_and_nothing_is_left(packed, tmp_path):
    files = two_classes() | {"cat/3.png": plain()[:40], "dog/1.jpg": b"no picture"}
    with pytest.raises(RecipeError) as caught:
        fetch(chosen(packed(files)))
    (problem,) = caught.value.problems
    assert problem.field == "data.source.path"
    assert problem.message.startswith("mine.zip: cat/3.png cannot be read (")
    assert re.search(r"; dog/1.jpg cannot be read \(.+\): save it again, or leave it out", problem.message)
    assert status(chosen(tmp_path / "mine.zip")).message == problem.message
    assert not [path for path in (tmp_path / "data" / "folder").iterdir() if path.is_dir()]


def test_the_number_of_pictures_that_cannot_be_read_is_told_and_they_can_be_left_out(packed, tmp_path):
    files = two_classes(20)
    torn = encoded(Image.effect_noise((12, 12), 50).convert("RGB"))[:300]  # its header can be read
    files |= {f"cat/{n}.png": b"no picture" for n in range(4)} | {f"dog/{n}.png": torn for n in range(4)}
    message = refusal(packed(files), tmp_path)
    assert message.count("cannot be read (") == 5
    assert "; and 3 more. 8 of 40 pictures cannot be read" in message
    assert "skip_unreadable to leave them out" in message
    found = fetch(chosen(packed(files), skip_unreadable=True))
    assert len(found.train_labels) + len(found.test_labels) == 32
    assert (
        "8 of 40 pictures cannot be read and were left out: cat/0.png"
        in status(chosen(tmp_path / "mine.zip", skip_unreadable=True)).message
    )


def test_a_class_of_an_unreadable_kind_is_not_lost_without_a_word(packed, tmp_path):
    files = two_classes() | {f"cow/{n}.heic": b"x" for n in range(12)}
    message = refusal(packed(files), tmp_path)
    assert message.startswith("class 'cow' would be empty: none of its 12 files can be read (cow/0.heic)")
    assert refusal(packed({k: v for k, v in files.items() if "dog" not in k}), tmp_path).startswith("class 'cow'")
    assert fetch(chosen(packed(files), skip_unreadable=True)).classes == ("cat", "dog")
    assert "Class 'cow' was left out" in status(chosen(tmp_path / "mine.zip", skip_unreadable=True)).message


# Hostile archives


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../cat/1.png", "'../cat/1.png' leads out of the archive"),
        ("cat/../../1.png", "leads out"),
        ("/etc/1.png", "is an absolute path"),
        ("C:\\cat\\1.png", "is an absolute path"),
        ("..\\1.png", "leads out"),
        ("cat/1\n.png", "control characters"),
    ],
)
def test_names_that_lead_out_are_refused(packed, tmp_path, name, words):
    assert words in refusal(packed(two_classes() | {name: plain()}), tmp_path)


def test_backslashes_are_folders(packed, tmp_path):
    path = packed({name.replace("/", "\\"): content for name, content in two_classes().items()})
    assert fetch(chosen(path)).classes == ("cat", "dog")


def test_links_are_refused_in_archives_and_in_folders(tmp_path, pictures):
    path = tmp_path / "linked.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("cat/link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert "cat/link.png is a link or not a file" in refusal(path, tmp_path)
    folder = pictures({f"{kind}/{n}.png": (n, 10) for kind in "ab" for n in range(5)})
    (folder / "a" / "link.png").symlink_to(folder / "a" / "0.png")
    assert "a/link.png is a link" in refusal(folder, tmp_path)
    (folder / "a" / "link.png").unlink()
    (folder / "c").symlink_to(tmp_path)
    assert "c is a link" in refusal(folder, tmp_path)


def test_a_password_a_twin_and_a_broken_archive_are_told(packed, tmp_path):
    twins = [("cat/1.png", plain()), ("cat//1.png", plain())]
    assert "cat/1.png is in the archive twice" in refusal(packed(dict(twins)), tmp_path)
    content = bytearray(packed(two_classes()).read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the flag of encryption in the central directory
    (tmp_path / "mine.zip").write_bytes(content)
    assert "cat/0.png is protected by a password" in refusal(tmp_path / "mine.zip", tmp_path)
    (tmp_path / "mine.zip").write_bytes(content[:100])
    assert "it is not a readable zip file" in refusal(tmp_path / "mine.zip", tmp_path)


def test_a_bomb_is_seen_before_it_goes_off(packed, tmp_path, monkeypatch):
    bomb = packed(two_classes() | {"cat/zeros.bmp": bytes(2**25)}, zipfile.ZIP_DEFLATED)
    assert "times its size, which pictures never do" in refusal(bomb, tmp_path)
    ordinary = packed(two_classes())
    for limit, words in (
        ("MOST_FILES", "contains 10 files"),
        ("MOST_BYTES", "unpacks to"),
        ("MOST_FILE_BYTES", "has 0 MB"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(members, limit, 9)
            assert words in refusal(ordinary, tmp_path)


def test_a_picture_of_too_many_pixels_is_refused_by_its_header(packed, tmp_path):
    huge = bytearray(plain())
    huge[16:24] = (60_000).to_bytes(4) * 2  # width and height in the header
    huge[29:33] = zlib.crc32(huge[12:29]).to_bytes(4)
    message = refusal(packed(two_classes() | {"cat/huge.png": bytes(huge)}), tmp_path)
    assert message.startswith("cat/huge.png has ")
    assert "million" in message


def test_a_member_that_lies_about_its_size_is_cut_off(packed, tmp_path):
    path = packed(two_classes())
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02") + 24  # the unpacked size in the central directory
    content[at : at + 4] = (20).to_bytes(4, "little")
    path.write_bytes(content)
    assert refusal(path, tmp_path).startswith("cat/0.png cannot be read")


def test_a_full_disk_is_told_before_decoding(packed, tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "SPARE_BYTES", 2**60)
    assert "choose a smaller size" in refusal(packed(two_classes()), tmp_path)


def test_a_picture_that_hangs_or_kills_the_decoder_is_named(packed, tmp_path, monkeypatch):
    request = chosen(packed(two_classes())).model_dump() | {"folder": str(tmp_path), "table": False}
    monkeypatch.setattr(sys, "executable", _fake(tmp_path, "exec sleep 30"))
    with pytest.raises(Refused, match=r"cat/7.png takes longer than 1 s: leave it out"):
        isolated.decode(request, lambda progress: None, stall=1)
    monkeypatch.setattr(sys, "executable", _fake(tmp_path, "kill -9 $$"))
    with pytest.raises(Refused, match=r"decoding failed at cat/7.png, out of memory or crashed"):
        isolated.decode(request, lambda progress: None)


def _fake(folder: Path, ending: str) -> str:
    path = folder / "python"
    path.write_text(
        f"""#!/bin/sh\necho '{{"doing": "preparing", "done": 7, "total": 9, "file": "cat/7.png"}}'\n{ending}\n"""
    )
    path.chmod(0o755)
    return str(path)


LIMITED = """
from kdcore.data.pictures import worker
worker._limit(2**30)
try:
    bytearray(2**31)
except MemoryError:
    print("limited")
"""


@pytest.mark.skipif(os.name == "nt", reason="needs resource limits")
def test_the_decoder_has_a_limit_of_memory():
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=True)
    assert done.stdout == "limited\n"


# Kinds of pictures


@pytest.mark.parametrize(("bits", "top"), [(8, 255), (10, 1023), (12, 4095), (14, 16383), (16, 65535)])
def test_sixteen_bits_that_hold_fewer_are_scaled_by_what_is_used(tmp_path, packed, bits, top):
    """One scale for the whole set: a picture that is darker than another stays so."""
    values = {"a/0.png": top, **{f"{kind}/{n}.png": top // 2 for kind in "ab" for n in range(1, 6)}}
    files = {}
    for name, value in values.items():
        files[name] = encoded(Image.fromarray(np.full((12, 12), value, np.uint16)))
    found = fetch(chosen(packed(files)))
    levels = set(np.unique(found.train_images)) | set(np.unique(found.test_images))
    assert levels == {127, 255}
    assert (f"read as {bits} bits" in status(chosen(tmp_path / "mine.zip")).message) == (bits < 16)


def test_all_grey_stays_grey_and_one_colour_makes_all_colour(packed, tmp_path):
    grey = {name: plain(50, mode="L") for name in two_classes()}
    assert fetch(chosen(packed(grey))).shape == (1, 12, 12)
    mixed = fetch(chosen(packed(grey | {"cat/0.png": plain(50)})))
    assert mixed.shape == (3, 12, 12)


def test_another_size_takes_the_middle(pictures, tmp_path):
    wide = np.zeros((40, 120, 3), np.uint8)
    wide[:, 40:80] = 200
    made = decode.decode(io.BytesIO(encoded(Image.fromarray(wide))), 20, 20, grey=False)
    assert made[:, 1:-1].min() == 200
    source = chosen(pictures({f"{kind}/{n}.png": (n, 10 + n) for kind in "ab" for n in range(5)}), size=16)
    assert fetch(source).shape == (3, 16, 16)


def test_the_path_is_made_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert chosen("pets.zip").path == str(tmp_path / "pets.zip")
    assert chosen("").path == ""


def test_a_path_that_no_file_can_have_is_told(tmp_path):
    with pytest.raises(ValueError, match="null character"):
        chosen("a\0b")
    for path in ("~nobody-of-this-name/pictures", "a" * 500):
        with pytest.raises(RecipeError, match="cannot be read"):
            status(chosen(path))
