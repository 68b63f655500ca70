"""Passages of running text, of which a network predicts every next character.

An example is one character, and its label is the character that follows; in `token_passages` both are tokens. A network
reads windows of `length` characters and gives the logits of every place in them, one row after the other, so the rows
are those of the examples.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from kdcore import arrays
from kdcore.files import read_json, write_json
from kdcore.inputs import order, typos
from kdcore.inputs.kind import Disturbance, Held, Items, Kind, Shape, Shown
from kdcore.inputs.text import Text, TextShape, portion
from kdcore.inputs.tokens import Characters, Continuing, read
from kdcore.lazy import torch

SHORTEST = 3  # characters on which an exported file is compared with its network
BEFORE = 80  # characters that a page shows before the one in question
KEEPING = ("replaced", "swapped", "case")  # typos that leave every character in its place


class Windows(NamedTuple):
    """`ids` int32 (W, L) of windows, and the number of the document that each comes from, int32 (W,)."""

    ids: np.ndarray
    documents: np.ndarray


class Passages:
    """N examples: those at `places` (N,) among all W * L characters of `windows`; by default all of them."""

    def __init__(self, windows: Windows, tokenizer: Continuing, places: np.ndarray | None = None):
        self.windows, self.tokenizer = windows, tokenizer
        self.places = np.arange(windows.ids.size) if places is None else places

    @property
    def length(self) -> int:
        """Characters of a window."""
        return int(self.windows.ids.shape[1])

    @property
    def shape(self) -> tuple[int, int]:
        """(N, L)."""
        return len(self), self.length

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, places: Any) -> Passages:
        return Passages(self.windows, self.tokenizer, self.places[places])

    def used(self) -> tuple[np.ndarray, np.ndarray]:
        """The windows that hold the examples, in the order in which they come, and the row of each example among all
        characters of these."""
        holding = self.places // self.length
        found, first, inverse = np.unique(holding, return_index=True, return_inverse=True)
        ranks = np.argsort(np.argsort(first))
        return found[np.argsort(first)], ranks[inverse] * self.length + self.places % self.length

    def context(self, row: int) -> str:
        """What comes before the label of an example, within its window."""
        window, place = divmod(int(self.places[row]), self.length)
        return self.tokenizer.decoded(self.windows.ids[window, : place + 1])


class HeldPassages(Held):
    """Training windows; a batch of B characters is B / L of them, one at least."""

    def __init__(self, items: Passages, device: torch.device, kind: Kind):
        self.items, self.device, self._kind = items, device, kind

    @property
    def kind(self) -> Kind:
        return self._kind

    @property
    def portion(self) -> int:
        return portion(self.items.length) * self.items.length

    def __len__(self) -> int:
        return len(self.items)

    def batch(self, indices: np.ndarray, following: np.ndarray | None = None) -> torch.Tensor:
        places, length = self.items.places[indices], self.items.length
        windows = places[::length] // length
        if not np.array_equal(places, (windows[:, None] * length + np.arange(length)).ravel()):
            return self.kind.tensor(self.items[indices], self.device)
        # Where a pass ends within a batch, the next one may begin with the same window, which then comes twice
        return torch.from_numpy(np.asarray(self.items.windows.ids)[windows].astype(np.int64)).to(self.device)

    def indices(self, seed: int, step: int, size: int) -> np.ndarray:
        length = self.items.length
        windows = order.batch(seed, step, len(self) // length, max(1, size // length))
        found: np.ndarray = (windows[:, None] * length + np.arange(length)).ravel()
        return found


class Continued(Text):
    name = "passages"
    one, many = "character", "characters"
    corruptions = {name: typos.TITLES[name] for name in KEEPING}
    corrupted_how = "wrong or swapped letters, or wrong case, before the character in question, at five severities each"
    sources = ("continue",)
    judged_by = "bits"
    parts = ("ids", "documents")
    tokenizer: ClassVar[type[Continuing]] = Characters

    def fits(self, folder: Path, name: str, shape: Shape, count: int) -> bool:
        try:
            items = self.load(folder, name)
            ids, documents = items.windows
            known = 0 < ids.min(initial=1) <= ids.max(initial=1) < items.tokenizer.vocabulary
            kinds = ids.dtype == documents.dtype == np.int32 and documents.shape == ids.shape[:1]
            return tuple(self.shape(items)) == tuple(shape) and len(items) == count and bool(known) and kinds
        except (ValueError, TypeError, KeyError, IndexError):
            return False

    def save(self, items: Items, folder: Path, name: str) -> None:
        for part, array in items.windows._asdict().items():
            arrays.save(folder / f"{name}.{part}.npy", array)
        write_json(folder / f"{name}.tokenizer.json", items.tokenizer.document())

    def load(self, folder: Path, name: str) -> Items:
        tokenizer = read(read_json(folder / f"{name}.tokenizer.json"))
        if not isinstance(tokenizer, self.tokenizer):
            raise ValueError(f"these passages are not read by {self.many}")
        return Passages(Windows(*(arrays.mapped(folder / f"{name}.{part}.npy") for part in self.parts)), tokenizer)

    def chunks(self, items: Items) -> Iterator[bytes | memoryview]:
        yield json.dumps(items.tokenizer.document()).encode()
        for array in items.windows:
            yield from arrays.chunks(array)

    def shape(self, items: Items) -> Shape:
        tokenizer = items.tokenizer
        return TextShape(self.name, items.length, items.length, tokenizer.vocabulary, tokenizer.digest)

    def size(self, shape: Shape) -> str:
        _, length, _, vocabulary, _ = shape
        return f"windows of {length} {self.many} out of {vocabulary:,}"

    def hold(self, items: Items, rows: np.ndarray, device: torch.device) -> Held:
        return HeldPassages(items[rows], device, self)

    def characters(self, items: Items, labels: np.ndarray) -> np.ndarray:
        found: np.ndarray = items.tokenizer.characters[labels]
        return found

    def by_length(self, items: Items, rows: np.ndarray) -> np.ndarray:
        return np.arange(len(rows))

    def together(self, items: Items) -> np.ndarray:
        found: np.ndarray = np.asarray(items.windows.documents)[items.places // items.length]
        return found

    def in_one(self, shape: Shape) -> int:
        return TextShape(*shape).longest

    def feed(self, items: Items) -> np.ndarray:
        return np.asarray(items.windows.ids)[items.used()[0]].astype(np.int64)

    def answers(self, logits: np.ndarray, items: Items) -> np.ndarray:
        return logits[items.used()[1]]

    def samples(self, items: Items) -> list[np.ndarray]:
        """At three lengths: whole windows, half of them, and the first characters alone."""
        ids = self.feed(items)
        return [ids, ids[:, : -(-ids.shape[1] // 2)], ids[:, :SHORTEST]]

    def shown(self, items: Items, row: int) -> Shown:
        return Shown(text=items.context(row)[-BEFORE:] + "▁")

    def measured(self, one: Items) -> str:
        count = len(one.context(0))
        return f"{count} character{'s' * (count != 1)} before it"

    def corrupted(self, items: Items, name: str, severity: int, seed: int = 0) -> Items:
        """What the network reads; the characters that it should predict stay as they were written."""
        tokenizer, share = items.tokenizer, typos.SHARES[severity - 1]
        used, rows = items.used()
        texts = [tokenizer.decoded(items.windows.ids[window]) for window in used]
        changed = [typos.corrupted(text, name, share, tokenizer.alphabet, seed) for text in texts]
        ids = tokenizer.encoded(changed).flat.reshape(len(used), items.length)
        return Passages(Windows(ids, items.windows.documents[used]), tokenizer, rows)

    def disturbances(self, shape: Shape) -> dict[str, Disturbance]:
        return {name: one for name, one in super().disturbances(shape).items() if name in self.corruptions}

    def disturbed(self, one: Items, each: Sequence[Mapping[str, float]]) -> Items:
        window, place = divmod(int(one.places[0]), one.length)
        tokenizer, text = one.tokenizer, one.tokenizer.decoded(one.windows.ids[window])
        changed = []
        for strengths in each:
            given = text
            for name, percent in strengths.items():
                given = typos.corrupted(given, name, percent / 100, tokenizer.alphabet) if percent else given
            changed.append(given)
        ids = tokenizer.encoded(changed).flat.reshape(len(changed), one.length)
        documents = np.repeat(one.windows.documents[window : window + 1], len(changed))
        return Passages(Windows(ids, documents), tokenizer, np.arange(len(changed)) * one.length + place)


KIND = Continued()
