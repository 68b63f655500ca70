"""MiniLM: how the queries, keys and values of the last layer relate to each other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from kdcore.distill import blocks
from kdcore.distill.features import hard_weight
from kdcore.distill.method import Method, StepInputs, Taps, Unsuitable
from kdcore.distill.traits import MethodTraits
from kdcore.lazy import functional, nn, torch
from kdcore.registry import Options, register

Pairs = tuple[tuple[str, str], ...]
RELATIONS: Mapping[str, Pairs] = {
    "v2": (("query", "query"), ("key", "key"), ("value", "value")),
    "v1": (("query", "key"), ("value", "value")),
}
LAYERS = ("query", "key", "value")
NOTHING = -1e4  # the score of padding


class MiniLm(Options):
    """Options of MiniLM."""

    relations: Literal["v2", "v1"] = Field(
        "v2",
        description="What is matched. v2: queries with queries, keys with keys, values with values; v1: attention "
        "(queries with keys), and values with values.",
    )
    relation_heads: int = Field(
        8,
        ge=1,
        le=1024,
        description="Parts into which queries, keys and values are split; a divisor of both networks' widths. As in "
        "the paper for v1: the number of attention heads.",
    )
    relation_weight: float = Field(1.0, gt=0, le=1e4, description="Weight of the relations.")
    hard_weight: float = hard_weight()


def relation(
    features: Mapping[str, torch.Tensor], pair: tuple[str, str], heads: int, known: torch.Tensor
) -> torch.Tensor:
    """Logarithm of softmax(a b^T / sqrt(width)) by relation head, (B, heads, L, L), without padding.

    `pair`: the names in `features` of a and b, queries, keys or values (B, L, heads * width), which are split anew,
    whatever heads the attention has. `known`: bool (B, L).
    """
    left, right = (features[name] for name in pair)
    found = blocks.scores(left, right, left.shape[2] // heads)
    return functional.log_softmax(found.masked_fill(~known[:, None, None, :], NOTHING), dim=3)


def relation_distance(student: torch.Tensor, teacher: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """KL(teacher ‖ student) of relations as `relation` gives them, in nats: the mean over a text's heads and `known`
    tokens, then over texts. Wang et al. 2020, eq. 6, and Wang et al. 2021, eq. 6."""
    by_token = (teacher.exp() * (teacher - student)).sum(3).mean(1)
    return ((by_token * known).sum(1) / known.sum(1)).mean()


def _unfit(options: MiniLm, student: Any, teacher: Any) -> str | None:
    own, other = blocks.sizes(student), blocks.sizes(teacher)
    if own and other and (own.dim % options.relation_heads or other.dim % options.relation_heads):
        return _undivided(options, own.dim, other.dim)
    return None


def _undivided(options: MiniLm, own: int, other: int) -> str:
    return (
        f"{options.relation_heads} relation heads do not divide both the student's width ({own}) and its teacher's "
        f"({other}): set relation_heads to {math.gcd(own, other)} or a divisor of it"
    )


@register(
    "method",
    "minilm",
    "MiniLM: how queries, keys and values of the last layer relate to each other",
    source="Wang et al. 2021, arXiv:2012.15828, eq. 5 to 8 (v2); Wang et al. 2020, arXiv:2002.10957, eq. 6 to 9 (v1)",
    options=MiniLm,
    traits=MethodTraits(
        family="features",
        label="student, MiniLM",
        short="MiniLM",
        role="distilled",
        taps=True,
        tokens=True,
        blocks=True,
        unfit=_unfit,
        mixup=False,
        formula=(
            r"w_h\,\mathrm{CE}(y, p^s) + w_r \sum_{a \in \{q, k, v\}} \mathrm{KL}(R^t_a \,\|\, R^s_a), \quad "
            r"R_a = \mathrm{softmax}(a\,a^\top / \sqrt{d})"
        ),
        helps="For texts, where student and teacher may differ in width, depth and number of heads.",
    ),
)
class MiniLmDistillation(Method[MiniLm]):
    """`hard_weight * CE + relation_weight * sum of KL(teacher's relations ‖ student's)` of the last layers.

    As in the papers (the authors published models and no code of the distillation): relations of the last layer of
    both, scaled by the root of a relation head's width, the mean over relation heads and tokens, a plain sum over the
    kinds of relation.

    Otherwise: they distil on a large corpus without labels and fine-tune afterwards, where here the texts of the task
    and their labels are learnt at once; for teachers of 24 layers v2 takes an earlier layer than the last; padding, of
    which the papers say nothing, does not count. In a student whose heads were pruned there are as many relation heads,
    of those asked for, as divide both widths.
    """

    _began = False

    def begin(self, student: nn.Module, teacher: nn.Module | None) -> nn.Module:
        self._began = True
        return student

    def taps(self, student: nn.Module, teacher: nn.Module) -> Taps:
        self._own, self._other = blocks.paths(student, "student")[-1], blocks.paths(teacher, "teacher")[-1]
        own, other = (tuple(blocks.inside(path, layer) for layer in LAYERS) for path in (self._own, self._other))
        return Taps(own, other)

    def prepare(
        self, student: nn.Module, teacher: nn.Module | None, example: StepInputs, images: int
    ) -> nn.Module | None:
        own, other = (features["value"].shape[2] for features in self._features(example))
        self._heads = math.gcd(self.options.relation_heads, own, other)
        if self._began and self._heads != self.options.relation_heads:
            raise Unsuitable(_undivided(self.options, own, other))
        return None

    def loss(self, seen: StepInputs) -> dict[str, torch.Tensor]:
        assert seen.known is not None
        found = []
        for pair in RELATIONS[self.options.relations]:
            own, other = (relation(features, pair, self._heads, seen.known) for features in self._features(seen))
            found.append(relation_distance(own, other, seen.known))
        return {
            "hard": self.options.hard_weight * seen.label_loss(),
            "relations": self.options.relation_weight * torch.stack(found).sum(),
        }

    def _features(self, seen: StepInputs) -> list[dict[str, torch.Tensor]]:
        """Queries, keys and values of student and teacher, by their names."""
        sides = ((seen.student_features, self._own), (seen.teacher_features, self._other))
        return [{layer: features[blocks.inside(path, layer)] for layer in LAYERS} for features, path in sides]
