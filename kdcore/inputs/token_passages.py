"""Passages of running text by the tokens of a published model: an example is one token, its label the next one."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kdcore.inputs import typos
from kdcore.inputs.bytepairs import BytePairs
from kdcore.inputs.ids import FIRST
from kdcore.inputs.kind import Disturbance, Items, Shape
from kdcore.inputs.passages import Continued, Passages, Windows
from kdcore.inputs.text import TextShape

WRONG, SWAPPED = "wrong_tokens", "swapped_tokens"


class TokenShape(TextShape):
    """The shape of items in memory, which still know their tokenizer: published weights are fitted to it."""

    splits: BytePairs


class ContinuedTokens(Continued):
    name, read_as = "tokens", "passages"
    one, many = "token", "tokens"
    corruptions = {WRONG: "Wrong tokens", SWAPPED: "Swapped tokens"}
    corrupted_how = "wrong or swapped tokens before the token in question, at five severities each"
    tokenizer = BytePairs

    def shape(self, items: Items) -> TokenShape:
        made = TokenShape(*super().shape(items))
        made.splits = items.tokenizer
        return made

    def strengths(self, shape: Shape) -> dict[str, Any]:
        by_corruption = {name: list(typos.SHARES) for name in self.corruptions}
        return {"strengths": "share of the tokens", "by_corruption": by_corruption}

    def strength(self, shape: Shape, name: str, severity: int) -> str:
        return f"{100 * typos.SHARES[severity - 1]:g} % of the tokens"

    def corrupted(self, items: Items, name: str, severity: int, seed: int = 0) -> Items:
        """What the network reads; the tokens that it should predict stay as they were written."""
        used, rows = items.used()
        ids, vocabulary = items.windows.ids[used], items.tokenizer.vocabulary
        changed = np.stack([_changed(one, name, typos.SHARES[severity - 1], vocabulary, seed) for one in ids])
        return Passages(Windows(changed, items.windows.documents[used]), items.tokenizer, rows)

    def disturbances(self, shape: Shape) -> dict[str, Disturbance]:
        return {name: Disturbance(f"{title} (%)", 60.0, 5.0, " %") for name, title in self.corruptions.items()}

    def disturbed(self, one: Items, each: Sequence[Mapping[str, float]]) -> Items:
        window, place = divmod(int(one.places[0]), one.length)
        changed = []
        for strengths in each:
            given = one.windows.ids[window]
            for name, percent in strengths.items():
                given = _changed(given, name, percent / 100, one.tokenizer.vocabulary) if percent else given
            changed.append(given)
        documents = np.repeat(one.windows.documents[window : window + 1], len(changed))
        return Passages(Windows(np.stack(changed), documents), one.tokenizer, np.arange(len(each)) * one.length + place)


def _changed(ids: np.ndarray, name: str, share: float, vocabulary: int, seed: int = 0) -> np.ndarray:
    """A window (L,) with about this share of its tokens changed; chance derives from the seed and the window itself."""
    chance = np.random.RandomState([seed, zlib.crc32(name.encode() + np.ascontiguousarray(ids).tobytes())])
    hit, others = chance.random_sample(len(ids)) < share, chance.randint(FIRST, vocabulary, len(ids))
    if name == WRONG:
        return np.where(hit, others, ids).astype(np.int32)
    changed = ids.copy()
    for place in np.flatnonzero(hit[:-1]):
        changed[[place, place + 1]] = changed[[place + 1, place]]
    return changed


KIND = ContinuedTokens()
