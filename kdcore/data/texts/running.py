"""Running text as a data set returns it: documents cut into windows, each character, or token, labelled with the one
after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from typing import Any

import numpy as np
from pydantic import Field

from kdcore import hub
from kdcore.data.types import RawImages
from kdcore.inputs.bytepairs import BytePairs
from kdcore.inputs.ids import FIRST
from kdcore.inputs.passages import Passages, Windows
from kdcore.inputs.tokens import Characters
from kdcore.inputs.wordpiece import MissingExtra
from kdcore.problems import Problem, RecipeError

EXCERPT = 512  # characters of an excerpt that are labelled
RARE = 20  # a character that the training text has fewer of becomes a space
RARE_TOKEN = 2  # one that the training text has fewer of is cut into its parts
MOST_TOKENS = 1000  # that are classes: a confusion matrix has the square of it
TOKENIZER_FIELD = "data.source.tokenizer"
SHOWN = {"\n": "↵", " ": "␣"}
Document = Sequence[str]  # its excerpts, each of EXCERPT + 1 characters


def excerpts(text: str) -> list[str]:
    """All of a text that fits into whole excerpts: the last character of one is the first of the next."""
    return [text[at : at + EXCERPT + 1] for at in range(0, len(text) - EXCERPT, EXCERPT)]


def budgeted(documents: Mapping[str, Document], characters: int) -> dict[str, Document]:
    """So many labelled characters at most: the first excerpt of each document, then the second, and so on."""
    rounds = zip_longest(*([(name, one) for one in found] for name, found in documents.items()))
    chosen: dict[str, list[str]] = {}
    for name, excerpt in list(filter(None, chain.from_iterable(rounds)))[: characters // EXCERPT]:
        chosen.setdefault(name, []).append(excerpt)
    return dict(chosen)


def tokenizer_option() -> Any:
    """The option of a data set of running text that says how it is cut."""
    return Field(
        "",
        max_length=1000,
        description="Cut the text into the byte-level BPE tokens of this model, as a teacher of GPT-2's family needs: "
        f"a Hugging Face folder, or a name on its hub. The {MOST_TOKENS:,} most frequent are kept, rarer ones are cut "
        "into their parts. Quality stays bits per character. Empty: characters.",
    )


def raw(
    train: Mapping[str, Document], test: Mapping[str, Document], window: int, tokenizer: str = "", **about: Any
) -> RawImages:
    """The data set of these documents, read in windows of `window` characters; the classes are the characters.

    `tokenizer`: the Hugging Face folder, or name on the hub, whose tokens take their place; the classes are then those
    that the training text needs. `about`: further fields of RawImages. Raises RecipeError.
    """
    counts = Counter(chain.from_iterable(excerpt[1:] for excerpt in _all(train)))
    alphabet = "".join(sorted({" "} | {one for one, count in counts.items() if count >= RARE}))
    if tokenizer:
        return _in_tokens((_clean(train, alphabet), _clean(test, alphabet)), tokenizer, window, about)
    characters = Characters(alphabet, window)
    (train_items, train_labels), (test_items, test_labels) = (
        _labelled(part, characters, window) for part in (train, test)
    )
    classes = tuple(_shown(one) for one in alphabet)
    return RawImages(train_items, train_labels, test_items, test_labels, classes, kind="passages", **about)


def _clean(documents: Mapping[str, Document], alphabet: str) -> dict[str, Document]:
    """The documents with a space for every other character."""
    kept = set(alphabet)
    return {
        name: ["".join(one if one in kept else " " for one in excerpt) for excerpt in found]
        for name, found in documents.items()
    }


def _shown(token: str) -> str:
    return "".join(SHOWN.get(one, one) for one in token)


def _labelled(documents: Mapping[str, Document], tokenizer: Characters, window: int) -> tuple[Any, np.ndarray]:
    clean = list(_all(_clean(documents, tokenizer.alphabet)))
    numbers = np.repeat(np.arange(len(documents)), [len(found) for found in documents.values()])
    ids = Characters(tokenizer.alphabet, EXCERPT + 1).encoded(clean).flat.reshape(len(clean), EXCERPT + 1)
    windows = np.ascontiguousarray(ids[:, :-1]).reshape(-1, window)
    of_documents = np.repeat(numbers, EXCERPT // window).astype(np.int32)
    return Passages(Windows(windows, of_documents), tokenizer), ids[:, 1:].ravel().astype(np.int64) - FIRST


def _in_tokens(
    parts: tuple[dict[str, Document], dict[str, Document]], folder: str, window: int, about: dict[str, Any]
) -> RawImages:
    """The same by tokens, of training and test documents. What is left of an excerpt after its last whole window is
    left out."""
    try:
        published = BytePairs.of_folder(hub.fetched(folder), window)
        tokenizer = published.kept(list(_all(parts[0])), RARE_TOKEN, MOST_TOKENS)
        (train, train_labels), (test, test_labels) = (_cut(part, tokenizer) for part in parts)
    except (hub.BadFolder, MissingExtra) as error:
        raise RecipeError([Problem(TOKENIZER_FIELD, str(error))]) from None
    note = (
        f"{len(train_labels):,} tokens for training, {len(test_labels):,} for testing, each "
        f"{tokenizer.characters[train_labels].mean():.2f} characters on average: {len(tokenizer.words):,} different "
        f"ones of the tokenizer's {len(published.words):,}, as rarer ones are cut into their parts"
    )
    classes = tuple(_shown(tokenizer.decoded([FIRST + number])) for number in range(len(tokenizer.words)))
    made = RawImages(train, train_labels, test, test_labels, classes, kind="tokens", **about)
    return made._replace(notes=(*made.notes, note))


def _cut(documents: Mapping[str, Document], tokenizer: BytePairs) -> tuple[Any, np.ndarray]:
    length = tokenizer.longest
    rows, labels, numbers = [], [], []
    for number, excerpts_of_it in enumerate(documents.values()):
        found = tokenizer.encoded(excerpts_of_it)
        for place in range(len(excerpts_of_it)):
            ids = found.row(place)
            whole = (len(ids) - 1) // length
            rows.append(ids[: whole * length].reshape(whole, length))
            labels.append(ids[1 : whole * length + 1].astype(np.int64) - FIRST)
            numbers += [number] * whole
    if not numbers:
        message = f"no excerpt of {EXCERPT} characters has more than {length} tokens: give a smaller window"
        raise RecipeError([Problem("data.source.window", message)])
    windows = Windows(np.concatenate(rows), np.array(numbers, np.int32))
    return Passages(windows, tokenizer), np.concatenate(labels)


def _all(documents: Mapping[str, Document]) -> Iterator[str]:
    return chain.from_iterable(documents.values())
