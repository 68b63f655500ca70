"""A teacher's weights cut down to a student's size: which layer stands for which, and which channels are taken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from kdcore.distill.method import Unsuitable
from kdcore.lazy import nn, torch

Order = Literal["first", "uniform"]


class Match(NamedTuple):
    """A student's layer and the teacher's that stands for it. `path`: the student's, as in "stage1.0.conv1"."""

    path: str
    student: nn.Module
    teacher: nn.Module


def need_teacher(teacher: nn.Module | None, method: str) -> nn.Module:
    """The teacher, for a method that looks into it. Raises Unsuitable when there is none."""
    if teacher is None:
        raise Unsuitable(f"{method} starts from the teacher's weights, and there is no teacher network")
    return teacher


def projection(student: nn.Module, teacher: nn.Module, layers: Order, channels: Order) -> dict[str, torch.Tensor]:
    """The teacher's parameters and running statistics in the student's shapes, by their names in the student.

    Layers are matched by name and kind. Where a stage numbers its blocks and the teacher has more of them, `layers`
    picks: the first ones, or evenly spread ones. In each dimension `channels` picks in the same way, by the two sizes
    alone, so that a layer's outputs and the next layer's inputs are the same channels. The head is a layer like the
    others, because both networks tell the same classes apart. Tensors are copies, on the CPU. Raises Unsuitable.
    """
    found: dict[str, torch.Tensor] = {}
    for name, child in student.named_children():
        other = getattr(teacher, name, None)
        matches = list(_matches(child, other, layers, name)) if other is not None and name != "normalize" else []
        if re.match("stem|stage", name) and not any(
            isinstance(match.student, nn.Conv2d | nn.Linear | nn.Embedding) for match in matches
        ):
            raise Unsuitable(
                f"the teacher has no layers like the student's {name}: the teacher must be of the student's "
                "family, with at least as many stages"
            )
        for match in matches:
            for tensor, value in _tensors(match.student).items():
                path = f"{match.path}.{tensor}"
                found[path] = _cut(_tensors(match.teacher)[tensor], value, channels, path)
    return found


def _matches(student: nn.Module, teacher: nn.Module, layers: Order, path: str) -> Iterator[Match]:
    """The layers with weights at and below two modules that stand for each other."""
    if type(student) is type(teacher) and _tensors(student) and _alike(student, teacher):
        yield Match(path, student, teacher)
    for name, own, other in _partners(student, teacher, layers, path):
        yield from _matches(own, other, layers, f"{path}.{name}")


def _partners(
    student: nn.Module, teacher: nn.Module, layers: Order, path: str
) -> Iterator[tuple[str, nn.Module, nn.Module]]:
    """Children that stand for each other: of the same name, or the chosen ones of numbered blocks."""
    own, others = _numbered(student), _numbered(teacher)
    for kind, names in own.items():
        offered = others.get(kind, [])
        if 0 < len(offered) < len(names):
            raise Unsuitable(
                f"the student has more layers in {path} than its teacher ({len(names)} against {len(offered)}): "
                "the teacher must be at least as deep"
            )
        chosen = _chosen(len(names), len(offered), layers) if offered else []
        for name, place in zip(names, chosen, strict=False):
            yield name, student.get_submodule(name), teacher.get_submodule(offered[place])


def _numbered(module: nn.Module) -> dict[tuple[str, type], list[str]]:
    """The children's names by what they are called without their number, and by class; "norm" is one by itself."""
    found: dict[tuple[str, type], list[str]] = {}
    for name, child in module.named_children():
        found.setdefault((re.sub(r"\d+$", "", name), type(child)), []).append(name)
    return found


def _alike(student: nn.Module, teacher: nn.Module) -> bool:
    """Whether two layers of one class differ in nothing but their numbers of channels."""
    own, other = _tensors(student), _tensors(teacher)
    return own.keys() == other.keys() and all(
        value.ndim == other[name].ndim and (value.ndim < 4 or value.shape[2:] == other[name].shape[2:])
        for name, value in own.items()
    )


def _tensors(layer: nn.Module) -> dict[str, torch.Tensor]:
    """A layer's own parameters and running statistics, without its children's and without counters."""
    named = [*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)]
    return {name: value for name, value in named if value.ndim}


def _cut(value: torch.Tensor, like: torch.Tensor, channels: Order, path: str) -> torch.Tensor:
    """The chosen channels of a tensor, in the shape of another."""
    value = value.detach().cpu()
    for dimension, size in enumerate(like.shape):
        offered = value.shape[dimension]
        if offered < size:
            raise Unsuitable(
                f"the student's {path} is wider than its teacher's ({size} against {offered} channels): the "
                "teacher must be at least as wide everywhere"
            )
        value = value.index_select(dimension, torch.tensor(_chosen(size, offered, channels)))
    return value


def _chosen(wanted: int, offered: int, order: Order) -> list[int]:
    """`wanted` places out of `offered`: the first ones, or evenly spread ones, as in the code of Xu et al.

    Spread are every second one, every third and so on where the sizes divide, else from the first to the last one.
    """
    if order == "first":
        return list(range(wanted))
    if offered % wanted == 0:
        return list(range(0, offered, offered // wanted))
    return torch.linspace(0, offered - 1, wanted).round().int().tolist()
