"""The interface of a kind of input."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from kdcore.inputs import order
from kdcore.lazy import torch
from kdcore.recipe import Augmentation

Shape = Sequence[Any]  # (C, H, W), or the kind's name and its numbers: what JSON documents hold
SEVERITIES = (1, 2, 3, 4, 5)
Items = Any  # N inputs as a data set holds them: `len`, and indexing by rows or a slice


class Held(ABC):
    """N inputs from which training takes batches. `portion`: how many fit into one pass without gradients."""

    device: torch.device

    @property
    @abstractmethod
    def kind(self) -> Kind: ...

    @property
    @abstractmethod
    def portion(self) -> int: ...

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def batch(self, indices: np.ndarray, following: np.ndarray | None = None) -> torch.Tensor:
        """These inputs as they are kept, on the device. `following`: what will be asked for next."""

    def indices(self, seed: int, step: int, size: int) -> np.ndarray:
        """Which inputs (size,) are shown in a step; the same for the same seed and step."""
        return order.batch(seed, step, len(self), size)


class Disturbance(NamedTuple):
    """`title` with its unit. The strength goes from 0, which changes nothing, to `most` in steps of `step`."""

    title: str
    most: float
    step: float
    unit: str


class Shown(NamedTuple):
    """One input as a page shows it: a `picture` uint8 (H, W, C), or a `text`."""

    picture: np.ndarray | None = None
    text: str = ""


class Kind(ABC):
    """A kind of input. `one`, `many`: what people call it. `onnx_name`: of the exported file's input. `corruptions`:
    titles by name, five of them; `corrupted_how`: what they do, in words. `sources`: how a person can bring one of
    their own: "draw", "upload", "camera", "type"; "continue": a beginning after which its networks write on.
    `judged_by`: what networks are judged by: "accuracy" (of several labels mAP), or "bits" a character, where they
    predict each next one."""

    name: ClassVar[str]
    one: ClassVar[str]
    many: ClassVar[str]
    onnx_name: ClassVar[str]
    corruptions: ClassVar[Mapping[str, str]]
    corrupted_how: ClassVar[str]
    sources: ClassVar[tuple[str, ...]]
    judged_by: ClassVar[str] = "accuracy"

    @property
    def read_as(self) -> str:
        """The kind that networks, methods and steps say they read, where several are read alike."""
        return self.name

    # Items on disk

    @abstractmethod
    def checked(self, items: Items, like: Items) -> Items:
        """The same items, ready to be written. `like`: others of the data set. Raises ValueError."""

    @abstractmethod
    def files(self, name: str) -> tuple[str, ...]:
        """The files that `save` writes."""

    @abstractmethod
    def save(self, items: Items, folder: Path, name: str) -> None:
        """Writes items as files that begin with `name`, where they are not there yet."""

    @abstractmethod
    def fits(self, folder: Path, name: str, shape: Shape, count: int) -> bool:
        """Whether the files, whose arrays are whole, hold `count` items of this shape."""

    @abstractmethod
    def load(self, folder: Path, name: str) -> Items:
        """The items that `save` wrote, memory-mapped."""

    @abstractmethod
    def chunks(self, items: Items) -> Iterator[bytes | memoryview]:
        """All that the items consist of, some megabytes at a time, for the fingerprint."""

    @abstractmethod
    def moments(self, items: Items) -> tuple[list[float], list[float]]:
        """Mean and standard deviation by which networks normalise their input; empty where they do not."""

    @abstractmethod
    def shape(self, items: Items) -> Shape:
        """What a network must know of the inputs."""

    # Networks

    @abstractmethod
    def check(self, shape: Shape, mean: Sequence[float], std: Sequence[float]) -> None:
        """Raises ValueError for inputs that no network here takes."""

    @abstractmethod
    def neutral(self, shape: Shape) -> tuple[list[float], list[float]]:
        """A mean and a standard deviation with which nothing is normalised."""

    @abstractmethod
    def sound(self, shape: Shape) -> bool:
        """Whether a shape in a document is one of this kind."""

    @abstractmethod
    def size(self, shape: Shape) -> str:
        """What the inputs are, in words."""

    @abstractmethod
    def values(self, shape: Shape) -> int:
        """Numbers in one input."""

    # Torch

    @abstractmethod
    def hold(self, items: Items, rows: np.ndarray, device: torch.device) -> Held:
        """The items `rows` (N,) for training."""

    @abstractmethod
    def tensor(self, items: Items, device: torch.device | str = "cpu") -> torch.Tensor:
        """Items as they are kept on a device."""

    @abstractmethod
    def ready(self, kept: torch.Tensor) -> torch.Tensor:
        """What networks take, from what is kept."""

    @abstractmethod
    def portions(self, kept: torch.Tensor) -> Iterator[torch.Tensor]:
        """All inputs as networks take them, in order, in parts that fit into one pass without gradients."""

    @abstractmethod
    def views(
        self, kept: torch.Tensor, targets: torch.Tensor, views: Augmentation, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """A batch as student and teacher see it this time, from what is kept, and its targets (B, K)."""

    @abstractmethod
    def impossible(self, views: Augmentation) -> dict[str, str]:
        """Why these inputs cannot have some of the views, by their fields in the Recipe."""

    # ONNX

    @abstractmethod
    def axes(self, shape: Shape) -> dict[int, Any]:
        """The free axes of a network's input, as torch.export takes them."""

    @abstractmethod
    def feed(self, items: Items) -> np.ndarray:
        """Items as exported files take them."""

    def array(self, items: Items) -> np.ndarray:
        """Items as one plain array, as they are kept."""
        return self.feed(items)

    @abstractmethod
    def samples(self, items: Items) -> list[np.ndarray]:
        """Batches on which an exported file is compared with its network, as `feed` makes them."""

    @abstractmethod
    def plain(self, shape: Shape, batch: int) -> np.ndarray:
        """A batch of one input over and over, as `feed` makes it: to trace a network and to count its work."""

    @abstractmethod
    def random(self, shape: Shape, batch: int, generator: np.random.Generator) -> np.ndarray:
        """A batch on which files are timed."""

    def at_lengths(self, shape: Shape, generator: np.random.Generator) -> dict[str, np.ndarray]:
        """Single inputs of other lengths, by these, on which files are timed too; empty where inputs have one size."""
        return {}

    # Pages

    @abstractmethod
    def shown(self, items: Items, row: int) -> Shown:
        """What a page shows of one item."""

    @abstractmethod
    def measured(self, one: Items) -> str:
        """How large a single item is, in words."""

    @abstractmethod
    def strengths(self, shape: Shape) -> dict[str, Any]:
        """What the numbers of corrupted inputs rest on, as a JSON document."""

    @abstractmethod
    def strength(self, shape: Shape, name: str, severity: int) -> str:
        """How strong a corruption is, in words."""

    @abstractmethod
    def corrupted(self, items: Items, name: str, severity: int, seed: int = 0) -> Items:
        """The items corrupted at severity 1 to 5; an item comes out the same whatever stands beside it."""

    @abstractmethod
    def disturbances(self, shape: Shape) -> dict[str, Disturbance]:
        """What a person can do to one input, by name."""

    @abstractmethod
    def disturbed(self, one: Items, each: Sequence[Mapping[str, float]]) -> Items:
        """A single item as it is under each of these strengths; a disturbance that is not named does nothing."""

    @abstractmethod
    def features(self, train: Items, test: Items) -> tuple[Any, Any]:
        """What classic models of scikit-learn take, arrays (N, F) or sparse matrices, of both splits."""

    def by_length(self, items: Items, rows: np.ndarray) -> np.ndarray:
        """The places (N,) in `rows` in an order in which batches need the least padding: as they are, where none do."""
        return np.arange(len(rows))

    def unknown(self, items: Items) -> int | None:
        """The id that stands for what a network has no other for; None where items do not consist of ids."""
        return None

    def together(self, items: Items) -> np.ndarray | None:
        """The number of the whole, a document, that each item (N,) comes from, where items depend on each other: they
        then stay in one share. None where each stands for itself."""
        return None

    def characters(self, items: Items, labels: np.ndarray) -> np.ndarray:
        """How many characters each label (N,) of items stands for, float64 (N,), where every next one is predicted."""
        return np.ones(len(labels))

    def in_one(self, shape: Shape) -> int:
        """How many items a network answers in one input."""
        return 1

    def answers(self, logits: np.ndarray, items: Items) -> np.ndarray:
        """The logits (N, K) of the items among those that a network gives for `feed` of them."""
        return logits

    def example(self, shape: Shape, batch: int = 1, device: torch.device | str = "cpu") -> torch.Tensor:
        """`plain` as a tensor."""
        return torch.from_numpy(self.plain(shape, batch)).to(device)


def laid_out(batch: torch.Tensor) -> torch.Tensor:
    """Maps (B, C, H, W) channels last, which convolutions are fastest with; all else as it is."""
    return batch.contiguous(memory_format=torch.channels_last) if batch.ndim == 4 else batch


def fed(batch: torch.Tensor) -> np.ndarray:
    """A batch on any device as exported files take it: pixels in fp32, ids as they are."""
    plain = batch.detach().float() if batch.is_floating_point() else batch
    return np.ascontiguousarray(plain.cpu().numpy())


def tokens(batch: torch.Tensor) -> torch.Tensor | None:
    """Which places of a batch of ids (B, L) hold tokens and no padding, bool; None for a batch of anything else."""
    return None if batch.is_floating_point() else batch != 0
