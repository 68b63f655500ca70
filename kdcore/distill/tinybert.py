"""TinyBERT: the teacher's embeddings, hidden states and attention, layer by layer, then its outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from kdcore.distill import blocks
from kdcore.distill.features import hard_weight
from kdcore.distill.kd import soft_targets
from kdcore.distill.method import Method, StepInputs, Taps, Unsuitable
from kdcore.distill.traits import MethodTraits
from kdcore.lazy import nn, torch
from kdcore.registry import Options, register

EMBEDDINGS = "stem"


class TinyBert(Options):
    """Options of TinyBERT's distillation for a task; weights and temperature are those of the authors' code."""

    layers_share: float = Field(
        0.5,
        ge=0.05,
        le=0.95,
        description="Share of the steps in which embeddings, hidden states and attention are learnt, before outputs. "
        "Accuracy rises only after them: do not stop early.",
    )
    hidden_weight: float = Field(1.0, ge=0, le=1e4, description="Weight of embeddings and hidden states.")
    attention_weight: float = Field(1.0, ge=0, le=1e4, description="Weight of the attention scores.")
    temperature: float = Field(1.0, ge=0.25, le=100, description="Temperature (T) of the soft targets.")
    soft_weight: float = Field(1.0, gt=0, le=100, description="Weight of the soft targets.")
    hard_weight: float = hard_weight(0.0)


def attention_distance(student: torch.Tensor, teacher: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of attention scores (B, heads, L, L), before the softmax, over all heads and all pairs of
    `known` tokens, bool (B, L). Jiao et al. 2020, eq. 7."""
    pairs = known[:, :, None] & known[:, None, :]
    return (student - teacher).square().mean(1)[pairs].mean()


def hidden_distance(student: torch.Tensor, teacher: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of hidden states (B, L, D) over the tokens that are `known`, bool (B, L): eq. 8 and 9."""
    return blocks.mean_of_tokens((student - teacher).square(), known)


def _unfit(options: Any, student: Any, teacher: Any) -> str | None:
    return blocks.too_deep(student, teacher) or blocks.unequal(student, teacher, "heads", "the attention heads")


@register(
    "method",
    "tinybert",
    "TinyBERT: embeddings, hidden states and attention of every k-th layer, then soft targets",
    source="Jiao et al. 2020, arXiv:1909.10351, eq. 6 to 11; huawei-noah/Pretrained-Language-Model, TinyBERT",
    options=TinyBert,
    traits=MethodTraits(
        family="features",
        label="student, TinyBERT",
        short="TinyBERT",
        role="distilled",
        taps=True,
        tokens=True,
        blocks=True,
        unfit=_unfit,
        mixup=False,
        formula=(
            r"\text{first: } \sum_m w_a\,\mathrm{MSE}(A^s_m, A^t_{g(m)}) + \sum_{m \ge 0} w_f\,"
            r"\mathrm{MSE}(h^s_m W, h^t_{g(m)}), \quad g(m) = m\,N/M \\ \text{then: } "
            r"w_h\,\mathrm{CE}(y, p^s) + w_s\,T^2\,\mathrm{KL}(p^t_T \,\|\, p^s_T)"
        ),
        helps="For texts, with a student that is narrower and shallower than its teacher and has as many heads.",
    ),
)
class TinyBertDistillation(Method[TinyBert]):
    """First the teacher's layers, for a share of the steps, then its outputs.

    As in the authors' code: attention scores before the softmax, of layer m N / M of the teacher for layer m of the
    student; the embeddings' and the layers' outputs through one learned linear layer, with a bias, that serves all of
    them (the paper has one for the embeddings and one for the hidden states) and is not deployed; plain sums over the
    layers; no labels.

    Otherwise: padding does not count (theirs sets the scores of padded keys to zero in both networks, but averages over
    them, over padded queries, and over hidden states of padding); soft targets are KL with T², batch mean (theirs is
    the cross-entropy without T², divided by the number of classes too: a gradient smaller by a constant factor); both
    stages share one training and its learning-rate schedule; there is no general distillation before, nor augmented
    data. Where the teacher's layers are no multiple of the student's, which theirs refuses, m N / M is rounded down. A
    layer of which heads were pruned is matched by its hidden states alone.
    """

    _began = False

    def begin(self, student: nn.Module, teacher: nn.Module | None) -> nn.Module:
        self._began = True
        return student

    def taps(self, student: nn.Module, teacher: nn.Module) -> Taps:
        own, other = blocks.paths(student, "student"), blocks.paths(teacher, "teacher")
        self._own = own
        self._other = [other[place] for place in blocks.partners(len(own), len(other))]
        self._widths = blocks.widths(student, self._own), blocks.widths(teacher, self._other)
        return Taps(_tapped(self._own), _tapped(self._other))

    def prepare(
        self, student: nn.Module, teacher: nn.Module | None, example: StepInputs, images: int
    ) -> nn.Module | None:
        heads = [(own.shape[1], other.shape[1]) for own, other in self._scores(example)]
        unequal = next((pair for pair in heads if pair[0] != pair[1]), None)
        if self._began and unequal:
            mine, wanted = unequal
            raise Unsuitable(f"the student has {mine} attention heads, its teacher {wanted}: give it the same number")
        own, other = example.student_features[EMBEDDINGS], example.teacher_features[EMBEDDINGS]
        self._projection = nn.Linear(own.shape[-1], other.shape[-1])
        nn.init.normal_(self._projection.weight, std=0.02)
        nn.init.zeros_(self._projection.bias)
        return self._projection

    def loss(self, seen: StepInputs) -> dict[str, torch.Tensor]:
        if seen.step < self.options.layers_share * seen.steps:
            return self._layers(seen)
        options = self.options
        terms = {"soft": options.soft_weight * soft_targets(seen.student, seen.teacher, options.temperature)}
        return terms | ({"hard": options.hard_weight * seen.label_loss()} if options.hard_weight else {})

    def _layers(self, seen: StepInputs) -> dict[str, torch.Tensor]:
        known = seen.known
        assert known is not None
        hidden = [
            hidden_distance(self._projection(seen.student_features[own]), seen.teacher_features[other], known)
            for own, other in zip((EMBEDDINGS, *self._own), (EMBEDDINGS, *self._other), strict=True)
        ]
        attention = [
            attention_distance(own, other, known)
            for own, other in self._scores(seen)
            if own.shape[1] == other.shape[1]  # else heads were pruned
        ]
        terms = {"hidden": self.options.hidden_weight * torch.stack(hidden).sum()}
        if attention:
            terms["attention"] = self.options.attention_weight * torch.stack(attention).sum()
        return terms

    def _scores(self, seen: StepInputs) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """The attention scores of each of the student's layers, and of the one that teaches it."""
        own = _scores(seen.student_features, self._own, self._widths[0])
        other = _scores(seen.teacher_features, self._other, self._widths[1])
        return list(zip(own, other, strict=True))


def _tapped(paths: Sequence[str]) -> tuple[str, ...]:
    return (EMBEDDINGS, *paths, *(blocks.inside(path, layer) for path in paths for layer in ("query", "key")))


def _scores(features: Mapping[str, torch.Tensor], paths: Sequence[str], widths: Sequence[int]) -> list[torch.Tensor]:
    return [
        blocks.scores(features[blocks.inside(path, "query")], features[blocks.inside(path, "key")], width)
        for path, width in zip(paths, widths, strict=True)
    ]
