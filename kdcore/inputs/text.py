"""Texts: `Texts` in data sets, token ids int64 (B, L) for networks, which know padding by its id, 0."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from kdcore import arrays
from kdcore.files import read_json, write_json
from kdcore.inputs import order, typos
from kdcore.inputs.bytepairs import BytePairs
from kdcore.inputs.ids import PADDING
from kdcore.inputs.kind import Disturbance, Held, Items, Kind, Shape, Shown
from kdcore.inputs.ragged import Ragged
from kdcore.inputs.tokens import Texts, read
from kdcore.lazy import torch
from kdcore.recipe import Augmentation

PORTION, PORTION_TOKENS = 512, 2**15  # texts in one pass without gradients (max), and their tokens
LENGTHS = (16, 64)  # tokens at which files are timed beside the median of the data
FEATURES = 20_000  # of a text, for classic models
PICTURES_ALONE = "texts cannot be changed like pictures: set it to {}"


class TextShape(NamedTuple):
    """`length`: median of the training texts, in tokens; `longest`: of all; `vocabulary`: number of ids."""

    kind: str
    length: int
    longest: int
    vocabulary: int
    tokenizer: str


class HeldTexts(Held):
    """Training texts, in memory or on disk; a batch is as long as its longest one."""

    def __init__(self, texts: Texts, rows: np.ndarray, device: torch.device):
        self.texts, self.rows, self.device = texts, rows, device
        self._lengths = texts.ids.lengths[rows]
        self._order = lru_cache(maxsize=4)(self._ordered)

    @property
    def kind(self) -> Kind:
        return KIND

    @property
    def portion(self) -> int:
        return portion(int(self._lengths.max()))

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, indices: np.ndarray, following: np.ndarray | None = None) -> torch.Tensor:
        ids = self.texts.ids.rows(self.rows[indices]).padded()
        return torch.from_numpy(ids).to(self.device, non_blocking=True)

    def indices(self, seed: int, step: int, size: int) -> np.ndarray:
        return order.batch(seed, step, len(self), size, self._order)

    def _ordered(self, seed: int, passing: int, size: int) -> np.ndarray:
        return order.bucketed(seed, passing, self._lengths, size)


class Text(Kind):
    name = "text"
    one, many = "text", "texts"
    onnx_name = "ids"
    corruptions = typos.TITLES
    corrupted_how = "wrong, missing, doubled or swapped letters, or wrong case, at five severities each"
    sources = ("type",)
    parts: ClassVar[tuple[str, ...]] = ("ids", "id-ends", "text", "text-ends")  # its arrays on disk

    def checked(self, items: Items, like: Items) -> Items:
        if items.tokenizer != like.tokenizer or not len(items):
            raise ValueError(f"{self.many} must have one tokenizer, and there must be some")
        return items

    def files(self, name: str) -> tuple[str, ...]:
        return (*(f"{name}.{part}.npy" for part in self.parts), f"{name}.tokenizer.json")

    def fits(self, folder: Path, name: str, shape: Shape, count: int) -> bool:
        try:
            items = self.load(folder, name)
            right = tuple(self.shape(items)[2:]) == tuple(shape[2:])
            return right and len(items) == len(items.raw.ends) == count and items.sound()
        except (ValueError, TypeError, KeyError):
            return False

    def save(self, items: Texts, folder: Path, name: str) -> None:
        for part, array in items.arrays().items():
            arrays.save(folder / f"{name}.{part}.npy", array)
        write_json(folder / f"{name}.tokenizer.json", items.tokenizer.document())

    def load(self, folder: Path, name: str) -> Texts:
        ids, id_ends, raw, ends = (arrays.mapped(folder / f"{name}.{part}.npy") for part in self.parts)
        tokenizer = read(read_json(folder / f"{name}.tokenizer.json"))
        if isinstance(tokenizer, BytePairs):
            raise ValueError("its tokenizer is one of running text")
        return Texts(Ragged(ids, id_ends), Ragged(raw, ends), tokenizer)

    def chunks(self, items: Texts) -> Iterator[bytes | memoryview]:
        return items.chunks()

    def moments(self, items: Texts) -> tuple[list[float], list[float]]:
        return [], []

    def shape(self, items: Texts) -> Shape:
        tokenizer = items.tokenizer
        return TextShape(self.name, items.median, tokenizer.longest, tokenizer.vocabulary, tokenizer.digest)

    def check(self, shape: Shape, mean: Sequence[float], std: Sequence[float]) -> None:
        if not self.sound(shape):
            raise ValueError(f"no network takes texts of the shape {tuple(shape)}")

    def neutral(self, shape: Shape) -> tuple[list[float], list[float]]:
        return [], []

    def sound(self, shape: Shape) -> bool:
        numbers = shape[1:4]
        return (
            len(shape) == len(TextShape._fields)
            and all(type(number) is int and 1 <= number < 2**31 for number in numbers)
            and isinstance(shape[4], str)
        )

    def size(self, shape: Shape) -> str:
        _, length, longest, vocabulary, _ = shape
        return f"texts of up to {longest} tokens (median {length}) out of {vocabulary:,}"

    def values(self, shape: Shape) -> int:
        return TextShape(*shape).length

    def hold(self, items: Texts, rows: np.ndarray, device: torch.device) -> Held:
        return HeldTexts(items, rows, device)

    def by_length(self, items: Texts, rows: np.ndarray) -> np.ndarray:
        return np.argsort(items.ids.lengths[rows], kind="stable")

    def unknown(self, items: Texts) -> int:
        return items.tokenizer.unknown

    def tensor(self, items: Items, device: torch.device | str = "cpu") -> torch.Tensor:
        return torch.from_numpy(self.feed(items)).to(device)

    def ready(self, kept: torch.Tensor) -> torch.Tensor:
        return kept

    def portions(self, kept: torch.Tensor) -> Iterator[torch.Tensor]:
        for part in kept.split(portion(kept.shape[1])):
            yield part[:, : max(1, int((part != PADDING).any(dim=0).sum()))]

    def views(
        self, kept: torch.Tensor, targets: torch.Tensor, views: Augmentation, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return kept, targets

    def impossible(self, views: Augmentation) -> dict[str, str]:
        default = Augmentation()
        asked = {name: getattr(default, name) for name in Augmentation.model_fields}
        return {
            name: PICTURES_ALONE.format(json.dumps(usual))
            for name, usual in asked.items()
            if getattr(views, name) != usual
        }

    def axes(self, shape: Shape) -> dict[int, Any]:
        return {0: torch.export.Dim("batch"), 1: torch.export.Dim("length", max=TextShape(*shape).longest)}

    def feed(self, items: Texts) -> np.ndarray:
        return items.ids.padded()

    def samples(self, items: Texts) -> list[np.ndarray]:
        """At three lengths: as they are, half of that, and filled up to the longest that there can be."""
        ids = self.feed(items)
        longest = np.pad(ids, ((0, 0), (0, items.tokenizer.longest - ids.shape[1])))
        return [ids, ids[:, : -(-ids.shape[1] // 2)], longest]

    def plain(self, shape: Shape, batch: int) -> np.ndarray:
        return np.ones((batch, _length(shape)), np.int64)

    def random(self, shape: Shape, batch: int, generator: np.random.Generator) -> np.ndarray:
        return generator.integers(1, TextShape(*shape).vocabulary, (batch, _length(shape)))

    def at_lengths(self, shape: Shape, generator: np.random.Generator) -> dict[str, np.ndarray]:
        about = TextShape(*shape)
        kept = [length for length in LENGTHS if length <= about.longest]
        return {str(length): generator.integers(1, about.vocabulary, (1, length)) for length in kept}

    def features(self, train: Texts, test: Texts) -> tuple[Any, Any]:
        """TF-IDF of words and of parts of words of up to four letters, in a sparse matrix."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        counts = TfidfVectorizer(
            analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True, max_features=FEATURES, dtype=np.float32
        )
        return counts.fit_transform(train), counts.transform(test)

    def shown(self, items: Texts, row: int) -> Shown:
        return Shown(text=items.text(row))

    def measured(self, one: Texts) -> str:
        count = int(one.ids.lengths[0])
        return f"{count} token{'s' * (count != 1)}"

    def strengths(self, shape: Shape) -> dict[str, Any]:
        by_corruption = {name: list(typos.SHARES) for name in typos.TITLES}
        return {"strengths": "share of the letters", "by_corruption": by_corruption}

    def strength(self, shape: Shape, name: str, severity: int) -> str:
        return f"{100 * typos.SHARES[severity - 1]:g} % of the letters"

    def corrupted(self, items: Texts, name: str, severity: int, seed: int = 0) -> Texts:
        tokenizer = items.tokenizer
        return Texts.of(
            (typos.corrupted(text, name, typos.SHARES[severity - 1], tokenizer.alphabet, seed) for text in items),
            tokenizer,
        )

    def disturbances(self, shape: Shape) -> dict[str, Disturbance]:
        return {name: Disturbance(f"{title} (%)", 60.0, 5.0, " %") for name, title in typos.TITLES.items()}

    def disturbed(self, one: Texts, each: Sequence[Mapping[str, float]]) -> Texts:
        return Texts.of([self._mistyped(one, strengths) for strengths in each], one.tokenizer)

    def _mistyped(self, one: Texts, strengths: Mapping[str, float]) -> str:
        text = one.text(0)
        for name, percent in strengths.items():
            text = typos.corrupted(text, name, percent / 100, one.tokenizer.alphabet) if percent else text
        return text


def _length(shape: Shape) -> int:
    return max(2, TextShape(*shape).length)  # a 1 would become a constant of the exported graph


def portion(length: int) -> int:
    """Texts of this length that fit into one pass without gradients."""
    return max(1, min(PORTION, PORTION_TOKENS // length))


KIND = Text()
