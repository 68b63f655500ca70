"""Labelled texts as a data set returns them: split, and tokenised once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from pydantic import Field

from kdcore import hub
from kdcore.data.ordering import stratified_order
from kdcore.data.types import RawImages
from kdcore.inputs.tokens import Characters, Texts, Tokenizer, normalised
from kdcore.inputs.wordpiece import MissingExtra, WordPieces
from kdcore.problems import Problem, RecipeError

FIELD = "data.source.tokenizer"


class Labelled(NamedTuple):
    """Texts and the class of each, by name."""

    texts: Sequence[str]
    labels: Sequence[str]


def divided(found: Labelled, share: float) -> tuple[Labelled, Labelled]:
    """Training and test texts; `share` of every class is for testing, always the same ones."""
    _, numbers = np.unique(np.array(found.labels, dtype=object).astype(str), return_inverse=True)
    order = stratified_order(numbers, (0, 0))
    count = max(round(share * len(order)), len(set(found.labels)))
    return _rows(found, np.sort(order[count:])), _rows(found, np.sort(order[:count]))


def _rows(found: Labelled, rows: np.ndarray) -> Labelled:
    return Labelled([found.texts[row] for row in rows], [found.labels[row] for row in rows])


def tokenizer_option(default: str = "") -> Any:
    """The option of a data set of texts that says how they are split."""
    return Field(
        default,
        max_length=1000,
        description="Split texts into the WordPiece tokens of this model, as its published weights need: a Hugging "
        "Face folder, or a name on its hub. Empty: characters.",
    )


def tokenizer_stamp(tokenizer: str) -> str:
    """Something that changes when a folder's tokenizer does; empty where it is not here. Raises RecipeError."""
    try:
        folder = hub.local(tokenizer) if tokenizer else None
        found = [file.stat() for file in hub.tokenizer_files(folder)] if folder else []
    except hub.BadFolder as error:
        raise RecipeError([Problem(FIELD, str(error))]) from None
    return " ".join(f"{one.st_size}-{one.st_mtime_ns}" for one in found)


def raw(train: Labelled, test: Labelled, longest: int, tokenizer: str = "", **about: Any) -> RawImages:
    """The data set of these texts; classes in the order of their names.

    `longest`: tokens after which a text is cut. `tokenizer`: the Hugging Face folder, or name on the hub, whose
    tokenizer splits them; empty: one token a character, of those that the training texts have. `about`: further fields
    of RawImages. Raises RecipeError.
    """
    classes = sorted(set(train.labels))
    numbers = {name: number for number, name in enumerate(classes)}
    labels = [np.array([numbers[name] for name in part.labels], np.int64) for part in (train, test)]
    try:
        splits = _published(tokenizer, longest) if tokenizer else _characters(train.texts, longest)
        items: list[Any] = [Texts.of(part.texts, splits) for part in (train, test)]
    except (hub.BadFolder, MissingExtra) as error:
        raise RecipeError([Problem(FIELD, str(error))]) from None
    return RawImages(items[0], labels[0], items[1], labels[1], tuple(classes), kind="text", **about)


def _published(tokenizer: str, longest: int) -> Tokenizer:
    return WordPieces.of_folder(hub.fetched(tokenizer), longest)


def _characters(texts: Sequence[str], longest: int) -> Tokenizer:
    clean = [normalised(text)[:longest] for text in texts]
    return Characters.of(clean, min(longest, max(map(len, clean))))
