"""What the methods that match features share: which taps they look at, and features of unequal size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from pydantic import Field

from kdcore import models
from kdcore.distill.method import Method, StepInputs, Taps, Unsuitable
from kdcore.lazy import functional, nn, torch
from kdcore.registry import Options

AUTO = "auto"
O = TypeVar("O", bound=Options)  # noqa: E741


def hard_weight(default: float = 1.0) -> Any:
    """The field of the labels' weight."""
    return Field(default, ge=0, le=100, description="Weight of the labels (hard targets).")


def tap_field(whose: str, automatic: str) -> Any:
    """The field that names one tap of a network."""
    return Field(
        AUTO,
        max_length=80,
        description=f"Stage of the {whose} to match (feature tap), such as stage2. Auto: {automatic}.",
    )


def taps_field(whose: str, automatic: str) -> Any:
    """The field that names several taps of a network."""
    return Field(
        (),
        max_length=64,
        description=f"Stages of the {whose} to match (feature taps), such as stage1, stage2. Empty: {automatic}.",
    )


def last_tap(network: nn.Module, wanted: str, whose: str) -> str:
    """The tap that is asked for; "auto" is the last, what the classifier sees. Raises Unsuitable."""
    return list(models.taps(network))[-1] if wanted in ("", AUTO) else _known(network, wanted, whose)


def last_stage(network: nn.Module, wanted: str, whose: str) -> str:
    """The tap that is asked for; "auto" is the last stage, before anything that follows it. Raises Unsuitable."""
    return stage_taps(network)[-1] if wanted in ("", AUTO) else _known(network, wanted, whose)


def middle_tap(network: nn.Module, wanted: str, whose: str) -> str:
    """The tap that is asked for; "auto" is the middle stage, the earlier of two. Raises Unsuitable."""
    stages = stage_taps(network)
    return stages[(len(stages) - 1) // 2] if wanted in ("", AUTO) else _known(network, wanted, whose)


def stage_taps(network: nn.Module) -> list[str]:
    """The stages among the taps; all taps where there are none."""
    names = list(models.taps(network))
    return [name for name in names if name.startswith("stage")] or names


def matched_taps(
    student: nn.Module, teacher: nn.Module, wanted: tuple[Sequence[str], Sequence[str]]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Taps of student and teacher that belong together, first to last.

    `wanted`: names for either, empty for all stages. Where the networks have unequally many stages, the last
    belong together. Raises Unsuitable.
    """
    named = [[_known(n, name, whose) for name in names] for n, names, whose in _sides(student, teacher, wanted)]
    if all(named) and len(named[0]) != len(named[1]):
        raise Unsuitable(
            f"{len(named[0])} stages of the student cannot match {len(named[1])} of the teacher: name the same number"
        )
    both = [names or stage_taps(network) for names, network in zip(named, (student, teacher), strict=True)]
    count = min(map(len, both))
    for names, (network, _, whose) in zip(named, _sides(student, teacher, wanted)[::-1], strict=True):
        if len(names) > count:
            raise Unsuitable(f"{len(names)} stages should be matched, but the {whose} has {len(stage_taps(network))}")
    return tuple(both[0][-count:]), tuple(both[1][-count:])


def _sides(
    student: nn.Module, teacher: nn.Module, wanted: tuple[Sequence[str], Sequence[str]]
) -> list[tuple[nn.Module, Sequence[str], str]]:
    return [(student, wanted[0], "student"), (teacher, wanted[1], "teacher")]


def _known(network: nn.Module, wanted: str, whose: str) -> str:
    names = models.taps(network)
    if wanted not in names:
        raise Unsuitable(f"the {whose} has no stage {wanted!r}; it has: {', '.join(names)}")
    return wanted


def need_maps(features: Mapping[str, torch.Tensor], whose: str, method: str) -> None:
    """Raises Unsuitable unless all `features` are maps (B, C, H, W)."""
    for name, value in features.items():
        if value.ndim != 4:
            _refuse_vectors(name, whose, method)


def _refuse_vectors(name: str, whose: str, method: str) -> NoReturn:
    raise Unsuitable(
        f"{method} needs feature maps with height and width, but {name!r} of the {whose} gives a plain "
        f"vector, as in a multilayer perceptron: choose a convolutional {whose}, or a method such as "
        "fitnets or rkd"
    )


def embedding(features: torch.Tensor) -> torch.Tensor:
    """One vector an image, (B, C): maps (B, C, H, W) averaged over their places, vectors as they are."""
    return features.mean(dim=(2, 3)) if features.ndim == 4 else features


def same_size(left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Two batches of maps (B, ·, H, W), averaged down to the smaller height and width of the two."""
    height, width = (min(left.shape[axis], right.shape[axis]) for axis in (2, 3))
    return _pooled(left, height, width), _pooled(right, height, width)


def _pooled(maps: torch.Tensor, height: int, width: int) -> torch.Tensor:
    return maps if maps.shape[2:] == (height, width) else functional.adaptive_avg_pool2d(maps, (height, width))


class Embeddings(Method[O]):
    """Base of the methods that compare one vector an image of each network: of its last tap, or of one that is named.

    The options have `student_tap` and `teacher_tap`.
    """

    def taps(self, student: nn.Module, teacher: nn.Module) -> Taps:
        options: Any = self.options
        self._student = last_tap(student, options.student_tap, "student")
        self._teacher = last_tap(teacher, options.teacher_tap, "teacher")
        return Taps((self._student,), (self._teacher,))

    def embeddings(self, seen: StepInputs) -> tuple[torch.Tensor, torch.Tensor]:
        """The student's and the teacher's, each (B, F)."""
        return embedding(seen.student_features[self._student]), embedding(seen.teacher_features[self._teacher])
