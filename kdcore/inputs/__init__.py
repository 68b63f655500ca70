"""What an input is: pictures, texts, passages of running text by characters or by tokens.

Nothing outside this room asks which it works with.

A kind is found by an input's shape, which documents on disk hold: (C, H, W) of a picture, and of every other kind
numbers that begin with its name. Items are what a data set holds of it; a network takes one tensor of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from kdcore.inputs.kind import Held, Kind, Shape

__all__ = ["EVERY", "Held", "Kind", "Shape", "named", "of", "sound", "titles"]

EVERY = ("pictures", "text", "passages")  # what networks, methods and steps say they read (`Kind.read_as`)
KINDS = {
    name: f"kdcore.inputs.{file}"
    for name, file in (
        ("pictures", "pictures"), ("text", "text"), ("passages", "passages"), ("tokens", "token_passages")
    )
}  # fmt: skip


def of(shape: Sequence[Any]) -> Kind:
    """The kind of inputs of this shape."""
    return named(shape[0] if isinstance(shape[0], str) else "pictures")


def named(name: str) -> Kind:
    """The kind of this name. Raises KeyError."""
    kind: Kind = import_module(KINDS[name]).KIND
    return kind


def sound(shape: list[Any]) -> list[Any]:
    """The shape of a document. Raises ValueError for one that no kind of input has."""
    name = shape[0] if shape and isinstance(shape[0], str) else "pictures"
    if name not in KINDS or not named(name).sound(shape):
        raise ValueError("no kind of input has this shape")
    return shape


def titles() -> dict[str, str]:
    """What the corruptions of all kinds are called, by their names."""
    return {name: title for kind in KINDS for name, title in named(kind).corruptions.items()}
