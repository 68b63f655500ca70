"""Data sets on disk: prepared once as plain arrays, then memory-mapped by every process that reads them."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kdcore import registry
from kdcore.paths import data_home
from kdcore.problems import Problem, RecipeError
from kdcore.registry import Entry, Options

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
# The kernel refuses a writable mapping that is larger than memory, even of pages that nobody writes to.
WRITABLE_BYTES = 2**30


class RawImages(NamedTuple):
    """What a registered data set returns: images uint8 (N, H, W, C), labels (N,) that index `classes`; where an
    image can have several, or none, 0 and 1 (N, K).

    Arrays made by `Work.array` are on disk already and are taken as they are. `name` is what the data set is called
    where that is not the registry's name. `left_out`: files of a person's that are no pictures.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: tuple[str, ...]
    name: str = ""
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """A prepared data set.

    `train_images`, `test_images`: uint8 (N, H, W, C), memory-mapped; writable (in memory alone) up to 1 GiB, read-only
    above. `train_labels`, `test_labels`: int64 (N,), or uint8 (N, K) where `multilabel`. `fingerprint`: sha256 of
    images, labels and class names, 64 hex digits. `mean`, `std`: of the training pixels in 0..1, one a channel; `std`
    is at least 1/255, so that it can be divided by.
    """

    name: str
    train_images: np.ndarray
    test_images: np.ndarray
    train_labels: np.ndarray
    test_labels: np.ndarray
    classes: tuple[str, ...]
    fingerprint: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        height, width, channels = self.train_images.shape[1:]
        return channels, height, width

    @property
    def multilabel(self) -> bool:
        """Whether an image can have several labels, or none."""
        return self.train_labels.ndim == 2


class Remote(NamedTuple):
    """A file that a data set needs. `bytes` is told before the download; `md5` decides whether it is the right one."""

    name: str
    urls: tuple[str, ...]
    bytes: int
    md5: str


class Progress(NamedTuple):
    """How far a fetch has come: `done` of `total` in `unit` ("bytes" or "pictures")."""

    doing: str
    done: int
    total: int
    unit: str


class Work(NamedTuple):
    """What a data set that is fetched gets to prepare itself with.

    `raw`: the folder of its downloaded files, verified. `folder`: where the arrays grow. `tell`: takes each Progress.
    """

    raw: Path
    folder: Path
    tell: Callable[[Progress], None]

    def array(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """A uint8 array on disk, one of ARRAYS, that is filled in any order and never has to fit into memory."""
        path = self.folder / f"{name}.npy"
        return np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)


class Fetch:
    """Marks a data set that must be fetched before it is loaded: `traits={"fetch": Fetch("CIFAR-10", *files)}`.

    Its registered function then takes (options, work) and is called by `fetch.fetch` alone.
    """

    def __init__(self, title: str, *files: Remote):
        self._title, self._files = title, files

    def title(self, options: Options) -> str:
        """What messages call it."""
        return self._title

    def files(self, options: Options) -> tuple[Remote, ...]:
        """What these options need from the network."""
        return self._files

    def stamp(self, options: Options) -> str:
        """Something that changes when a person's own files do; prepared arrays hold for one stamp. Raises RecipeError.

        Called by every `load`: it must take a millisecond at most.
        """
        return ""


class NotFetched(RecipeError):
    """The data set is not prepared on this machine, and making it takes a download or some time.

    `source`: its options. `title`: its name in messages. `download_bytes`: about how much would be downloaded now;
    0 where it only has to be prepared. `command`: how to fetch it from a shell.
    """

    def __init__(self, source: Options, title: str, download_bytes: int):
        self.source, self.title, self.download_bytes = source, title, download_bytes
        name = registry.entry_of("dataset", source).name
        chosen = {"dataset": name} | source.model_dump(mode="json", exclude_defaults=True)
        wanted = name if len(chosen) == 1 else shlex.quote(json.dumps(chosen, ensure_ascii=False))
        self.command = f"python -m kdcore fetch {wanted}"
        state, button = (
            (f"is not on this machine yet ({megabytes(download_bytes)})", "Download")
            if download_bytes
            else ("is not prepared yet (nothing to download)", "Prepare")
        )
        super().__init__(
            [Problem("data.source", f"{title} {state}: fetch it with `{self.command}`, or press {button}")]
        )


def megabytes(size: int) -> str:
    """Bytes in words."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(size / 1e6, 0.1):.3g} MB"


def load(source: Options) -> Dataset:
    """The data set that these options choose, out of `place(source)`.

    One that needs no download and no time is prepared there on first use. Raises NotFetched where it would, other
    RecipeErrors where the options name files that are not there, ValueError where a registered data set returns arrays
    that do not fit together.
    """
    entry = registry.entry_of("dataset", source)
    folder = place(source)
    if not ready(folder):
        if "fetch" in entry.traits:
            raise NotFetched(source, entry.traits["fetch"].title(source), sum(f.bytes for f in missing(source)))
        from kdcore.data.prepare import prepare

        prepare(entry.implementation, source, folder)
    info = json.loads((folder / "info.json").read_text("utf-8"))
    return Dataset(
        name=info["name"],
        classes=tuple(info["classes"]),
        fingerprint=info["fingerprint"],
        mean=tuple(info["mean"]),
        std=tuple(info["std"]),
        **{name: _mapped(folder / f"{name}.npy") for name in ARRAYS},
    )


def place(source: Options) -> Path:
    """The folder of the prepared arrays: `data_home()/<name>/<digest of the options>/`. Raises RecipeError."""
    entry: Entry = registry.entry_of("dataset", source)
    chosen: dict[str, Any] = {"version": entry.version, **source.model_dump(mode="json")}
    if "fetch" in entry.traits and (stamp := entry.traits["fetch"].stamp(source)):
        chosen["stamp"] = stamp
    digest = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:12]
    return data_home() / entry.name / digest


def raw_folder(source: Options) -> Path:
    """Where downloaded files are kept, and where a person puts them by hand."""
    return data_home() / registry.entry_of("dataset", source).name / "raw"


def missing(source: Options) -> list[Remote]:
    """The files that still have to be downloaded."""
    folder = raw_folder(source)
    needed = registry.entry_of("dataset", source).traits["fetch"].files(source)
    return [file for file in needed if not (folder / file.name).exists()]


def ready(folder: Path) -> bool:
    """Whether the arrays in this folder are complete."""
    return (folder / "info.json").exists()


def _mapped(path: Path) -> np.ndarray:
    # Copy on write where possible: torch shares only writable arrays, and nothing that is written reaches the disk.
    return np.load(path, mmap_mode="c" if path.stat().st_size <= WRITABLE_BYTES else "r")
