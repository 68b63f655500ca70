"""What a distillation method is: a loss over what student and teacher say of the same views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from kdcore.data import labelling
from kdcore.data.labelling import ONE_LABEL, Labelling
from kdcore.lazy import nn, torch
from kdcore.registry import Options

O = TypeVar("O", bound=Options)  # noqa: E741

cross_entropy = labelling.cross_entropy


class Taps(NamedTuple):
    """Names of the taps (`models.taps`) whose outputs a method wants to see, of each network."""

    student: tuple[str, ...] = ()
    teacher: tuple[str, ...] = ()


@dataclass(frozen=True)
class StepInputs:
    """One step, as a method is shown it: B images, K classes, all on one device.

    `student`: logits (B, K). `teacher`: logits (B, K) for the same views, without gradient; (0, K) for a
    method that asks no teacher (traits `teacher` and `answers`). `targets`: (B, K), as `labelling` means them: label
    distributions whose rows sum to 1, or to 0 where an image has no label. `student_features`,
    `teacher_features`: float32 outputs of the taps that the method named, (B, C, H, W) or (B, F). `indices`:
    (B,) place of each image among those that the student is trained on. `step` of `steps`: where training
    stands. `seed`: for what the method draws at random in this step. `known`: bool (B, L), which tokens of the texts
    are no padding; None for other inputs. Features of texts are (B, L, F). `shown`: what the networks were given.
    """

    student: torch.Tensor
    teacher: torch.Tensor
    targets: torch.Tensor
    student_features: Mapping[str, torch.Tensor] = field(default_factory=dict)
    teacher_features: Mapping[str, torch.Tensor] = field(default_factory=dict)
    indices: torch.Tensor | None = None
    step: int = 0
    steps: int = 1
    seed: int = 0
    labelling: Labelling = ONE_LABEL
    known: torch.Tensor | None = None
    shown: torch.Tensor | None = None

    def label_loss(self) -> torch.Tensor:
        """The student's mean loss on the labels, a scalar in nats."""
        return self.labelling.loss(self.student, self.targets)


class Unsuitable(ValueError):
    """The method cannot work with these networks; the message says why and what would do."""


class Method(Generic[O]):
    """Base of all methods. Made from its validated options; only `loss` must be written.

    Before training, in this order: `begin` once, `taps`, then `prepare` with one example. Each step: `loss`.
    """

    def __init__(self, options: O):
        self.options = options

    def begin(self, student: nn.Module, teacher: nn.Module | None) -> nn.Module:
        """The network that is trained and deployed: the student, with other first weights or an added part.

        Called with networks on the CPU. It must give the same for the same networks: what it draws at random comes from
        torch's global generator, which is seeded before. Raises Unsuitable.
        """
        return student

    def taps(self, student: nn.Module, teacher: nn.Module) -> Taps:
        """The taps that the loss needs; none for methods that match outputs alone. Raises Unsuitable."""
        return Taps()

    def prepare(
        self, student: nn.Module, teacher: nn.Module | None, example: StepInputs, images: int
    ) -> nn.Module | None:
        """Adapters and memory banks: a module whose parameters are trained along and whose state is in the checkpoint.

        `example`: one step of two images, with the features of the taps. `images`: how many the student is
        trained on. Keep what `loss` needs on `self`. The loop moves the module to the device. Raises Unsuitable.
        """
        return None

    def loss(self, seen: StepInputs) -> dict[str, torch.Tensor]:
        """Named, already weighted terms, scalars; their sum is minimised. Labels are the term "hard"."""
        raise NotImplementedError
